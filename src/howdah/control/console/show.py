"""The tables of SHOW: PgBouncer's columns in its order and with its types, then howdah's own behind them.

Each table is its columns and a function from `Facts` to rows; `TABLES` is the list the commands are made from.
"""

import time
from asyncio import Future
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

import howdah
from howdah.control.console import pin_tables
from howdah.control.console.averages import Averages
from howdah.control.console.columns import Cell, Column, columns
from howdah.dataplane.plan import DatabasePlan, Plan
from howdah.dataplane.rows import ClientRow, DatabaseState, PoolRow, ServerRow, States, StatsRow

Rows = Iterable[Sequence[Cell]]
CONSOLE_DATABASE = "pgbouncer"
_CONNECTION = (
    "type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i, connect_time t, "
    "request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t, "
    "prepared_statements i, id i, worker i, pin t, sni t, channels i"
)
#: PgBouncer's names of the counters, in its order, which is also that of `StatsRow`.
_TOTALS = (
    "server_assignment_count, xact_count, query_count, received, sent, xact_time, query_time, wait_time, "
    "client_parse_count, server_parse_count, bind_count, client_login_count"
)


class Observed(pin_tables.Observed, Protocol):
    """The part of the engine that SHOW reads."""

    def pools(self) -> list[PoolRow]: ...
    def clients(self) -> list[ClientRow]: ...
    def servers(self) -> list[ServerRow]: ...
    def stats(self) -> list[StatsRow]: ...
    def states(self) -> States: ...


class Setting(NamedTuple):
    """A row of SHOW CONFIG."""

    key: str
    value: str
    default: str
    changeable: bool


@dataclass(slots=True)
class ConsoleUse:
    """What the console itself adds to SHOW POOLS and SHOW STATS: it is a database there, as in PgBouncer."""

    users: dict[int, str] = field(default_factory=dict)  # by client id: one entry a session
    statements: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the tables are made from, and what commands need."""

    engine: Observed
    plan: Callable[[], Plan]
    settings: Callable[[], Iterable[Setting]]
    averages: Averages
    use: ConsoleUse
    reload: Callable[[], Future[str]]  # what was wrong with the configuration, "" when it is in force
    may_change: Callable[[str, bool], bool]  # may this user do more than look; True: it came over the Unix socket

    def stats(self) -> list[StatsRow]:
        """The engine's totals and the console's own."""
        console = StatsRow(CONSOLE_DATABASE, xact_count=self.use.statements, query_count=self.use.statements)
        rows = [row for row in self.engine.stats() if row.database != CONSOLE_DATABASE]
        return sorted([*rows, console])


class Table(NamedTuple):
    name: str
    about: str  # for SHOW HELP and the documentation
    columns: tuple[Column, ...]
    rows: Callable[[Facts], Rows]


def _time(at_us: int) -> str | None:
    """As PgBouncer writes it; NULL for a time that has not come."""
    return _second(at_us // 1_000_000) if at_us else None


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    """Kept: thousands of clients connect in the same few seconds, and a time zone's rules take long to ask."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))


def _pointer(number: int) -> str:
    """PgBouncer shows memory addresses to join clients with servers; ids do the same."""
    return f"0x{number:x}" if number else ""


def _place(address: str, port: int) -> tuple[str, int]:
    """A Unix socket is "unix" in PgBouncer's tables, and its port the number its name ends with."""
    if not address.startswith("unix"):
        return address, port
    ending = address.rpartition(".")[2]
    return "unix", int(ending) if ending.isdigit() else port


def _version(_: Facts) -> Rows:
    return [(f"howdah {howdah.__version__}",)]


