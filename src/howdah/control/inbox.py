"""The data plane's events, taken from the engine and handed to whom they concern.

That is the console's desk, the desk for logins that must ask the outside world, or the journal.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from howdah.control.console.desk import Desk
from howdah.control.journal import EventLog
from howdah.control.log import logger
from howdah.dataplane.rows import Event, EventKind

#: Events handled in one turn of the loop: with thousands waiting, signals and the console still get their turn.
BATCH = 512
_LOGINS = (EventKind.AUTH_WANTED, EventKind.AUTH_STALE)
_CONSOLE = (EventKind.CONSOLE_OPEN, EventKind.CONSOLE_DATA, EventKind.CONSOLE_CANCEL, EventKind.CONSOLE_CLOSED)


class Source(Protocol):
    """The part of the engine events come from."""

    def event_fd(self) -> int: ...
    def events(self) -> list[Event]: ...


class Logins(Protocol):
    """The part of the desk for logins that takes events."""

    def handle(self, event: Event) -> None: ...


class Inbox:
    def __init__(
        self,
        source: Source,
        desk: Desk,
        logins: Logins,
        journal: EventLog,
        elsewhere: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._desk = desk
        self._logins = logins
        self._journal = journal
        self._elsewhere = elsewhere  # gets what is for a client of another process
        self._waiting: deque[Event] = deque()
        self._fd = -1

    def open(self) -> None:
        """Handle events from now on, on the running loop."""
        self._fd = self._source.event_fd()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Handle what has come, and no more.  Idempotent; to be called after the engine has stopped."""
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        self._fd = -1
        self._waiting += self._source.events()
        self._handle(len(self._waiting))

    def _readable(self) -> None:
        if not self._waiting:
            self._waiting += self._source.events()
            self._turn()

    def _turn(self) -> None:
        self._handle(BATCH)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)

    def _handle(self, most: int) -> None:
        now = time.monotonic()
        for _ in range(min(most, len(self._waiting))):
            event = self._waiting.popleft()
            try:
                self._hand_on(event, now)
            except Exception:  # noqa: BLE001  # whatever it is: the events behind it are not to wait for ever
                logger().exception("an event could not be handled", kind=event.kind.name, id=event.id)

    def _hand_on(self, event: Event, now: float) -> None:
        if event.kind in _CONSOLE:
            self._desk.handle(event)
            if event.kind in (EventKind.CONSOLE_OPEN, EventKind.CONSOLE_CLOSED):
                self._journal.write(event, now)
        elif event.kind == EventKind.CANCEL_ELSEWHERE:
            self._elsewhere(event)
        elif event.kind in _LOGINS:
            self._logins.handle(event)
        else:
            self._journal.write(event, now)
