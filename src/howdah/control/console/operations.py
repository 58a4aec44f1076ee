"""The console's commands that do something: PgBouncer's PAUSE and its like, in its words and with its SQLSTATE."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

from howdah.control.console.action import Action, ConsoleError, Outcome, SessionState, invalid
from howdah.control.console.reading import require_admin
from howdah.control.console.statements import Statement
from howdah.control.console.table import Rights
from howdah.control.operations import NotPossible, Operations
from howdah.control.shutdown import WaitFor

_MODES = {"": WaitFor.NOBODY, "WAIT_FOR_SERVERS": WaitFor.SERVERS, "WAIT_FOR_CLIENTS": WaitFor.CLIENTS}


class _Command(NamedTuple):
    begin: Callable[[Operations, str | None], None]
    wait: Callable[[Operations, str | None], Coroutine[Any, Any, None]] | None = None  # until it has come to its end
    takes: str = "[db]"  # "": nothing
    undo: Callable[[Operations, str | None], None] = lambda *_: None  # when who waits for it cancels it


def _with_database(
    do: Callable[[Operations, str], None],
) -> Callable[[Operations, str | None], None]:
    def begin(operations: Operations, database: str | None) -> None:
        if database is None:
            raise NotPossible("a database is required")
        do(operations, database)

    return begin


def _kill_client(operations: Operations, client: str | None) -> None:
    if client is None or not client.isascii() or not client.isdigit() or len(client) > 19:
        raise NotPossible("invalid client pointer supplied")
    operations.kill_client(int(client))


def _shutdown(operations: Operations, mode: str) -> None:
    operations.shutdown(_MODES[mode], command=f"SHUTDOWN {mode}".rstrip())


COMMANDS: dict[str, _Command] = {
    "PAUSE": _Command(Operations.pause, Operations.paused, undo=Operations.undo),
    "RESUME": _Command(Operations.resume),
    "DISABLE": _Command(_with_database(Operations.disable), takes="db"),
    "ENABLE": _Command(_with_database(Operations.enable), takes="db"),
    "RECONNECT": _Command(Operations.reconnect),
    "WAIT_CLOSE": _Command(Operations.may_wait_close, Operations.reconnected),
    "KILL": _Command(Operations.kill),
    "KILL_CLIENT": _Command(_kill_client, takes="id"),
    "SUSPEND": _Command(
        lambda operations, _: operations.suspend(),
        lambda operations, _: operations.suspended(),
        takes="",
        undo=Operations.undo,
    ),
    "SHUTDOWN": _Command(
        lambda operations, mode: _shutdown(operations, (mode or "").upper()),
        takes="[WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]",
    ),
}


def action(operations: Operations, may_change: Rights, statement: Statement) -> Action:
    """Of a statement whose first word is one of COMMANDS."""
    name = statement[0].text.upper()
    argument = _argument(name, statement)
    return Action(
        partial(_perform, operations, may_change, name, argument),
        undo=partial(COMMANDS[name].undo, operations, argument),
    )


def _argument(name: str, statement: Statement) -> str | None:
    """The word behind the command."""
    fits = len(statement) <= (2 if COMMANDS[name].takes else 1)
    if fits and len(statement) == 2:
        fits = statement[1].kind in ("word", "name")
    if fits and name == "SHUTDOWN":
        fits = len(statement) == 1 or statement[1].text.upper() in _MODES
    if not fits:
        raise invalid(statement, f"It is {name} {COMMANDS[name].takes}".rstrip())
    return statement[1].text if len(statement) == 2 else None


def _perform(
    operations: Operations, may_change: Rights, name: str, argument: str | None, state: SessionState
) -> Outcome | asyncio.Future[Outcome]:
    require_admin(may_change, state, name)
    command = COMMANDS[name]
    try:
        command.begin(operations, argument)
    except NotPossible as failure:
        raise ConsoleError("08P01", str(failure)) from None
    if name == "SHUTDOWN" and argument is None:
        return asyncio.get_running_loop().create_future()  # the answer is the end of the connection
    if command.wait is None:
        return Outcome(name)
    return asyncio.ensure_future(_wait(name, command.wait(operations, argument)))


async def _wait(name: str, done: Coroutine[Any, Any, None]) -> Outcome:
    try:
        await done
    except NotPossible as failure:
        raise ConsoleError("57014", str(failure)) from None
    return Outcome(name)
