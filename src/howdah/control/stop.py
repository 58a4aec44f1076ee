"""The end of the process: asked for once, it lets running transactions finish for a while; twice, it comes at once."""

import asyncio
import contextlib
import time
from typing import Protocol

from howdah.control.dropin.signals import WaitFor
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.engine import Totals

_DRAIN_POLL_S = 0.02


class Drained(Protocol):
    """The part of the engine that stops."""

    def drain(self) -> None: ...
    def totals(self) -> Totals: ...


class Doors(Protocol):
    """The listening sockets."""

    def refuse(self) -> None: ...


class Stop:
    """What signals bring about.  `Operations` of `dropin.signals`, as far as a stop goes."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self.asked = asyncio.Event()
        self._at_once = asyncio.Event()
        self.waited_for = WaitFor.NOBODY

    @property
    def stopping(self) -> bool:
        return self.asked.is_set()

    def shutdown(self, wait_for: WaitFor) -> None:
        self.waited_for = wait_for
        if wait_for == WaitFor.NOBODY:
            self._at_once.set()
        self.asked.set()

    def pause(self) -> None:
        self._log.warning("PAUSE is not available")

    def resume(self) -> None:
        self._log.warning("RESUME is not available")

    def again(self, name: str) -> None:
        """The signal `name` came, the first or the second time."""
        if self.stopping:
            self._log.warning(f"{name} again: stopping at once")
            self._at_once.set()
        self.asked.set()

    async def drain(self, engine: Drained, doors: Doors, seconds: float) -> None:
        """Let running transactions end, for a while; new clients are turned away meanwhile."""
        engine.drain()
        if self._at_once.is_set():
            return
        # A moment for the workers to take their hands off the listening sockets; then the kernel refuses for us.
        await asyncio.sleep(_DRAIN_POLL_S)
        doors.refuse()
        deadline = time.monotonic() + seconds
        if clients := engine.totals().clients:
            self._log.info(
                f"stopping: up to {seconds:g} s for running transactions; Ctrl-C or SIGTERM: at once", clients=clients
            )
        while engine.totals().clients and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._at_once.wait(), _DRAIN_POLL_S)
                return
        if clients := engine.totals().clients:
            self._log.warning("shutdown_timeout is over: ending what still runs", clients=clients)
