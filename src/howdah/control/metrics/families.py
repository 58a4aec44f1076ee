"""The engine's numbers as Prometheus metrics, made when they are asked for.

Nothing is counted here: workers count, and each scrape adds up what they have.  docs/reference/metrics.md is written
from `FAMILIES`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

import howdah
from howdah.dataplane.rows import BOUNDS_US, GONE, DurationsRow, PeerPoolRow, PinReasonRow, PoolRow, StatsRow
from howdah.reasons import BY_CODE

if TYPE_CHECKING:  # the pages are written from here where nothing is compiled, too
    from howdah.dataplane.engine import Totals

US = 1e-6
_CLIENT_STATES = {"active": "cl_active", "waiting": "cl_waiting", "active_cancel_req": "cl_active_cancel_req",
                  "waiting_cancel_req": "cl_waiting_cancel_req"}  # fmt: skip
_SERVER_STATES = {"active": "sv_active", "idle": "sv_idle", "used": "sv_used", "tested": "sv_tested",
                  "login": "sv_login", "active_cancel": "sv_active_cancel",
                  "being_canceled": "sv_being_canceled"}  # fmt: skip
_BOUNDS = [*(str(bound * US) for bound in BOUNDS_US), "+Inf"]
#: Both of a pool; with `metrics_by = "database"` the first alone.
POOL_LABELS = ("database", "user")


class Observed(Protocol):
    """The part of the engine that metrics read."""

    def totals(self) -> "Totals": ...
    def pools(self) -> list[PoolRow]: ...
    def stats(self) -> list[StatsRow]: ...
    def pin_reasons(self) -> list[PinReasonRow]: ...
    def durations(self) -> list[DurationsRow]: ...
    def peer_pools(self) -> list[PeerPoolRow]: ...
    def reasons(self) -> dict[str, int]: ...


class Sample(NamedTuple):
    """What one scrape is made from."""

    totals: "Totals"
    pools: Sequence[PoolRow]
    stats: Sequence[StatsRow]
    pin_reasons: Sequence[PinReasonRow]
    durations: Sequence[DurationsRow]
    peer_pools: Sequence[PeerPoolRow]
    reasons: dict[str, int]
    max_client_conn: int


def sample(engine: Observed, max_client_conn: int, *, by_user: bool) -> Sample:
    """Read the engine; with `by_user` False the users of a database are added up, under the name "".

    Series of what is gone end; they are not added to others, whose rates would show it all at once.  Where users are
    added up, those who are gone have been there already.
    """
    pools, durations = engine.pools(), engine.durations()
    if by_user:
        durations = [row for row in durations if row.user != GONE]
    else:
        pools, durations = _merged_pools(pools), _merged_durations(durations)
    stats = [row for row in engine.stats() if row.database != GONE]
    return Sample(
        engine.totals(),
        pools,
        stats,
        engine.pin_reasons(),
        durations,
        engine.peer_pools(),
        engine.reasons(),
        max_client_conn,
    )


def _merged_pools(pools: Iterable[PoolRow]) -> list[PoolRow]:
    by_database: dict[str, PoolRow] = {}
    for pool in pools:
        before = by_database.get(pool.database)
        counts = pool[3:] if before is None else [a + b for a, b in zip(before[3:], pool[3:], strict=True)]
        merged = PoolRow(pool.database, "", pool.pool_mode, *counts)
        longest_us = max(pool.maxwait_us, before.maxwait_us if before else 0)
        by_database[pool.database] = merged._replace(maxwait_us=longest_us)
    return list(by_database.values())


def _merged_durations(rows: Iterable[DurationsRow]) -> list[DurationsRow]:
    merged: dict[tuple[str, str], DurationsRow] = {}
    for row in rows:
        key = row.database, row.kind
        before = merged.get(key)
        counts = tuple(map(sum, zip(before.counts, row.counts, strict=True))) if before else row.counts
        merged[key] = DurationsRow(row.database, "", row.kind, counts, row.sum_us + (before.sum_us if before else 0))
    return list(merged.values())


class Family(NamedTuple):
    """One metric: for the scrape, and for the documentation."""

    name: str
    kind: type[GaugeMetricFamily | CounterMetricFamily]
    about: str
    labels: tuple[str, ...]
    values: Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]


def _one(value: Callable[[Sample], float]) -> Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]:
    return lambda taken: [((), value(taken))]


def _states(states: dict[str, str]) -> Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]:
    return lambda taken: [
        ((pool.database, pool.user, state), getattr(pool, field))
        for pool in taken.pools
        for state, field in states.items()
    ]


def _of_pools(field: str, unit: float = 1) -> Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]:
    return lambda taken: [((pool.database, pool.user), getattr(pool, field) * unit) for pool in taken.pools]


def _of_stats(field: str, unit: float = 1) -> Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]:
    return lambda taken: [((row.database,), getattr(row, field) * unit) for row in taken.stats]


def _of_pins(field: str, unit: float = 1) -> Callable[[Sample], Iterable[tuple[tuple[str, ...], float]]]:
    return lambda taken: [((row.database, row.reason), getattr(row, field) * unit) for row in taken.pin_reasons]


def _peers(taken: Sample) -> Iterable[tuple[tuple[str, ...], float]]:
    for pool in taken.peer_pools:
        yield (str(pool.peer_id),), pool.passed_on


def _reasons(taken: Sample) -> Iterable[tuple[tuple[str, ...], float]]:
    for code, times in taken.reasons.items():
        reason = BY_CODE[code]
        yield (code, reason.fault.value, reason.sqlstate), times


_G, _C = GaugeMetricFamily, CounterMetricFamily
_DATABASE = ("database",)
FAMILIES = (
    Family("howdah_build_info", _G, "Always 1; the version is its label.", ("version",),
           lambda _: [((howdah.__version__,), 1)]),
    Family("howdah_clients", _G, "Clients that are logged in.", (), _one(lambda taken: taken.totals.clients)),
    Family("howdah_max_clients", _G, "How many there may be: max_client_conn.", (),
           _one(lambda taken: taken.max_client_conn)),
    Family("howdah_clients_waiting", _G, "Clients in line for a server.", (),
           _one(lambda taken: taken.totals.waiting)),
    Family("howdah_servers", _G, "Server connections.", (), _one(lambda taken: taken.totals.servers)),
    Family("howdah_events_lost", _C, "Events that were not logged because they came too fast.", (),
           _one(lambda taken: taken.totals.events_lost)),
    Family("howdah_pool_clients", _G, "Clients of a pool by state, as in SHOW POOLS.", (*POOL_LABELS, "state"),
           _states(_CLIENT_STATES)),
    Family("howdah_pool_servers", _G, "Servers of a pool by state, as in SHOW POOLS.", (*POOL_LABELS, "state"),
           _states(_SERVER_STATES)),
    Family("howdah_pool_size", _G, "How many servers the pool may have, without its reserve.", POOL_LABELS,
           _of_pools("pool_size")),
    Family("howdah_pool_pinned", _G, "Servers that are kept for one client now.", POOL_LABELS, _of_pools("pinned")),
    Family("howdah_pool_maxwait_seconds", _G, "How long the first client in line has been waiting.", POOL_LABELS,
           _of_pools("maxwait_us", US)),
    Family("howdah_transactions", _C, "Transactions that have ended.", _DATABASE, _of_stats("xact_count")),
    Family("howdah_queries", _C, "Queries that have been answered.", _DATABASE, _of_stats("query_count")),
    Family("howdah_received_bytes", _C, "Bytes from clients.", _DATABASE, _of_stats("bytes_received")),
    Family("howdah_sent_bytes", _C, "Bytes to clients.", _DATABASE, _of_stats("bytes_sent")),
    Family("howdah_server_assignments", _C, "How often a client was given a server.", _DATABASE,
           _of_stats("server_assignment_count")),
    Family("howdah_client_logins", _C, "Logins of clients that went well.", _DATABASE,
           _of_stats("client_login_count")),
    Family("howdah_client_parses", _C, "Prepared statements that clients made.", _DATABASE,
           _of_stats("client_parse_count")),
    Family("howdah_server_parses", _C, "Prepared statements that were made at servers for them.", _DATABASE,
           _of_stats("server_parse_count")),
    Family("howdah_binds", _C, "Uses of prepared statements.", _DATABASE, _of_stats("bind_count")),
    Family("howdah_pins", _C, "How often a server was kept for one client, by reason.", ("database", "reason"),
           _of_pins("begun")),
    Family("howdah_pins_ended", _C, "How many of these are over.", ("database", "reason"), _of_pins("ended")),
    Family("howdah_pin_seconds", _C, "How long those lasted that are over.", ("database", "reason"),
           _of_pins("ended_us", US)),
    Family("howdah_cancels_passed_on", _C, "Cancel requests for clients of another process, by its peer_id.", ("peer",),
           _peers),
    Family("howdah_reasons", _C, "What was refused or closed, by reason: docs/reference/reasons.md.",
           ("reason", "fault", "sqlstate"), _reasons),
)  # fmt: skip
#: By kind of DurationsRow.
DURATIONS = {
    "login": ("howdah_login_seconds", "From a client's connection to its first ReadyForQuery."),
    "tls": ("howdah_tls_handshake_seconds", "TLS handshakes of clients that went on to log in."),
    "wait": ("howdah_wait_seconds", "Time in line of those clients that had to wait for a server."),
    "checkout": ("howdah_checkout_seconds", "From wanting a server to having one, of all that got one."),
    "query": ("howdah_query_seconds", "From a query's going to a server to its ReadyForQuery."),
    "transaction": ("howdah_transaction_seconds", "From a transaction's first message to its last ReadyForQuery."),
}


def families(taken: Sample) -> Iterator[Metric]:
    """All metrics of one scrape."""
    for family in FAMILIES:
        metric = family.kind(family.name, family.about, labels=family.labels)
        for labels, value in family.values(taken):
            metric.add_metric(labels, value)
        yield metric
    yield from _histograms(taken.durations)


def _histograms(rows: Sequence[DurationsRow]) -> Iterator[Metric]:
    by_kind: defaultdict[str, list[DurationsRow]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    for kind, (name, about) in DURATIONS.items():
        metric = HistogramMetricFamily(name, about, labels=POOL_LABELS)
        for row in by_kind[kind]:
            buckets = list(zip(_BOUNDS, accumulate(row.counts), strict=True))
            metric.add_metric((row.database, row.user), buckets, row.sum_us * US)
        yield metric
