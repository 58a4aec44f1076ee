"""Is the pooler alive, and is it ready for clients?

Asked by whoever decides about the process (an orchestrator, a load balancer): /healthz is "restart me if not", /readyz
is "send nobody to me if not".  Neither asks PostgreSQL: that it is down is no reason to restart its poolers, or to
take all of them out of service at once.
"""

import asyncio
import time
from typing import NamedTuple

#: Without a beat for so long the control plane hangs.
LONGEST_SILENCE_S = 15.0


class Answer(NamedTuple):
    good: bool
    text: str


class Health:
    """Written by the control plane, read by the thread that answers HTTP; each field in one assignment."""

    def __init__(self) -> None:
        self._beat_at = time.monotonic()
        self._stopping = ""

    async def run(self) -> None:
        """Say once a second that the control plane is alive, until cancelled."""
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(1.0)

    def stops(self, why: str) -> None:
        """No new clients from now on."""
        self._stopping = why

    def goes_on(self) -> None:
        """They may come again."""
        self._stopping = ""

    def alive(self) -> Answer:
        silence_s = time.monotonic() - self._beat_at
        if silence_s > LONGEST_SILENCE_S:
            return Answer(False, f"the control plane has not been heard of for {silence_s:.0f} s")
        return Answer(True, "alive")

    def ready(self) -> Answer:
        if self._stopping:
            return Answer(False, self._stopping)
        alive = self.alive()
        return Answer(True, "ready") if alive.good else alive
