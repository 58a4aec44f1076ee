"""The inbox: every event reaches the right one, thousands of them without holding up the loop."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from howdah.control.inbox import BATCH, Inbox
from howdah.dataplane.rows import Event, EventKind


class Engine:
    """Events behind an eventfd."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._events: list[Event] = []

    def put(self, *events: Event) -> None:
        self._events += events
        os.eventfd_write(self._fd, 1)

    def event_fd(self) -> int:
        return self._fd

    def events(self) -> list[Event]:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            pass  # asked although nothing has come
        taken, self._events = self._events, []
        return taken

    def close(self) -> None:
        os.close(self._fd)


class Logins:
    """The desk for logins."""

    def __init__(self) -> None:
        self.asked: list[Event] = []

    def handle(self, event: Event) -> None:
        self.asked.append(event)


class Reader:
    """The console's desk and the journal in one."""

    def __init__(self) -> None:
        self.logins = Logins()
        self.handled: list[Event] = []
        self.written: list[Event] = []
        self.passed_on: list[Event] = []

    @property
    def count(self) -> int:
        return len(self.handled) + len(self.written) + len(self.logins.asked) + len(self.passed_on)

    def handle(self, event: Event) -> None:
        self.handled.append(event)

    def write(self, event: Event, _: float) -> None:
        self.written.append(event)


def _event(kind: EventKind, number: int) -> Event:
    return Event(kind, 0, 0, number, "", "", "", "", 0, b"")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def _inbox(engine: Engine, reader: Any) -> Inbox:
    return Inbox(engine, reader, reader.logins, reader, reader.passed_on.append)


def test_each_event_goes_to_whom_it_concerns(engine: Engine) -> None:
    async def story() -> None:
        reader = Reader()
        inbox = _inbox(engine, reader)
        inbox.open()
        events = [_event(kind, int(kind)) for kind in EventKind]
        engine.put(*events)
        async with asyncio.timeout(10):
            while reader.count < len(events) + 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert [event.kind.name for event in reader.passed_on] == ["CANCEL_ELSEWHERE"]
        consoles = ["CONSOLE_OPEN", "CONSOLE_DATA", "CONSOLE_CLOSED", "CONSOLE_CANCEL"]
        assert [event.kind.name for event in reader.handled] == consoles
        assert [event.kind.name for event in reader.logins.asked] == ["AUTH_WANTED", "AUTH_STALE"]
        written = [event.kind.name for event in reader.written]
        assert [name for name in written if name.startswith("CONSOLE")] == ["CONSOLE_OPEN", "CONSOLE_CLOSED"]
        assert not [name for name in written if name.startswith("AUTH")]
        inbox.close()

    asyncio.run(story())


def test_a_flood_of_events_leaves_the_loop_its_turns(engine: Engine) -> None:
    async def story() -> None:
        reader = Reader()
        inbox = _inbox(engine, reader)
        inbox.open()
        total = BATCH * 20 + 3
        engine.put(*(_event(EventKind.CLIENT_CLOSED, number) for number in range(total)))
        turns = 0
        async with asyncio.timeout(10):
            while len(reader.written) < total:
                await asyncio.sleep(0)
                turns += 1
        assert turns >= 20
        assert [event.id for event in reader.written] == list(range(total))
        inbox.close()

    asyncio.run(story())


def test_closing_handles_what_has_come(engine: Engine) -> None:
    async def story() -> None:
        reader = Reader()
        inbox = _inbox(engine, reader)
        inbox.open()
        engine.put(_event(EventKind.CLIENT_CLOSED, 1))
        inbox.close()
        inbox.close()
        assert [event.id for event in reader.written] == [1]

    asyncio.run(story())


def test_an_event_that_cannot_be_handled_holds_up_no_other(engine: Engine) -> None:
    class Failing(Reader):
        def write(self, event: Event, now: float) -> None:
            if event.id == 1:
                raise RuntimeError("surprise")
            super().write(event, now)

    async def story() -> None:
        reader = Failing()
        inbox = _inbox(engine, reader)
        inbox.open()
        engine.put(*(_event(EventKind.CLIENT_CLOSED, number) for number in (1, 2)))
        async with asyncio.timeout(10):
            while len(reader.written) < 1:  # noqa: ASYNC110
                await asyncio.sleep(0)
        engine.put(_event(EventKind.CONSOLE_OPEN, 3))
        async with asyncio.timeout(10):
            while not reader.handled:  # noqa: ASYNC110
                await asyncio.sleep(0)
        inbox.close()

    asyncio.run(story())