def _pools(facts: Facts) -> Rows:
    for pool in sorted(facts.engine.pools()):
        if pool.database != CONSOLE_DATABASE:
            seconds, rest_us = divmod(pool.maxwait_us, 1_000_000)
            counts = pool[3:14]
            own = pool.pool_size, pool.pinned
            yield (pool.database, pool.user, *counts, seconds, rest_us, pool.pool_mode, None, *own)
    yield (CONSOLE_DATABASE, CONSOLE_DATABASE, len(facts.use.users), *(0,) * 10, 0, 0, "statement", None, 2, 0)


def _clients(facts: Facts) -> Rows:
    for client in facts.engine.clients():
        wait, wait_us = divmod(client.wait_us, 1_000_000)
        who = client.user, client.database, client.state
        if client.state == "console":
            who = facts.use.users.get(client.id, client.user), CONSOLE_DATABASE, "active"
        user, database, state = who
        yield (
            *("C", user, database, client.replication, state),
            *(*_place(client.address, client.port), *_place(client.local_address, client.local_port)),
            *(_time(client.connect_at_us), _time(client.request_at_us), wait, wait_us, 0),
            *(_pointer(client.id), _pointer(client.link), 0, client.tls, client.application_name),
            *(client.prepared_statements, client.id, client.worker, client.pin, client.sni, client.channels),
        )


def _servers(facts: Facts) -> Rows:
    for server in facts.engine.servers():
        yield (
            *("S", server.user, server.database, server.replication, server.state),
            *(*_place(server.address, server.port), *_place(server.local_address, server.local_port)),
            *(_time(server.connect_at_us), _time(server.request_at_us), 0, 0, int(server.close_needed)),
            *(_pointer(server.id), _pointer(server.link), server.remote_pid, server.tls, server.application_name),
            *(server.prepared_statements, server.id, server.worker, "", "", server.channels),
        )


def _counters(row: StatsRow) -> tuple[int, ...]:
    return row[1:]


def _stats(facts: Facts) -> Rows:
    return [(row.database, *_counters(row), *_counters(facts.averages.of(row.database))) for row in facts.stats()]


def _stats_totals(facts: Facts) -> Rows:
    return [(row.database, *_counters(row)) for row in facts.stats()]


def _stats_averages(facts: Facts) -> Rows:
    return [(row.database, *_counters(facts.averages.of(row.database))) for row in facts.stats()]


def _config(facts: Facts) -> Rows:
    for setting in facts.settings():
        yield setting.key, setting.value, setting.default, "yes" if setting.changeable else "no"


def _databases(facts: Facts) -> Rows:
    entries = facts.plan().databases
    names = {entry.name for entry in entries}
    # What has no entry of its own came in by "*".
    servers = Counter(row.database if row.database in names else "*" for row in facts.engine.servers())
    clients = Counter(
        row.database if row.database in names else "*" for row in facts.engine.clients() if row.state != "console"
    )
    states = {state.name: state for state in facts.engine.states().databases}
    for entry in entries:
        state = states.get(entry.name, DatabaseState(entry.name, paused=False, disabled=False))
        yield _database(entry, servers[entry.name], clients[entry.name], state)
    port = next((int(setting.value) for setting in facts.settings() if setting.key == "listen_port"), None)
    yield (
        *(CONSOLE_DATABASE, None, port, CONSOLE_DATABASE, CONSOLE_DATABASE, 2, 0, 0, 0, "statement", None, 0, 0),
        *(0, len(facts.use.users), 0, 0),
    )


