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
        """Counts and bytes per second, xact_time and query_time per item, wait_time per second; microseconds."""
        seconds = self._newer.at - self._older.at
        new = self._newer.totals.get(database)
        if new is None or seconds <= 0:
            return StatsRow(database)
        old = self._older.totals.get(database, StatsRow(database))

        def per_second(later: int, earlier: int) -> int:
            return int((later - earlier) / seconds)

        return StatsRow(
            database=database,
            server_assignment_count=per_second(new.server_assignment_count, old.server_assignment_count),
            xact_count=per_second(new.xact_count, old.xact_count),
            query_count=per_second(new.query_count, old.query_count),
            bytes_received=per_second(new.bytes_received, old.bytes_received),
            bytes_sent=per_second(new.bytes_sent, old.bytes_sent),
            xact_time_us=_per_item(new.xact_time_us - old.xact_time_us, new.xact_count - old.xact_count),
            query_time_us=_per_item(new.query_time_us - old.query_time_us, new.query_count - old.query_count),
            wait_time_us=per_second(new.wait_time_us, old.wait_time_us),
            client_parse_count=per_second(new.client_parse_count, old.client_parse_count),
            server_parse_count=per_second(new.server_parse_count, old.server_parse_count),
            bind_count=per_second(new.bind_count, old.bind_count),
            client_login_count=per_second(new.client_login_count, old.client_login_count),
        )


def _per_item(time_us: int, count: int) -> int:
    return time_us // count if count > 0 else 0
