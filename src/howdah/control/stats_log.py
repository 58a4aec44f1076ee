"""The line that log_stats asks for: averages of all databases together, once every stats_period."""

from collections.abc import Iterable

from howdah.control.console.averages import averaged, grown, summed
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.rows import StatsRow


class StatsLog:
    """Writes the difference between two readings.  `drop_in`: in PgBouncer's words."""

    def __init__(self, log: FilteringBoundLogger, at: float, *, drop_in: bool) -> None:
        self._log = log
        self._drop_in = drop_in
        self._at = at
        self._sum = StatsRow("")

    def sample(self, at: float, rows: Iterable[StatsRow], *, wanted: bool) -> None:
        """A period is over; its line is written if it is `wanted`."""
        before, self._sum = self._sum, summed("", rows)
        seconds, self._at = at - self._at, at
        if wanted and seconds > 0:
            self._write(_average(self._sum, before, seconds))

    def _write(self, average: StatsRow) -> None:
        if not self._drop_in:
            self._log.info("stats", **{name: value for name, value in average._asdict().items() if name != "database"})
            return
        text = (
            f"stats: {average.xact_count} xacts/s, {average.query_count} queries/s, "
            f"{average.client_parse_count} client parses/s, {average.server_parse_count} server parses/s, "
            f"{average.bind_count} binds/s, in {average.bytes_received} B/s, out {average.bytes_sent} B/s, "
            f"xact {average.xact_time_us} us, query {average.query_time_us} us, wait {average.wait_time_us} us"
        )
        self._log.info(text)


def _average(new: StatsRow, old: StatsRow, seconds: float) -> StatsRow:
    """Counts and bytes a second; times for each transaction, query and server given to a client."""
    return averaged(grown(old, new), seconds)
