"""What drivers say to any PostgreSQL on their own (BEGIN, SET client_encoding, DISCARD ALL, ...).

It is answered as PostgreSQL would, and has no effect beyond the session: a console session holds no such things.
"""

from collections.abc import Mapping
from functools import partial

from howdah.control.console.action import (
    FAILED,
    IDLE,
    IN_TRANSACTION,
    Action,
    ConsoleError,
    Outcome,
    SessionState,
    invalid,
)
from howdah.control.console.statements import Statement
from howdah.control.console.table import Facts

#: Settings of a session that drivers set or ask for, lower case, with their values before anybody has set them.
SESSION_SETTINGS: Mapping[str, str] = {
    "application_name": "",
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "datestyle": "ISO, MDY",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "extra_float_digits": "1",
    "intervalstyle": "postgres",
    "lock_timeout": "0",
    "search_path": "",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "timezone": "UTC",
    "transaction_isolation": "read committed",
    "transaction_read_only": "off",
}
#: As PostgreSQL reports them, unasked, when they change.
_REPORTED = {"application_name": "application_name", "datestyle": "DateStyle", "timezone": "TimeZone"}
_MISSING = object()


def remember(name: str, value: str) -> Action:
    """SET of one of them."""
    if name == "client_encoding" and value.upper().replace("-", "") not in ("UTF8", "UNICODE", "SQL_ASCII", "DEFAULT"):
        raise ConsoleError("22023", f"the console speaks UTF8 only, not {value}")
    return Action(partial(_remember, name, value))


def _remember(name: str, value: str, state: SessionState) -> Outcome:
    state.variables[name] = SESSION_SETTINGS[name] if value.upper() == "DEFAULT" else value
    reported = ((_REPORTED[name], state.variables[name]),) if name in _REPORTED else ()
    return Outcome("SET", reported=reported)


def begin(_: Facts, statement: Statement) -> Action:
    def perform(state: SessionState) -> Outcome:
        state.transaction = IN_TRANSACTION
        return Outcome("BEGIN" if statement[0].text.upper() == "BEGIN" else "START TRANSACTION")

    return Action(perform)


def end(tag: str, _: Facts, statement: Statement) -> Action:
    if any(token.text.upper() in ("TO", "PREPARED") for token in statement):
        raise invalid(statement)

    def perform(state: SessionState) -> Outcome:
        failed, state.transaction = state.transaction == FAILED, IDLE
        return Outcome("ROLLBACK" if failed else tag)

    return Action(perform, ends_transaction=True)


def noise(tag: str, _: Facts, __: Statement) -> Action:
    """Cleaning up that finds nothing to clean: a console session holds no such things."""
    return Action(lambda _: Outcome(tag))


def reset(_: Facts, statement: Statement) -> Action:
    names = [token.text.lower() for token in statement[1:]]

    def perform(state: SessionState) -> Outcome:
        for name in list(state.variables) if names == ["all"] else names:
            state.variables.pop(name, None)
        return Outcome("RESET")

    return Action(perform)


def discard(_: Facts, __: Statement) -> Action:
    def perform(state: SessionState) -> Outcome:
        state.variables.clear()
        state.prepared.clear()
        return Outcome("DISCARD ALL")

    return Action(perform)


def deallocate(_: Facts, statement: Statement) -> Action:
    name = statement[-1].text if len(statement) > 1 else ""
    every = statement[-1].kind == "word" and name.upper() == "ALL"

    def perform(state: SessionState) -> Outcome:
        if every:
            state.prepared.clear()
        elif state.prepared.pop(name, _MISSING) is _MISSING:
            raise ConsoleError("26000", f'prepared statement "{name}" does not exist')
        return Outcome("DEALLOCATE ALL" if every else "DEALLOCATE")

    return Action(perform)
