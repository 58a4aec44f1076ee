"""The predecessor's side: it lends its listening sockets, then lets its clients go, one by one, as they become idle.

Until the successor says that it is up, nothing has changed.  A client is given up when the successor has said that it
has it; so whatever happens to the successor, those on the way come back, and we accept and go on as before.  Who cannot
go (a session, a temporary table, a transaction that does not end) is served here until it can, or leaves; then we end.
"""

import asyncio
import contextlib
import math
import os
import socket
import time
from collections.abc import Sequence
from typing import Protocol

import howdah
from howdah.control.log import FilteringBoundLogger
from howdah.control.shutdown import Shutdown, WaitFor
from howdah.control.succession.doorstep import peer_of
from howdah.control.succession.letters import (
    PROTOCOL,
    Ask,
    Cancel,
    Cannot,
    Client,
    Done,
    Door,
    Doors,
    Farewell,
    Have,
    Letter,
    Refusal,
    Up,
)
from howdah.control.succession.line import Line, LineFault
from howdah.dataplane.rows import DepartedClient

#: Clients on the way at a time: enough to keep both processes busy, few enough that none waits for long.
BERTHS = 128
_ANSWER_S = 10.0
#: From the listening sockets to the end of the successor's start.
_START_S = 120.0
#: A client that has been on the way for so long comes back.
LONGEST_WAY_S = 10.0
_LOOK_EVERY_S = 0.1
_AGAIN_S = 1.0
#: By then most have gone.
_USUAL_S = 5.0


class Departing(Protocol):
    """The part of the engine that clients leave from."""

    def lend_doors(self) -> None: ...
    def hand_over(self, berths: int) -> None: ...
    def stay(self) -> None: ...
    def more_berths(self, count: int) -> None: ...
    def departure_fd(self) -> int: ...
    def departures(self) -> list[DepartedClient]: ...
    def adopt(self, fd: int, baggage: bytes) -> None: ...
    def cancel(self, pid: int, secret: bytes) -> bool: ...
    def clients_left(self) -> int: ...
    def newcomers_left(self) -> int: ...


class House(Protocol):
    """What the process is to the outside world, apart from its clients."""

    def why_not(self) -> str: ...
    def doors(self) -> tuple[tuple[Door, ...], list[int]]: ...
    def disabled(self) -> Sequence[str]: ...
    def watchdog_s(self) -> float: ...
    def lend(self) -> None: ...
    def leave(self) -> None: ...
    def come_back(self, *, left: bool) -> None: ...
    def still_expects(self) -> bool: ...
    def pass_on(self, letter: Cancel) -> None: ...