def _database(entry: DatabasePlan, servers: int, clients: int, state: DatabaseState) -> Sequence[Cell]:
    return (
        *(entry.name, entry.host or None, entry.port, entry.dbname or entry.name, entry.force_user),
        *(entry.pool_size, entry.min_pool_size, entry.reserve_pool_size, entry.server_lifetime_us // 1_000_000),
        *(entry.pool_mode.name.lower(), "round-robin" if len(entry.addresses) > 1 else None),
        *(entry.max_db_connections, servers, entry.max_db_client_connections, clients),
        *(int(state.paused), int(state.disabled)),
    )


def _lists(facts: Facts) -> Rows:
    pools, clients = facts.engine.pools(), facts.engine.clients()
    plan = facts.plan()
    login = sum(client.state == "login" for client in clients)
    return [
        ("databases", len(plan.databases) + 1),
        ("users", len({pool.user for pool in pools} | {user.name for user in plan.users})),
        ("peers", 0),
        ("pools", len(pools) + 1),
        ("peer_pools", 0),
        ("free_clients", 0),
        ("used_clients", len(clients) - login),
        ("login_clients", login),
        ("free_servers", 0),
        ("used_servers", len(facts.engine.servers())),
        ("dns_names", len({entry.host for entry in plan.databases if entry.host and not entry.host.startswith("/")})),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ]


def _pins(facts: Facts) -> Rows:
    return pin_tables.pins(facts.engine, time.time_ns() // 1000)


def _pin_reasons(facts: Facts) -> Rows:
    return pin_tables.pin_reasons(facts.engine, time.time_ns() // 1000)


def _lint(facts: Facts) -> Rows:
    return pin_tables.lint(facts.engine)


def _state(facts: Facts) -> Rows:
    states = facts.engine.states()
    active = not states.paused and not states.suspended
    rows = (("active", active), ("paused", states.paused), ("suspended", states.suspended))
    return [(name, "yes" if is_so else "no") for name, is_so in rows]


def _stats_columns(*prefixes: str) -> tuple[Column, ...]:
    names = [name.strip() for name in _TOTALS.split(",")]
    short = {"received": "recv"}
    listed = ["database t"]
    for prefix in prefixes:
        listed += [f"{prefix}{short.get(name, name) if prefix == 'avg_' else name} n" for name in names]
    return columns(", ".join(listed))


_BARE_TOTALS = (
    "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, xact_time n, "
    "query_time n, wait_time n"
)

TABLES: tuple[Table, ...] = (
    Table("VERSION", "the version of howdah", columns("version t"), _version),
    Table(
        "POOLS",
        "each pool: its clients, servers and longest wait",
        columns(
            "database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, "
            "sv_active i, sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, "
            "maxwait i, maxwait_us i, pool_mode t, load_balance_hosts t, pool_size i, pinned i"
        ),
        _pools,
    ),
    Table("CLIENTS", "each client connection", columns(_CONNECTION), _clients),
    Table("SERVERS", "each server connection", columns(_CONNECTION), _servers),
    Table("STATS", "counters since start and averages, by database", _stats_columns("total_", "avg_"), _stats),
    Table(
        "STATS_TOTALS",
        "counters since start, by database",
        columns(f"{_BARE_TOTALS}, client_parse_count n, server_parse_count n, bind_count n, client_login_count n"),
        _stats_totals,
    ),
    Table(
        "STATS_AVERAGES",
        "averages of the last stats_period, by database",
        columns(
            f"{_BARE_TOTALS}, avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n, "
            "avg_client_login_count n"
        ),
        _stats_averages,
    ),
    Table("CONFIG", "each setting", columns("key t, value t, default t, changeable t"), _config),
    Table(
        "DATABASES",
        "each entry of [databases]",
        columns(
            "name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i, "
            "server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i, "
            "max_client_connections i, current_client_connections i, paused i, disabled i"
        ),
        _databases,
    ),
    Table("PINS", "each server that is kept for its client, and why", pin_tables.PIN_COLUMNS, _pins),
    Table(
        "PIN_REASONS",
        "how often and how long that was, by database and reason",
        pin_tables.REASON_COLUMNS,
        _pin_reasons,
    ),
    Table(
        "LINT", "what session_lint has counted: statements that rely on their session", pin_tables.LINT_COLUMNS, _lint
    ),
    Table("LISTS", "how many there are of each", columns("list t, items i"), _lists),
    Table("STATE", "whether howdah is active, paused or suspended", columns("key t, value t"), _state),
)
