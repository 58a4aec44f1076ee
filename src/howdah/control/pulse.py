"""What happens once a second: the live line, the averages of SHOW STATS, summaries of held-back log lines.

Samples for averages are a whole number of seconds apart: stats_period, rounded up.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from howdah.control.config.schema import GlobalSettings
from howdah.control.console.averages import Averages
from howdah.control.journal import EventLog
from howdah.control.live import Screen, compose
from howdah.control.log import FilteringBoundLogger
from howdah.control.stats_log import StatsLog
from howdah.dataplane.engine import Totals
from howdah.dataplane.rows import StatsRow


class Measured(Protocol):
    """The part of the engine that is read here."""

    def totals(self) -> Totals: ...
    def stats(self) -> list[StatsRow]: ...


class Pulse:
    def __init__(
        self,
        engine: Measured,
        journal: EventLog,
        averages: Averages,
        stats_log: StatsLog,
        settings: Callable[[], GlobalSettings],
        screen: Screen | None,
        log: FilteringBoundLogger,
    ) -> None:
        """`screen` is None when no live line is wanted."""
        self._engine = engine
        self._journal = journal
        self._averages = averages
        self._stats_log = stats_log
        self._settings = settings
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
        settings = self._settings()
        if now - self._sampled_at >= settings.stats_period:
            rows = self._engine.stats()
            self._averages.sample(now, rows)
            self._stats_log.sample(now, rows, wanted=settings.log_stats)
            self._sampled_at = now
        self._totals, self._at = totals, now

    def _tell_lost(self, totals: Totals, now: float) -> None:
        lost = totals.events_lost - self._totals.events_lost
        if lost > 0 and now - self._lost_told_at >= 10.0:
            self._log.warning("events came faster than they could be logged; some are missing", lost=lost)
            self._lost_told_at = now