class HandOver:
    def __init__(self, engine: Departing, house: House, shutdown: Shutdown, log: FilteringBoundLogger) -> None:
        self._engine = engine
        self._house = house
        self._shutdown = shutdown
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._others: set[asyncio.Task[None]] = set()
        self._successor = 0
        self._away: dict[int, tuple[DepartedClient, float]] = {}  # and since when
        self._sent: set[int] = set()
        self._arrived = 0
        self._news = asyncio.Event()
        self._left = False  # the successor is up
        self._forsaken = False  # it does not want to be succeeded by us
        self._told_why = False
        self._tell_at = math.inf  # ... of those who stay

    @property
    def under_way(self) -> bool:
        return self._left

    def greet(self, sock: socket.socket) -> None:
        """Somebody who may take over has come."""
        if self._task is not None and not self._task.done():
            other = asyncio.ensure_future(self._turn_away(Line(sock)))
            self._others.add(other)
            other.add_done_callback(self._others.discard)
            return
        self._successor, _ = peer_of(sock)
        self._task = asyncio.ensure_future(self._run(Line(sock)))

    async def close(self) -> None:
        """Break off what is under way."""
        tasks = {*self._others, *([self._task] if self._task is not None else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for client, _ in self._away.values():
            os.close(client.fd)

    async def _turn_away(self, line: Line) -> None:
        with contextlib.closing(line), contextlib.suppress(LineFault, TimeoutError):
            await asyncio.wait_for(line.receive(), _ANSWER_S)
            await line.send(Refusal(text=f"process {self._successor} is taking over already"))

    # --- the whole of it

    async def _run(self, line: Line) -> None:
        with contextlib.closing(line):
            try:
                if await self._agree(line):
                    await self._empty(line)
            except (LineFault, TimeoutError) as fault:
                self._broken_off(line, str(fault) or "it does not answer")
            except Exception:  # noqa: BLE001  # whatever it is, nobody may be left on the way
                self._log.exception("a fault in the hand-over")
                self._broken_off(line, "a fault of ours")

    async def _agree(self, line: Line) -> bool:
        """Whether the successor is up; else it has been refused, and nothing has changed."""
        letter, _ = await asyncio.wait_for(line.receive(), _ANSWER_S)
        if refusal := self._refusal(letter):
            self._log.warning(f"not handing over: {refusal}", to=self._successor)
            await line.send(Refusal(text=refusal))
            return False
        self._log.info("a new process wants to take over", process=self._successor)
        self._house.lend()
        self._engine.lend_doors()
        doors, fds = self._house.doors()
        await line.send(
            Doors(
                pid=os.getpid(), version=howdah.__version__, doors=doors, disabled=tuple(self._house.disabled()),
                watchdog_s=self._house.watchdog_s(),
            ),
            fds,
        )  # fmt: skip
        async with asyncio.timeout(_START_S):
            letter, _ = await line.receive()
            while isinstance(letter, Cancel):  # clients come to both of us already
                self._hear(letter)
                letter, _ = await line.receive()
        if not isinstance(letter, Up):
            raise LineFault(f"it says {letter.kind} out of turn")
        return True

    def _refusal(self, letter: Letter) -> str:
        if not isinstance(letter, Ask):
            return "it does not ask"
        if letter.protocol != PROTOCOL:
            return (
                f"howdah {howdah.__version__}, which runs, and {letter.version} do not understand each other here "
                f"(hand-over protocols {PROTOCOL} and {letter.protocol}); start the new one beside it instead"
            )
        return self._house.why_not()

    async def _empty(self, line: Line) -> None:
        """Until nobody is left."""
        loop = asyncio.get_running_loop()
        self._left = True
        self._tell_at = time.monotonic() + _USUAL_S
        self._house.leave()
        self._engine.hand_over(BERTHS)
        self._log.info("handing over: no new clients here any more", process=self._successor)
        reading = asyncio.ensure_future(self._read(line))
        reading.add_done_callback(lambda _: self._news.set())
        loop.add_reader(self._engine.departure_fd(), self._news.set)
        try:
            while self._somebody_is_left():
                await self._send_off(line)
                self._look_after()
                await self._wait()
                if reading.done():
                    reading.result()
            await line.send(Done())
        finally:
            loop.remove_reader(self._engine.departure_fd())
            reading.cancel()
            await asyncio.wait((reading,))
        self._log.info("all clients have been handed over", process=self._successor)
        self._shutdown.ask(WaitFor.CLIENTS)

    def _somebody_is_left(self) -> bool:
        """Here, on the way in (who comes in leaves again), or with a predecessor of ours."""
        engine = self._engine
        return engine.newcomers_left() > 0 or engine.clients_left() > 0 or self._house.still_expects()

    async def _send_off(self, line: Line) -> None:
        for client in self._engine.departures():
            self._away[client.number] = client, time.monotonic()
        for client, _ in tuple(self._away.values()):
            if client.number not in self._sent:
                self._sent.add(client.number)
                letter = Client(number=client.number, baggage=client.baggage)
                await asyncio.wait_for(line.send(letter, [client.fd]), LONGEST_WAY_S)

    async def _wait(self) -> None:
        """For news, or a while: whoever could not go before may be able to now."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
        self._news.clear()
        arrived, self._arrived = self._arrived, 0
        if not self._forsaken:
            self._engine.more_berths(arrived)

    def _look_after(self) -> None:
        now = time.monotonic()
        oldest = min((since for _, since in self._away.values()), default=now)
        if now - oldest > LONGEST_WAY_S:
            raise LineFault(f"it has not taken a client for {LONGEST_WAY_S:g} s")
        if now > self._tell_at:
            self._tell_at = math.inf
            left = self._engine.clients_left()
            self._log.info("clients that cannot go yet are served here until they can, or leave", clients=left)

    # --- what the successor says

    async def _read(self, line: Line) -> None:
        while True:
            letter, _ = await line.receive()
            self._hear(letter)

    def _hear(self, letter: Letter) -> None:
        if isinstance(letter, Have):
            if (client := self._returned(letter.number)) is not None:
                os.close(client.fd)
                self._arrived += 1
                self._news.set()
        elif isinstance(letter, Cannot):
            self._take_back(letter)
        elif isinstance(letter, Cancel):
            if not self._engine.cancel(letter.pid, letter.secret):
                self._house.pass_on(letter)
        elif isinstance(letter, Farewell):
            self._forsaken = True
            raise LineFault("it stops")
        else:
            raise LineFault(f"it says {letter.kind} out of turn")

    def _returned(self, number: int) -> DepartedClient | None:
        client, _ = self._away.pop(number, (None, 0.0))
        self._sent.discard(number)
        return client

    def _take_back(self, letter: Cannot) -> None:
        """It stays for a while; then it may try again."""
        client = self._returned(letter.number)
        if client is None:
            return
        if not self._told_why:
            self._told_why = True
            self._log.warning(
                f"the new process cannot take a client: {letter.text}; it stays here", client=letter.number
            )
        self._engine.adopt(client.fd, client.baggage)
        asyncio.get_running_loop().call_later(_AGAIN_S, self._engine.more_berths, 1)

    # --- when it comes to nothing

    def _broken_off(self, line: Line, why: str) -> None:
        """Those of whom the successor has not said that it has them are ours still."""
        line.hang_up()
        with contextlib.suppress(LineFault):
            while (found := line.receive_now()) is not None:
                if isinstance(found[0], Have):
                    self._hear(found[0])
        self._stop_leaving()
        left = [client for client, _ in self._away.values()] + self._engine.departures()
        self._away.clear()
        self._sent.clear()
        for client in left:
            self._engine.adopt(client.fd, client.baggage)
        self._stop_leaving()  # once more: when this returns they are there again
        self._engine.more_berths(self._arrived + len(left))
        self._arrived = 0
        what = "no new clients here, as it was told to stop" if self._forsaken else "going on as before"
        self._log.warning(f"hand-over broken off: {why}; {what}", process=self._successor)
        if self._forsaken:
            self._shutdown.ask(WaitFor.CLIENTS)
            return
        self._house.come_back(left=self._left)
        self._left = False

    def _stop_leaving(self) -> None:
        if self._forsaken:
            self._engine.hand_over(0)
        else:
            self._engine.stay()
