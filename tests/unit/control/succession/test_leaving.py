"""The predecessor's side, with an engine and a house that only note what is done to them."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest

from howdah.control.log import logger
from howdah.control.shutdown import Shutdown, WaitFor
from howdah.control.succession import leaving
from howdah.control.succession.leaving import HandOver
from howdah.control.succession.letters import (
    PROTOCOL,
    Ask,
    Cancel,
    Client,
    Done,
    Door,
    Doors,
    Farewell,
    Have,
    Letter,
    Up,
)
from howdah.control.succession.line import Line
from howdah.dataplane.rows import DepartedClient


class Engine:
    """Has clients, which leave when they are let."""

    def __init__(self, count: int) -> None:
        self.news, self._write = os.pipe()
        self.here = {number: os.open(os.devnull, os.O_RDONLY) for number in range(count)}
        self.gone: set[int] = set()
        self.did: list[str] = []

    def lend_doors(self) -> None:
        self.did.append("lends")

    def hand_over(self, berths: int) -> None:
        self.did.append(f"leaves {berths}")

    def stay(self) -> None:
        self.did.append("stays")

    def more_berths(self, count: int) -> None:
        self.gone = self.gone if count == 0 else set()

    def departure_fd(self) -> int:
        return self.news

    def departures(self) -> list[DepartedClient]:
        found = [DepartedClient(number, fd, b"baggage") for number, fd in self.here.items()]
        self.gone |= self.here.keys()
        self.here.clear()
        return found

    def adopt(self, fd: int, baggage: bytes) -> None:
        assert baggage == b"baggage"
        self.here[fd] = fd

    def cancel(self, pid: int, secret: bytes) -> bool:
        self.did.append(f"cancels {pid} {secret!r}")
        return False

    def clients_left(self) -> int:
        return len(self.here) + len(self.gone)

    def newcomers_left(self) -> int:
        return 0

    def close(self) -> None:
        for fd in (self.news, self._write, *self.here.values()):
            os.close(fd)


class House:
    def __init__(self) -> None:
        self.did: list[str] = []

    def why_not(self) -> str:
        return ""

    def doors(self) -> tuple[tuple[Door, ...], list[int]]:
        return (), []

    def disabled(self) -> Sequence[str]:
        return ()

    def watchdog_s(self) -> float:
        return 0.0

    def lend(self) -> None:
        self.did.append("lends")

    def leave(self) -> None:
        self.did.append("leaves")

    def come_back(self, *, left: bool) -> None:
        self.did.append(f"comes back, left={left}")

    def still_expects(self) -> bool:
        return False

    def pass_on(self, letter: Cancel) -> None:
        self.did.append(f"passes {letter.pid} on")


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(3)
    yield engine
    engine.close()


class Story:
    """A hand-over up to the moment when all clients are on their way."""

    def __init__(self, engine: Engine) -> None:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.house, self.shutdown = House(), Shutdown()
        self.hand_over = HandOver(engine, self.house, self.shutdown, logger())
        self.hand_over.greet(own)
        self.successor = Line(other)
        self.clients: list[int] = []

    async def begin(self, count: int) -> None:
        await self.say(Ask(protocol=PROTOCOL, version="1", pid=1))
        assert isinstance(await self.hear(), Doors)
        await self.say(Up())
        for _ in range(count):
            letter = await self.hear()
            assert isinstance(letter, Client)
            self.clients.append(letter.number)

    async def say(self, letter: Letter) -> None:
        await self.successor.send(letter)

    async def hear(self) -> Letter:
        letter, fds = await self.successor.receive()
        for fd in fds:
            os.close(fd)
        return letter

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def end(self) -> None:
        await self.hand_over.close()
        self.successor.close()


def test_it_ends_when_the_successor_has_all(engine: Engine) -> None:
    async def story() -> None:
        story = Story(engine)
        await story.begin(3)
        for number in story.clients:
            await story.say(Have(number=number))
        assert isinstance(await story.hear(), Done)
        await story.until(story.shutdown.asked.is_set)
        assert story.shutdown.waited_for == WaitFor.CLIENTS
        assert story.house.did == ["lends", "leaves"]
        await story.end()

    asyncio.run(story())


def test_clients_come_back_from_a_successor_that_hangs(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "LONGEST_WAY_S", 0.05)

    async def story() -> None:
        story = Story(engine)
        await story.begin(3)
        await story.until(lambda: len(engine.here) == 3)
        assert story.house.did == ["lends", "leaves", "comes back, left=True"]
        assert engine.did[-1] == "stays"
        assert not story.shutdown.asked.is_set()
        await story.end()

    asyncio.run(story())


def test_nobody_takes_the_place_of_a_successor_that_was_told_to_stop(engine: Engine) -> None:
    async def story() -> None:
        story = Story(engine)
        await story.begin(3)
        await story.say(Have(number=story.clients[0]))
        await story.say(Farewell())
        await story.until(story.shutdown.asked.is_set)
        assert len(engine.here) == 2
        assert story.house.did == ["lends", "leaves"]
        assert engine.did[-1] == "leaves 0"
        await story.end()

    asyncio.run(story())


def test_a_successor_that_fails_to_come_up_changes_nothing(engine: Engine) -> None:
    async def story() -> None:
        story = Story(engine)
        await story.say(Ask(protocol=PROTOCOL, version="1", pid=1))
        assert isinstance(await story.hear(), Doors)
        story.successor.hang_up()
        await story.until(lambda: len(story.house.did) == 2)
        assert story.house.did == ["lends", "comes back, left=False"]
        assert len(engine.here) == 3
        await story.end()

    asyncio.run(story())
