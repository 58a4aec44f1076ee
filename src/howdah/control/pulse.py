"""What happens once a second: the live line, the averages of SHOW STATS, summaries of held-back log lines."""

import asyncio
import time
from typing import Protocol

from howdah.control.console.averages import Averages
from howdah.control.journal import Journal
from howdah.control.live import Screen, compose
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.engine import Totals
from howdah.dataplane.rows import StatsRow

#: SHOW STATS averages over this many seconds, PgBouncer's default of stats_period.
STATS_PERIOD_S = 60.0


class Measured(Protocol):
    """The part of the engine that is read here."""

    def totals(self) -> Totals: ...
    def stats(self) -> list[StatsRow]: ...


class Pulse:
    def __init__(
        self, engine: Measured, journal: Journal, averages: Averages, screen: Screen | None, log: FilteringBoundLogger
    ) -> None:
        """`screen` is None when no live line is wanted."""
        self._engine = engine
        self._journal = journal
        self._averages = averages
        self._screen = screen
        self._log = log
        self._totals = engine.totals()
        self._at = self._sampled_at = time.monotonic()
        self._lost_told_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self.beat(time.monotonic())

    def beat(self, now: float) -> None:
        totals = self._engine.totals()
        self._journal.summarize(now)
        if self._screen is not None and now > self._at:
            self._screen.show(compose(totals, self._totals, now - self._at))
        self._tell_lost(totals, now)
        if now - self._sampled_at >= STATS_PERIOD_S:
            self._averages.sample(now, self._engine.stats())
            self._sampled_at = now
        self._totals, self._at = totals, now

    def _tell_lost(self, totals: Totals, now: float) -> None:
        lost = totals.events_lost - self._totals.events_lost
        if lost > 0 and now - self._lost_told_at >= 10.0:
            self._log.warning("events came faster than they could be logged; some are missing", lost=lost)
            self._lost_told_at = now
