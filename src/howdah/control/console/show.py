"""The tables of SHOW: PgBouncer's columns in its order and with its types, then howdah's own behind them.

Each table is its columns and a function from `Facts` to rows; `TABLES` is the list the commands are made from.
"""

import time
from collections.abc import Mapping

import howdah
from howdah.control.config.names import CONSOLE
from howdah.control.console import configuration_tables, connection_tables, pin_tables, stats_tables
from howdah.control.console.columns import columns
from howdah.control.console.table import ConsoleUse, Facts, Observed, Rows, Setting, Table

__all__ = ["TABLES", "TABLES_BY_NAME", "ConsoleUse", "Facts", "Observed", "Setting", "Table"]


def _version(_: Facts) -> Rows:
    return [(f"howdah {howdah.__version__}",)]


def _pools(facts: Facts) -> Rows:
    databases = facts.config().databases
    for pool in sorted(facts.engine.pools()):
        if pool.database != CONSOLE:
            seconds, rest_us = divmod(pool.maxwait_us, 1_000_000)
            counts = pool[3:14]
            own = pool.pool_size, pool.pinned
            hosts = configuration_tables.load_balance(databases.get(pool.database, databases.get("*")))
            yield (pool.database, pool.user, *counts, seconds, rest_us, pool.pool_mode, hosts, *own)
    yield (CONSOLE, CONSOLE, len(facts.use.users), *(0,) * 10, 0, 0, "statement", None, 2, 0)


def _lists(facts: Facts) -> Rows:
    """From counters: nobody has to look at each client."""
    pools = facts.engine.pools()
    memory = {row.name: row for row in facts.engine.memory()}
    clients, servers = memory["client_cache"], memory["server_cache"]
    logged_in = sum(pool.cl_active + pool.cl_waiting for pool in pools) + len(facts.use.users)
    names = facts.names
    return [
        ("databases", sum(1 for _ in configuration_tables.databases(facts))),
        ("users", sum(1 for _ in TABLES_BY_NAME["users"].rows(facts))),
        ("peers", len(facts.config().peers)),
        ("pools", len(pools) + 1),
        ("peer_pools", sum(1 for _ in configuration_tables.peer_pools(facts))),
        ("free_clients", clients.free),
        ("used_clients", logged_in),
        ("login_clients", max(clients.used - logged_in, 0)),
        ("free_servers", servers.free),
        ("used_servers", servers.used),
        ("dns_names", sum(1 for _ in names.rows())),
        ("dns_zones", sum(1 for _ in names.zones())),
        ("dns_queries", names.queries),
        ("dns_pending", 0),
    ]


def _memory(facts: Facts) -> Rows:
    for row in facts.engine.memory():
        yield row.name, row.size, row.used, row.free, row.size * (row.used + row.free)


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


_POOLS = Table(
    "POOLS",
    "each pool: its clients, servers and longest wait",
    columns(
        "database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, "
        "sv_active i, sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, "
        "maxwait i, maxwait_us i, pool_mode t, load_balance_hosts t, pool_size i, pinned i"
    ),
    _pools,
    frozenset(("pool_size", "pinned")),
)
TABLES: tuple[Table, ...] = (
    Table("VERSION", "the version of howdah", columns("version t"), _version),
    _POOLS,
    *connection_tables.TABLES,
    *stats_tables.TABLES,
    *configuration_tables.TABLES,
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
    Table(
        "MEM",
        "what connections and buffers take",
        columns("name t, size i, used i, free i, memtotal i"),
        _memory,
        differs="lists howdah's own kinds of memory.",
    ),
    Table("STATE", "whether howdah is active, paused or suspended", columns("key t, value t"), _state),
)
TABLES_BY_NAME: Mapping[str, Table] = {table.name.lower(): table for table in TABLES}
#: Of howdah alone.
OWN_TABLES = frozenset(("PINS", "PIN_REASONS", "LINT"))
