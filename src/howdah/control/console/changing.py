"""SET and RELOAD: what puts another configuration into force."""

import asyncio
from functools import partial

from howdah.control.config import GlobalSettings
from howdah.control.console.action import Action, ConsoleError, Outcome, SessionState, invalid
from howdah.control.console.driver_words import SESSION_SETTINGS, remember
from howdah.control.console.reading import require_admin
from howdah.control.console.statements import Statement, Token
from howdah.control.console.table import Facts

#: Their values are nobody else's business.
_SECRET = frozenset(("auth_ldap_options",))


def set_value(facts: Facts, statement: Statement) -> Action:
    tokens = list(statement[1:])
    while tokens and _is(tokens[0], "SESSION", "LOCAL"):
        tokens = tokens[1:]
    words = [token.text.upper() for token in tokens[:2]]
    if words in (["CHARACTERISTICS", "AS"], ["TRANSACTION", "ISOLATION"]):
        return Action(lambda _: Outcome("SET"))
    if words == ["TIME", "ZONE"]:
        tokens = [Token("word", "timezone"), Token("symbol", "="), *tokens[2:]]
    if len(tokens) < 3 or not _is(tokens[1], "=", "TO"):
        raise invalid(statement, "Write SET name = value.")
    name, value = tokens[0].text.lower(), tokens[2:]
    if name in SESSION_SETTINGS and name not in GlobalSettings.model_fields:
        return remember(name, "".join(token.text for token in value))
    if len(value) > 1 and any(token.gap or token.kind == "string" for token in value[1:]):
        raise invalid(statement, "Write a value of several words in quotes.")
    return Action(partial(_change, facts, name, "".join(token.text for token in value)))


def _is(token: Token, *words: str) -> bool:
    return token.kind in ("word", "symbol") and token.text.upper() in words


def _change(facts: Facts, name: str, value: str, state: SessionState) -> asyncio.Future[Outcome]:
    require_admin(facts.may_change, state, "SET")

    async def change() -> Outcome:
        # Shielded: what has begun is done, whether or not the client waits for it.
        problem, _, advice = (await asyncio.shield(facts.change(name, value))).partition("; ")
        if problem:
            raise ConsoleError("08P01", f"SET failed: {problem}", _sentence(advice))
        return Outcome("SET" if name in _SECRET else f"SET {name}={value}")

    return asyncio.ensure_future(change())


def _sentence(advice: str) -> str:
    if not advice:
        return ""
    return advice[0].upper() + advice[1:] + ("" if advice.endswith(("?", ".")) else ".")


def reload(facts: Facts, statement: Statement) -> Action:
    if len(statement) > 1:
        raise invalid(statement, "RELOAD takes nothing behind it.")

    async def wait() -> Outcome:
        # Shielded: others may wait for the same reload.
        reloaded = await asyncio.shield(facts.reload())
        if reloaded.problem:
            raise ConsoleError("08P01", f"configuration not reloaded, the old one stays in force: {reloaded.problem}")
        count = len(reloaded.changes)
        notice = f"configuration reloaded: {count} {'change' if count == 1 else 'changes'}" if count else ""
        return Outcome("RELOAD", notice=notice, detail="\n".join(reloaded.changes))

    def begin(state: SessionState) -> asyncio.Future[Outcome]:
        require_admin(facts.may_change, state, "RELOAD")
        return asyncio.ensure_future(wait())

    return Action(begin)
