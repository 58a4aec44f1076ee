"""The end of the process, as asked for by signals and by the console's SHUTDOWN: whom it waits for.

Asking again asks for something else: whoever has said WAIT_FOR_CLIENTS may say that it takes too long.
"""

import asyncio
import contextlib
import time
from enum import Enum
from typing import Protocol

from howdah.control.log import FilteringBoundLogger

_LOOK_EVERY_S = 0.02


class WaitFor(Enum):
    """The end comes ..."""

    NOBODY = "not at all"
    SERVERS = "for running transactions"  # when they are over: clients are sent away between two of them
    CLIENTS = "for the last client to leave"


class Ending(Protocol):
    """The part of the engine that ends."""

    def close_doors(self) -> None: ...
    def drain(self) -> None: ...
    def clients_left(self) -> int: ...


class Doors(Protocol):
    """Listening sockets."""

    def refuse(self) -> None: ...


class Shutdown:
    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._wait_for = WaitFor.NOBODY
        self._within: float | None = None
        self._news = asyncio.Event()

    @property
    def waited_for(self) -> WaitFor:
        """As asked for last."""
        return self._wait_for

    def ask(self, wait_for: WaitFor, within: float | None = None) -> None:
        """End; what takes longer than `within` seconds is not waited for."""
        self._wait_for, self._within = wait_for, within
        self._news.set()
        self.asked.set()

    async def carry_out(self, engine: Ending, doors: Doors, log: FilteringBoundLogger) -> None:
        """Wait for those who are to be waited for, while nobody comes any more but to the console."""
        while await self._wait(engine, doors, log):
            pass

    async def _wait(self, engine: Ending, doors: Doors, log: FilteringBoundLogger) -> bool:
        """As asked for last; whether something else has been asked for meanwhile."""
        self._news.clear()
        wait_for, within = self._wait_for, self._within
        if wait_for == WaitFor.NOBODY:
            return False
        if wait_for == WaitFor.SERVERS:
            engine.drain()
        else:
            engine.close_doors()
        # A moment for the workers to take their hands off the listening sockets; then the kernel refuses for us.
        await self._pause()
        doors.refuse()
        if clients := engine.clients_left():
            waits = wait_for.value if within is None else f"up to {within:g} s {wait_for.value}"
            log.info("stopping: a second signal, or SHUTDOWN, ends it at once", waits=waits, clients=clients)
        deadline = None if within is None else time.monotonic() + within
        while engine.clients_left() and (deadline is None or time.monotonic() < deadline):
            if await self._pause():
                return True
        if clients := engine.clients_left():
            log.warning("shutdown_timeout is over: ending what still runs", clients=clients)
        return False

    async def _pause(self) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
            return True
        return False
