"""Programs that watch PgBouncer: their statements, in the protocol they speak, and the columns they read.

What each reads was taken from its source: prometheus-community's pgbouncer_exporter (lib/pq, simple protocol),
Datadog's check (psycopg2), and pgmetrics (pgx, simple protocol), which ends itself when there are more columns
than it knows.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg.rows import dict_row

from tests.kit.pooler import Pooler

PROMETHEUS: Mapping[str, tuple[str, ...]] = {
    "databases": (
        *("name", "host", "port", "database", "force_user", "pool_size", "pool_mode", "max_connections"),
        *("current_connections", "paused", "disabled"),
    ),
    "stats_totals": (
        *("database", "query_count", "query_time", "bytes_received", "bytes_sent", "wait_time", "xact_count"),
        *("xact_time", "client_parse_count", "server_parse_count", "bind_count"),
    ),
    "pools": (
        *("database", "user", "cl_active", "cl_active_cancel_req", "cl_waiting", "cl_waiting_cancel_req", "sv_active"),
        *("sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait"),
    ),
}
PROMETHEUS_LABELS = {"name", "host", "port", "database", "force_user", "pool_mode", "user"}
PROMETHEUS_LISTS = {
    *("databases", "users", "pools", "free_clients", "used_clients", "login_clients", "free_servers", "used_servers"),
    *("dns_names", "dns_zones", "dns_queries"),
}
DATADOG: Mapping[str, tuple[str, ...]] = {
    "SHOW STATS": (
        *("total_xact_count", "total_query_count", "total_received", "total_sent", "total_query_time"),
        *("total_xact_time", "total_wait_time", "avg_xact_count", "avg_query_count", "avg_wait_time", "avg_recv"),
        *("avg_sent", "avg_xact_time", "avg_query_time"),
    ),
    "SHOW POOLS": (
        *(
            "cl_active",
            "cl_waiting",
            "sv_active",
            "sv_idle",
            "sv_used",
            "sv_tested",
            "sv_login",
            "maxwait",
            "maxwait_us",
        ),
    ),
    "SHOW DATABASES": ("pool_size", "max_connections", "current_connections"),
}
#: How many columns pgmetrics knows, and which of these are numbers.
PGMETRICS: Mapping[str, tuple[int, range]] = {
    "SHOW POOLS": (17, range(2, 15)),
    "SHOW SERVERS": (21, range(11, 13)),
    "SHOW CLIENTS": (21, range(11, 13)),
    "SHOW STATS": (23, range(1, 23)),
    "SHOW DATABASES": (17, range(11, 17)),
}


@pytest.fixture
def used(howdah: Pooler) -> Pooler:
    """With numbers to show."""
    howdah.value("SELECT 1")
    return howdah


@pytest.fixture
def simple(used: Pooler) -> Iterator[psycopg.ClientCursor[dict[str, Any]]]:
    connection = used.connect(dbname="pgbouncer", user="boss", cursor_factory=psycopg.ClientCursor)
    with psycopg.ClientCursor(connection, row_factory=dict_row) as cursor:
        yield cursor


@pytest.mark.parametrize("table", PROMETHEUS)
def test_prometheus_exporter_finds_labels_and_numbers(simple: psycopg.ClientCursor[dict[str, Any]], table: str) -> None:
    rows = simple.execute(f"SHOW {table};").fetchall()  # type: ignore[arg-type,call-overload,unused-ignore]
    assert {"app", "pgbouncer"} <= {row.get("database") for row in rows} | {row.get("name") for row in rows}
    for row in rows:
        for column in PROMETHEUS[table]:
            kinds = (str, int, type(None)) if column in PROMETHEUS_LABELS else (int, Decimal)
            assert isinstance(row[column], kinds), column


def test_prometheus_exporter_finds_lists_settings_and_the_version(
    simple: psycopg.ClientCursor[dict[str, Any]],
) -> None:
    assert simple.execute("SHOW STATS").fetchall()  # how it sees whether anybody is there
    (version,) = simple.execute("SHOW VERSION;").fetchall()
    assert list(version) == ["version"]
    lists = simple.execute("SHOW LISTS;").fetchall()
    assert all(list(row) == ["list", "items"] for row in lists)
    assert {row["list"] for row in lists} >= PROMETHEUS_LISTS
    settings = simple.execute("SHOW CONFIG;").fetchall()
    assert all(list(row) == ["key", "value", "default", "changeable"] for row in settings)
    values = {row["key"]: row["value"] for row in settings}
    assert float(values["max_client_conn"]) > 0
    assert float(values["max_user_connections"]) == 0


def test_datadog_finds_its_metrics(used: Pooler) -> None:
    connection = psycopg2.connect(host=used.host, port=used.port, user="boss", dbname="pgbouncer")
    connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        for sql, columns in DATADOG.items():
            cursor.execute(sql)
            rows = [row for row in cursor if "database" not in row or row["database"] != "pgbouncer"]
            assert rows
            assert all(isinstance(row[column], int | Decimal) for row in rows for column in columns)
        cursor.execute("SHOW CONFIG")
        assert {"key", "value"} <= set(dict(cursor.fetchone()))
        for sql in ("SHOW CLIENTS", "SHOW SERVERS"):
            cursor.execute(sql)
            for row in cursor:
                assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", row["connect_time"])
        cursor.execute("SHOW VERSION;")
        assert re.findall(r"\d+\.\d+\.\d+", cursor.fetchone()[0])
    connection.close()


@pytest.mark.parametrize("sql", PGMETRICS)
def test_pgmetrics_finds_as_many_columns_as_it_knows(used: Pooler, sql: str) -> None:
    connection = used.connect(dbname="pgbouncer", user="boss", application_name="pgmetrics")
    count, numbers = PGMETRICS[sql]
    cursor = psycopg.ClientCursor(connection)
    rows = cursor.execute(sql).fetchall()  # type: ignore[call-overload,unused-ignore]
    assert rows
    assert cursor.description is not None
    assert len(cursor.description) == count
    assert all(isinstance(row[at], int | Decimal) for row in rows for at in numbers)


def test_others_that_count_columns_can_be_named(pooler: Pooler) -> None:
    pooler.run_with(exact_columns_for=["counter"])
    with pooler.connect(dbname="pgbouncer", user="boss") as console:
        assert len(console.execute("SHOW POOLS").description or ()) > 17
        console.execute("SET application_name = 'counter'")
        assert len(console.execute("SHOW POOLS").description or ()) == 17
        assert len(console.execute("SELECT * FROM pools").description or ()) > 17
