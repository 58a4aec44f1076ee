"""The console database as real clients use it: psql, psycopg in both protocols, asyncpg."""

import asyncio
import contextlib
import shutil
import subprocess
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg.rows import dict_row

from howdah.control.console.show import TABLES, TABLES_BY_NAME
from tests.kit import wire
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler

EMPTY = {"PEERS", "PEER_POOLS", "DNS_HOSTS", "DNS_ZONES", "PINS", "PIN_REASONS", "LINT"}


def _console(pooler: Pooler, **options: Any) -> psycopg.Connection[Any]:
    return pooler.connect(dbname="pgbouncer", user="boss", row_factory=dict_row, **options)


@pytest.fixture(scope="module", params=[psycopg.ClientCursor, psycopg.Cursor], ids=["simple", "extended"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_each_table_is_answered_in_both_protocols(howdah: Pooler, kind: Any, table: str) -> None:
    howdah.value("SELECT 1")  # so that there is a server to show
    with _console(howdah) as console:
        cursor = kind(console, row_factory=dict_row)
        rows = cursor.execute(f"SHOW {table}").fetchall()
        assert rows or table in EMPTY
        names = [column.name for column in TABLES_BY_NAME[table.lower()].columns]
        assert [column.name for column in cursor.description] == names
        cursor.execute(f"SELECT * FROM {table}")
        assert [column.name for column in cursor.description] == names


def test_numbers_come_as_numbers(howdah: Pooler) -> None:
    howdah.value("SELECT 1")
    with _console(howdah) as console:
        for binary in (False, True):
            cursor = psycopg.Cursor(console, row_factory=dict_row)
            (row,) = [row for row in cursor.execute("SHOW STATS", binary=binary) if row["database"] == "app"]
            assert row["total_query_count"] >= 1
            pool = next(row for row in cursor.execute("SHOW POOLS", binary=binary) if row["database"] == "app")
            assert (pool["pool_mode"], type(pool["sv_idle"])) == ("transaction", int)


def test_a_prepared_statement_is_used_again(howdah: Pooler) -> None:
    with _console(howdah, prepare_threshold=1) as console:
        for _ in range(3):
            assert console.execute("SHOW VERSION").fetchone()
        console.execute("DEALLOCATE ALL")
        assert console.execute("SHOW VERSION").fetchone()


def test_a_driver_s_transaction_is_harmless(howdah: Pooler) -> None:
    with _console(howdah, autocommit=False) as console:
        assert console.execute("SHOW VERSION").fetchone()
        with pytest.raises(psycopg.errors.ProtocolViolation, match="invalid command 'NONSENSE', use SHOW HELP"):
            console.execute("NONSENSE")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            console.execute("SHOW VERSION")
        console.rollback()
        assert console.execute("SHOW VERSION").fetchone()
        console.commit()


def test_what_it_does_not_know_is_refused_with_a_hint(howdah: Pooler, kind: Any) -> None:
    with _console(howdah) as console:
        cursor = kind(console)
        for sql, sqlstate in (("SHOW ELEPHANTS", "08P01"), ("PAUSE a b", "08P01"), ("SELECT x FROM pools", "42703")):
            with pytest.raises(psycopg.Error) as raised:
                cursor.execute(sql)
            assert raised.value.sqlstate == sqlstate
            assert raised.value.diag.message_hint
        assert cursor.execute("SHOW VERSION").fetchone()


def test_asyncpg_can_use_it(howdah: Pooler) -> None:
    async def story() -> None:
        console = await asyncpg.connect(
            host=howdah.host, port=howdah.port, user="boss", database="pgbouncer", timeout=20
        )
        try:
            howdah_version = await console.fetchval("SHOW VERSION")
            assert howdah_version.startswith("howdah ")
            pools = await console.fetch("SHOW POOLS")
            assert {"database", "cl_active", "maxwait"} <= set(pools[0].keys())
            for row in await console.fetch("SHOW STATS"):
                assert int(row["total_query_count"]) >= 0
            with pytest.raises(asyncpg.ProtocolViolationError):
                await console.fetch("NONSENSE")
            async with console.transaction():
                assert await console.fetch("SHOW LISTS")
        finally:
            await console.close(timeout=10)

    asyncio.run(story())


@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
def test_psql_shows_tables_help_and_errors(howdah: Pooler) -> None:
    where = f"host={howdah.folder} port={howdah.port} user=boss dbname=pgbouncer"
    commands = ("SHOW POOLS; SHOW VERSION", "SHOW HELP", "\\l", "SHOW LISTS")
    arguments = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(["psql", "-X", where, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "cl_active" in done.stdout
    assert "used_clients" in done.stdout
    assert "NOTICE:  Console usage" in done.stderr
    assert "SHOW HELP|CONFIG|DATABASES" in done.stderr
    assert done.returncode == 0


def test_servers_are_shown_with_the_database_that_clients_name(pooler: Pooler) -> None:
    """So that they can be grouped, and joined with pools; what it is called at PostgreSQL is in SHOW DATABASES."""
    pooler.databases["entry"] = pooler.databases["app"] | {"dbname": "app"}
    pooler.run()
    with pooler.client(database="entry") as client:
        client.query("SELECT 1")
        (server,) = pooler.admin("SHOW SERVERS")
        assert server["database"] == "entry"


def test_clients_and_servers_are_shown_as_they_are(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as busy, pooler.client() as waiting:
        busy.begin()
        waiting.send(wire.query("SELECT 1"))
        pooler.wait_for_pool(cl_active=1, cl_waiting=1, sv_active=1)
        clients = {row["state"]: row for row in pooler.admin("SHOW CLIENTS") if row["database"] == "app"}
        (server,) = pooler.admin("SHOW SERVERS")
        assert set(clients) == {"active", "waiting"}
        assert (clients["active"]["link"], server["link"]) == (server["ptr"], clients["active"]["ptr"])
        assert clients["active"]["port"] == busy.socket.getsockname()[1]
        assert server["remote_pid"] in pooler.postgres.backends()
        first = clients["waiting"]
        later = [row for row in pooler.admin("SHOW CLIENTS") if row["state"] == "waiting"]
        assert (later[0]["wait"], later[0]["wait_us"]) > (first["wait"], first["wait_us"])
        busy.query("COMMIT")
        waiting.read_until("Z")
    wait_until(lambda: [row["user"] for row in pooler.admin("SHOW CLIENTS")] == ["pgbouncer"], "only ourselves")


def test_who_may_use_it_can_be_limited(pooler: Pooler) -> None:
    pooler.run_with(admin_users=["boss"], stats_users=["watcher"])
    for user in ("boss", "watcher"):
        with pooler.connect(dbname="pgbouncer", user=user) as console:
            assert console.execute("SHOW VERSION").fetchone()
    with pytest.raises(psycopg.OperationalError, match="user alice may not use the console"):
        pooler.connect(dbname="pgbouncer", user="alice")


def test_any_bytes_leave_the_pooler_and_other_sessions_undisturbed(pooler: Pooler) -> None:
    pooler.run()
    rubbish = (
        b"Q\0\0\0\2", b"!\0\0\0\4", wire.message(b"P", b"no end"), wire.message(b"B", b"\0\0"), b"\0" * 64,
        wire.parse("SHOW POOLS") * 50 + wire.sync(), b"Q\x7f\xff\xff\xff", wire.query(b"\xff\xfe"),
    )  # fmt: skip
    with pooler.client(database="pgbouncer") as other:
        for bytes_ in rubbish:
            with contextlib.closing(pooler.client(database="pgbouncer")) as client:
                client.send(bytes_, wire.sync())
                assert client.read().tag in "1EZ"
        assert other.query("SHOW VERSION").shape == "T D C Z"


def test_many_sessions_at_once(howdah: Pooler) -> None:
    clients = [howdah.client(database="pgbouncer") for _ in range(50)]
    for client in clients:
        client.send(wire.query("SHOW CLIENTS") * 5)
    for client in clients:
        assert client.read_ready(5).statuses == "IIIII"
        client.close()
    howdah.wait_until_idle()


def test_with_nobody_named_it_is_for_who_runs_howdah(pooler: Pooler) -> None:
    """By the operating system's word, without a password; over TCP that word is not to be had."""
    pooler.users["alice"] = {"password": "alice's"}
    pooler.run_with(auth_type="scram-sha-256", login_failure_delay=0)
    with psycopg.connect(host=str(pooler.folder), port=pooler.port, user="pgbouncer", dbname="pgbouncer") as console:
        console.autocommit = True
        assert psycopg.ClientCursor(console).execute("SHOW VERSION").fetchone()
    for where, user, password in (
        (pooler.host, "pgbouncer", ""), (pooler.host, "alice", "alice's"), (str(pooler.folder), "alice", "alice's"),
    ):  # fmt: skip
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host=where, port=pooler.port, user=user, password=password, dbname="pgbouncer")
