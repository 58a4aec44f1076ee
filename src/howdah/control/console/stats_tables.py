"""The tables of SHOW about what was done: counters since start, and averages of the last stats_period."""

from collections.abc import Iterator

from howdah.control.console.averages import summed
from howdah.control.console.columns import Column, columns
from howdah.control.console.table import Facts, Rows, Table
from howdah.dataplane.rows import StatsRow

#: PgBouncer's names of the counters, in its order, which is also that of `StatsRow`.
_NAMES = (
    *("server_assignment_count", "xact_count", "query_count", "received", "sent", "xact_time", "query_time"),
    *("wait_time", "client_parse_count", "server_parse_count", "bind_count", "client_login_count"),
)
#: Its names of some of them elsewhere.
_SHORT = {"received": "recv"}
_IN_FULL = {"received": "bytes_received", "sent": "bytes_sent"}
_IN_TOTALS = {
    "received": "client_bytes",
    "sent": "server_bytes",
    "client_parse_count": "ps_client_parse_count",
    "server_parse_count": "ps_server_parse_count",
    "bind_count": "ps_bind_count",
}
#: Behind the last release of PgBouncer.
_NEW = frozenset(f"{prefix}client_login_count" for prefix in ("", "total_", "avg_"))


def _counters(row: StatsRow) -> tuple[int, ...]:
    return row[1:]


def _stats(facts: Facts) -> Rows:
    return [(row.database, *_counters(row), *_counters(facts.averages.of(row.database))) for row in facts.stats()]


def _stats_totals(facts: Facts) -> Rows:
    return [(row.database, *_counters(row)) for row in facts.stats()]


def _stats_averages(facts: Facts) -> Rows:
    return [(row.database, *_counters(facts.averages.of(row.database))) for row in facts.stats()]


def _totals(facts: Facts) -> Rows:
    yield from _named("total_", summed("", facts.all_stats()))
    yield from _named("avg_", facts.averages.of_all())


def _named(prefix: str, row: StatsRow) -> Iterator[tuple[str, int]]:
    for name, value in zip(_NAMES, _counters(row), strict=True):
        yield prefix + _IN_TOTALS.get(name, name), value


def _columns(*names: str) -> tuple[Column, ...]:
    return columns(", ".join(["database t", *(f"{name} n" for name in names)]))


def _bare(prefix_of_the_last: str) -> tuple[Column, ...]:
    first, last = _NAMES[:8], _NAMES[8:]
    return _columns(*(_IN_FULL.get(name, name) for name in first), *(prefix_of_the_last + name for name in last))


TABLES = (
    Table(
        "STATS",
        "counters since start and averages, by database",
        _columns(*(f"total_{name}" for name in _NAMES), *(f"avg_{_SHORT.get(name, name)}" for name in _NAMES)),
        _stats,
        _NEW,
    ),
    Table("STATS_TOTALS", "counters since start, by database", _bare(""), _stats_totals, _NEW),
    Table("STATS_AVERAGES", "averages of the last stats_period, by database", _bare("avg_"), _stats_averages, _NEW),
    Table("TOTALS", "the same for all databases together", columns("name t, value n"), _totals),
)
