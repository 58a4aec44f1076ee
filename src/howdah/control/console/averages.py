"""Averages of SHOW STATS: the last full stats_period, per second or per item, as PgBouncer defines them."""

from collections.abc import Iterable
from dataclasses import dataclass

from howdah.dataplane.rows import StatsRow


@dataclass(frozen=True, slots=True)
class Sample:
    at: float  # seconds of the monotonic clock
    totals: dict[str, StatsRow]  # by database


class Averages:
    """Keeps the two latest samples.  Before the first period is over all averages are 0."""

    def __init__(self, at: float) -> None:
        self._older = self._newer = Sample(at, {})

    def sample(self, at: float, rows: Iterable[StatsRow]) -> None:
        self._older, self._newer = self._newer, Sample(at, {row.database: row for row in rows})

    def of(self, database: str) -> StatsRow:
        """Counts and bytes per second; microseconds for each transaction, query and server given to a client."""
        new = self._newer.totals.get(database)
        if new is None:
            return StatsRow(database)
        return self._between(self._older.totals.get(database, StatsRow(database)), new)

    def of_all(self) -> StatsRow:
        """The same for all databases together."""
        return self._between(summed("", self._older.totals.values()), summed("", self._newer.totals.values()))

    def _between(self, old: StatsRow, new: StatsRow) -> StatsRow:
        seconds = self._newer.at - self._older.at
        return averaged(grown(old, new), seconds) if seconds > 0 else StatsRow(new.database)


def summed(name: str, rows: Iterable[StatsRow]) -> StatsRow:
    """One row for all of them."""
    numbers = [row[1:] for row in rows]
    return StatsRow(name, *map(sum, zip(*numbers, strict=True)))


def grown(old: StatsRow, new: StatsRow) -> StatsRow:
    """What has come between two readings; a database that was gone in between has begun anew."""
    began_anew = any(later < earlier for later, earlier in zip(new[1:], old[1:], strict=True))
    before = StatsRow("") if began_anew else old
    return StatsRow(new.database, *(later - earlier for later, earlier in zip(new[1:], before[1:], strict=True)))


def averaged(row: StatsRow, seconds: float) -> StatsRow:
    """Per second, times per item."""
    rates = StatsRow(row.database, *(int(count / seconds) for count in row[1:]))
    return rates._replace(
        xact_time_us=per_item(row.xact_time_us, row.xact_count),
        query_time_us=per_item(row.query_time_us, row.query_count),
        wait_time_us=per_item(row.wait_time_us, row.server_assignment_count),
    )


def per_item(time_us: int, count: int) -> int:
    return time_us // count if count > 0 else 0
