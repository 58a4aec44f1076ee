"""SHOW's tables: PgBouncer's columns, in its order and with its types, and values where they belong."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from howdah.control.console.averages import Averages
from howdah.control.console.columns import INT4, INT8, NUMERIC, TEXT
from howdah.control.console.show import TABLES, Table
from howdah.dataplane.plan import Plan
from howdah.dataplane.rows import StatsRow
from tests.unit.control.console.engine_stub import CLIENT, DATABASE, SERVER, SETTINGS, STATS, EngineStub, facts

BY_NAME = {table.name: table for table in TABLES}
LETTERS = {TEXT: "t", INT4: "i", INT8: "q", NUMERIC: "n"}
_CONNECTIONS = (
    "type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i, connect_time t, "
    "request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t, "
    "prepared_statements i, id i"
)
#: From PgBouncer 1.25's admin.c and stats.c; howdah's own columns may only follow.
PGBOUNCER = {
    "VERSION": "version t",
    "CONFIG": "key t, value t, default t, changeable t",
    "STATE": "key t, value t",
    "DATABASES": (
        "name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i, "
        "server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i, "
        "max_client_connections i, current_client_connections i, paused i, disabled i"
    ),
    "POOLS": (
        "database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i, "
        "sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, "
        "maxwait_us i, pool_mode t, load_balance_hosts t"
    ),
    "CLIENTS": _CONNECTIONS,
    "SERVERS": _CONNECTIONS,
    "LISTS": "list t, items i",
    "STATS": (
        "database t, total_server_assignment_count n, total_xact_count n, total_query_count n, total_received n, "
        "total_sent n, total_xact_time n, total_query_time n, total_wait_time n, total_client_parse_count n, "
        "total_server_parse_count n, total_bind_count n, total_client_login_count n, avg_server_assignment_count n, "
        "avg_xact_count n, avg_query_count n, avg_recv n, avg_sent n, avg_xact_time n, avg_query_time n, "
        "avg_wait_time n, avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n, "
        "avg_client_login_count n"
    ),
    "STATS_TOTALS": (
        "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
        "xact_time n, query_time n, wait_time n, client_parse_count n, server_parse_count n, bind_count n, "
        "client_login_count n"
    ),
    "STATS_AVERAGES": (
        "database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n, "
        "xact_time n, query_time n, wait_time n, avg_client_parse_count n, avg_server_parse_count n, "
        "avg_bind_count n, avg_client_login_count n"
    ),
}


def _rows(name: str, **engine: Any) -> list[dict[str, object]]:
    table = BY_NAME[name]
    names = [column.name for column in table.columns]
    stub = EngineStub(**engine)
    return [dict(zip(names, row, strict=True)) for row in table.rows(facts(stub))]


@pytest.mark.parametrize("name", sorted(PGBOUNCER))
def test_columns_begin_with_those_of_pgbouncer(name: str) -> None:
    ours = ", ".join(f"{column.name} {LETTERS[column.type]}" for column in BY_NAME[name].columns)
    assert ours == PGBOUNCER[name] or ours.startswith(PGBOUNCER[name] + ", ")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_row_fits_its_columns(table: Table) -> None:
    rows = list(table.rows(facts()))
    assert rows
    for row in rows:
        for column, cell in zip(table.columns, row, strict=True):
            expected = str if column.type is TEXT else int
            assert cell is None or type(cell) is expected, (column.name, cell)


def test_a_wait_is_split_into_seconds_and_microseconds() -> None:
    pool, console = _rows("POOLS")
    assert (pool["maxwait"], pool["maxwait_us"]) == (2, 500_000)
    assert (pool["sv_login"], pool["pool_mode"], pool["pool_size"], pool["pinned"]) == (1, "transaction", 20, 1)
    assert (console["database"], console["cl_active"]) == ("pgbouncer", 1)
    (client,) = _rows("CLIENTS")
    assert (client["wait"], client["wait_us"]) == (1, 250_000)


def test_a_client_and_its_server_are_joined_by_ptr_and_link() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert client["link"] == server["ptr"]
    assert server["link"] == client["ptr"]
    assert (client["type"], server["type"], server["remote_pid"]) == ("C", "S", 4711)


def test_tls_and_the_name_asked_for_are_shown() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["tls"], client["sni"]) == (CLIENT.tls, "db.example")
    assert (server["tls"], server["sni"]) == (SERVER.tls, "")


def test_times_are_written_as_pgbouncer_does() -> None:
    (client,) = _rows("CLIENTS")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+", str(client["connect_time"]))
    assert client["request_time"] is None


def test_a_unix_socket_is_shown_as_pgbouncer_does() -> None:
    server = SERVER._replace(address="unix:/run/postgresql/.s.PGSQL.5433", port=0)
    (row,) = _rows("SERVERS", server_rows=[server])
    assert (row["addr"], row["port"]) == ("unix", 5433)


def test_a_console_client_is_active_in_its_database() -> None:
    console = CLIENT._replace(id=11, state="console", user="", database="")
    (row,) = _rows("CLIENTS", client_rows=[console])
    assert (row["user"], row["database"], row["state"]) == ("alice", "pgbouncer", "active")


def test_connections_without_an_entry_count_for_the_star() -> None:
    star = replace(DATABASE, name="*")
    known = facts(EngineStub(client_rows=[CLIENT, CLIENT._replace(database="other"), CLIENT._replace(state="console")]))
    rows = BY_NAME["DATABASES"].rows(replace(known, plan=lambda: Plan(1, SETTINGS, (DATABASE, star), ())))
    at = [column.name for column in BY_NAME["DATABASES"].columns].index("current_client_connections")
    assert {row[0]: row[at] for row in rows} == {"app": 1, "*": 1, "pgbouncer": 1}


def test_stats_hold_totals_and_the_console_itself() -> None:
    app, console = _rows("STATS")
    assert (app["total_xact_count"], app["total_received"], app["total_client_login_count"]) == (20, 4000, 9)
    assert (console["database"], console["total_query_count"]) == ("pgbouncer", 5)


def test_prepared_statements_are_counted() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["prepared_statements"], server["prepared_statements"]) == (3, 5)
    app = _rows("STATS")[0]
    assert [app[f"total_{what}_count"] for what in ("client_parse", "server_parse", "bind")] == [11, 12, 13]


def test_channels_are_counted() -> None:
    (client,), (server,) = _rows("CLIENTS"), _rows("SERVERS")
    assert (client["channels"], server["channels"]) == (2, 4)


def test_averages_are_of_the_last_full_period() -> None:
    averages = Averages(100.0)
    averages.sample(110.0, [STATS])
    later = STATS._replace(xact_count=220, query_count=430, xact_time_us=2060, query_time_us=870, bytes_received=14_000,
                           wait_time_us=10_080)  # fmt: skip
    averages.sample(120.0, [later])
    assert averages.of("app") == StatsRow(
        database="app", server_assignment_count=0, xact_count=20, query_count=40, bytes_received=1000, bytes_sent=0,
        xact_time_us=10, query_time_us=2, wait_time_us=1000, client_login_count=0,
    )  # fmt: skip
    assert averages.of("unknown") == StatsRow("unknown")


def test_the_stub_is_no_looser_than_the_engine() -> None:
    """Its methods are the engine's: a renamed one must fail here, not in production."""
    typed = Path(facts.__code__.co_filename).parents[4] / "src/howdah/dataplane/engine.pyi"
    for method in ("pools", "clients", "servers", "stats", "pins", "pin_reasons", "lint", "console_send"):
        assert f"def {method}(" in typed.read_text()
        assert hasattr(EngineStub, method)
