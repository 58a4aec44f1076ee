"""Which console client has which session; called by the control plane's inbox with the engine's console events."""

from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from howdah.control.console import messages
from howdah.control.console.action import ConsoleError
from howdah.control.console.commands import Commands
from howdah.control.console.session import Answer, Session
from howdah.control.console.show import ConsoleUse
from howdah.control.log import logger
from howdah.dataplane.rows import Event, EventKind


class Post(Protocol):
    """The part of the engine that carries answers to console clients."""

    def console_send(self, client: int, data: bytes, close: bool) -> None: ...


class Desk:
    def __init__(self, post: Post, commands: Commands, use: ConsoleUse) -> None:
        self._post = post
        self._commands = commands
        self._use = use
        self._sessions: dict[int, Session] = {}
        self._waiting: dict[int, Future[Any]] = {}  # what a session's statement waits for

    def handle(self, event: Event) -> None:
        if event.kind == EventKind.CONSOLE_OPEN:
            user = event.user or _startup_parameter(event.detail, b"user")
            application = _startup_parameter(event.detail, b"application_name")
            self._sessions[event.id] = Session(self._commands, user, event.address.startswith("unix"), application)
            self._use.users[event.id] = user
            self._use.programs[event.id] = application
        elif event.kind == EventKind.CONSOLE_DATA:
            self._answer(event.id, lambda session: session.receive(event.detail))
        elif event.kind == EventKind.CONSOLE_CANCEL:
            self._cancel(event.id)
        else:
            self._forget(event.id)

    def _cancel(self, client: int) -> None:
        waiting = self._waiting.get(client)
        if waiting is not None:
            self._sessions[client].undo()
            waiting.cancel()

    def _answer(self, client: int, ask: Callable[[Session], Answer]) -> None:
        session = self._sessions.get(client)
        if session is None:
            return  # closed by us, or gone: what it had sent before
        before = session.statements
        answer = self._guarded(client, session, ask)
        self._use.statements += session.statements - before
        if answer.waits_for is not None:
            self._waiting[client] = answer.waits_for
        if answer.close:
            self._forget(client)
        if answer.data or answer.close:
            self._post.console_send(client, answer.data, answer.close)
        if answer.waits_for is not None:
            answer.waits_for.add_done_callback(partial(self._resume, client))

    def _resume(self, client: int, done: Future[Any]) -> None:
        if self._waiting.get(client) is done:
            del self._waiting[client]
        if not done.cancelled():
            done.exception()  # seen to, even if the client has gone
        self._answer(client, Session.resume)

    def _forget(self, client: int) -> None:
        self._sessions.pop(client, None)
        self._use.users.pop(client, None)
        self._use.programs.pop(client, None)
        waiting = self._waiting.pop(client, None)
        if waiting is not None:
            waiting.cancel()  # nobody is left to hear of it; what it has begun goes on

    @staticmethod
    def _guarded(client: int, session: Session, ask: Callable[[Session], Answer]) -> Answer:
        """A fault of ours ends the session, not the control plane."""
        try:
            return ask(session)
        except Exception:  # noqa: BLE001  # whatever it is: the others go on
            logger().exception("console session failed", id=client)
            failure = ConsoleError("XX000", "internal error in the console", "See howdah's log.", severity="FATAL")
            return Answer(messages.error(failure), True)


def _startup_parameter(parameters: bytes, name: bytes) -> str:
    """A value of the startup packet: names and values in turn, each ended by a NUL."""
    parts = parameters.split(b"\0")
    return dict(zip(parts[::2], parts[1::2], strict=False)).get(name, b"").decode(errors="replace")
