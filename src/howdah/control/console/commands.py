"""The console's command table: from the words of a statement to the `Action` it means.

A command is found by its first word; what it does with the rest is its own affair.  Statements that drivers send on
their own (BEGIN, SET client_encoding, ...) are answered as PostgreSQL would, without effect.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from howdah.control.console import operations
from howdah.control.console.action import FAILED, IDLE, IN_TRANSACTION, Action, ConsoleError, Outcome, SessionState
from howdah.control.console.columns import columns
from howdah.control.console.show import TABLES, Facts, Table
from howdah.control.console.statements import Statement
from howdah.control.operations import Operations

#: Settings of a session that drivers set or ask for, lower case, with their values before anybody has set them.
_SESSION_SETTINGS = {
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
_HINT = "SHOW HELP lists what the console understands."


@dataclass(frozen=True, slots=True)
class Commands:
    """Finds the action of a statement; one object serves all sessions."""

    facts: Facts
    operations: Operations | None = None  # None: there is nothing to operate on

    def action(self, statement: Statement) -> Action:
        verb = statement[0].text.upper() if statement[0].kind == "word" else ""
        find = _VERBS.get(verb)
        if find is not None:
            return find(self.facts, statement)
        if verb in operations.COMMANDS and self.operations is not None:
            return operations.action(self.operations, self.facts.may_change, statement)
        raise ConsoleError("42601", f"unknown console command: {_quoted(statement)}", _HINT)


def _quoted(statement: Statement) -> str:
    text = " ".join(token.text for token in statement)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _show(facts: Facts, statement: Statement) -> Action:
    words = [token.text.lower() for token in statement[1:]]
    if len(words) == 1:
        if words[0] == "help":
            return Action(lambda _: Outcome("SHOW", notice=_help()))
        if table := _TABLES.get(words[0]):
            return Action(partial(_show_table, table, facts), table.columns)
    name = {"transaction isolation level": "transaction_isolation", "time zone": "timezone"}.get(
        " ".join(words), "_".join(words) if len(words) == 1 else ""
    )
    if name in _SESSION_SETTINGS:
        return Action(partial(_show_setting, name), columns(f"{name} t"))
    hint = f"SHOW takes one of: {', '.join(sorted([*_TABLES, 'help'])).upper()}."
    raise ConsoleError("42601", f"unknown console command: {_quoted(statement)}", hint)


def _show_table(table: Table, facts: Facts, _: SessionState) -> Outcome:
    return Outcome("SHOW", tuple(table.rows(facts)))


def _show_setting(name: str, state: SessionState) -> Outcome:
    return Outcome("SHOW", [(state.variables.get(name, _SESSION_SETTINGS[name]),)])


def _help() -> str:
    lines = [f"\tSHOW {table.name:<16}{table.about}" for table in TABLES]
    more = [f"\tSHOW {'HELP':<16}this text", f"\t{'RELOAD':<21}read the configuration and its files again"]
    does = [f"\t{f'{name} {command.takes}':<21}{command.about}" for name, command in operations.COMMANDS.items()]
    return "\n".join(["Console usage", *lines, *more, *does])


def _set(_: Facts, statement: Statement) -> Action:
    words = [token.text for token in statement[1:]]
    while words and words[0].upper() in ("SESSION", "LOCAL"):
        words = words[1:]
    if [word.upper() for word in words[:2]] in (["CHARACTERISTICS", "AS"], ["TRANSACTION", "ISOLATION"]):
        return Action(lambda _: Outcome("SET"))
    if [word.upper() for word in words[:2]] == ["TIME", "ZONE"]:
        words = ["timezone", "=", *words[2:]]
    if len(words) < 3 or words[1].upper() not in ("=", "TO"):
        raise ConsoleError("42601", "SET needs a name and a value", "Write SET name = value.")
    name, value = words[0].lower(), "".join(words[2:])
    if name not in _SESSION_SETTINGS:
        raise ConsoleError(
            "0A000",
            f"cannot SET {words[0]} in the console in this version of howdah",
            "Change it in the configuration file, then RELOAD.",
        )
    if name == "client_encoding" and value.upper().replace("-", "") not in ("UTF8", "UNICODE", "SQL_ASCII", "DEFAULT"):
        raise ConsoleError("22023", f"the console speaks UTF8 only, not {value}")
    return Action(partial(_remember, name, value))


def _remember(name: str, value: str, state: SessionState) -> Outcome:
    state.variables[name] = _SESSION_SETTINGS[name] if value.upper() == "DEFAULT" else value
    reported = ((_REPORTED[name], state.variables[name]),) if name in _REPORTED else ()
    return Outcome("SET", reported=reported)


def _begin(_: Facts, statement: Statement) -> Action:
    def begin(state: SessionState) -> Outcome:
        state.transaction = IN_TRANSACTION
        return Outcome("BEGIN" if statement[0].text.upper() == "BEGIN" else "START TRANSACTION")

    return Action(begin)


def _end(tag: str, _: Facts, statement: Statement) -> Action:
    if any(token.text.upper() in ("TO", "PREPARED") for token in statement):
        raise ConsoleError("0A000", f"not supported in the console: {_quoted(statement)}", _HINT)

    def end(state: SessionState) -> Outcome:
        failed, state.transaction = state.transaction == FAILED, IDLE
        return Outcome("ROLLBACK" if failed else tag)

    return Action(end, ends_transaction=True)


def _noise(tag: str, _: Facts, __: Statement) -> Action:
    """Cleaning up that finds nothing to clean: a console session holds no such things."""
    return Action(lambda _: Outcome(tag))


def _reset(_: Facts, statement: Statement) -> Action:
    names = [token.text.lower() for token in statement[1:]]

    def reset(state: SessionState) -> Outcome:
        for name in list(state.variables) if names == ["all"] else names:
            state.variables.pop(name, None)
        return Outcome("RESET")

    return Action(reset)


def _discard(_: Facts, __: Statement) -> Action:
    def discard(state: SessionState) -> Outcome:
        state.variables.clear()
        state.prepared.clear()
        return Outcome("DISCARD ALL")

    return Action(discard)


def _deallocate(_: Facts, statement: Statement) -> Action:
    name = statement[-1].text if len(statement) > 1 else ""
    every = statement[-1].kind == "word" and name.upper() == "ALL"

    def deallocate(state: SessionState) -> Outcome:
        if every:
            state.prepared.clear()
        elif state.prepared.pop(name, _MISSING) is _MISSING:
            raise ConsoleError("26000", f'prepared statement "{name}" does not exist')
        return Outcome("DEALLOCATE ALL" if every else "DEALLOCATE")

    return Action(deallocate)


def _reload(facts: Facts, statement: Statement) -> Action:
    if len(statement) > 1:
        raise ConsoleError("42601", f"RELOAD takes nothing behind it: {_quoted(statement)}", _HINT)

    async def reload() -> Outcome:
        # Shielded: others may wait for the same reload.
        if problem := await asyncio.shield(facts.reload()):
            raise ConsoleError("08P01", f"configuration not reloaded, the old one stays in force: {problem}")
        return Outcome("RELOAD")

    def begin(state: SessionState) -> asyncio.Future[Outcome]:
        if not facts.may_change(state.user, state.over_unix_socket):
            raise ConsoleError("42501", "RELOAD is for users named in admin_users", "stats_users may only look.")
        return asyncio.ensure_future(reload())

    return Action(begin)


def _select(_: Facts, statement: Statement) -> Action:
    raise ConsoleError(
        "0A000",
        f"the console of howdah has no SELECT in this version: {_quoted(statement)}",
        'This is database "pgbouncer", the console of howdah; SHOW HELP lists what it understands.',
    )


_TABLES = {table.name.lower(): table for table in TABLES}
_VERBS: dict[str, Callable[[Facts, Statement], Action]] = {
    "SHOW": _show,
    "SET": _set,
    "RESET": _reset,
    "BEGIN": _begin,
    "START": _begin,
    "COMMIT": partial(_end, "COMMIT"),
    "END": partial(_end, "COMMIT"),
    "ROLLBACK": partial(_end, "ROLLBACK"),
    "ABORT": partial(_end, "ROLLBACK"),
    "DISCARD": _discard,
    "DEALLOCATE": _deallocate,
    "CLOSE": partial(_noise, "CLOSE CURSOR ALL"),
    "UNLISTEN": partial(_noise, "UNLISTEN"),
    "RELOAD": _reload,
    "SELECT": _select,
}
