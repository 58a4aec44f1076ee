"""SELECT on the console, as drivers send it: with parameters, in binary, prepared, and with rights."""

import asyncio
import time
from typing import Any

import asyncpg
import psutil
import psycopg
import pytest
from psycopg.rows import dict_row

from howdah.control.console.places import MOST_AT_ONCE
from howdah.control.console.sandbox import LONGEST_S
from tests.kit.deadline import PATIENCE
from tests.kit.pooler import Pooler


def _console(pooler: Pooler, user: str = "boss", **options: Any) -> psycopg.Connection[Any]:
    return pooler.connect(dbname="pgbouncer", user=user, **options)


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_binds_values_and_gets_numbers(howdah: Pooler, binary: bool) -> None:
    howdah.value("SELECT 1")
    sql = (
        "SELECT database, sv_idle, count(*) AS pools FROM pools "
        "WHERE database = %s AND sv_idle >= %s AND user = 'alice' GROUP BY 1, 2"
    )
    with _console(howdah, prepare_threshold=1) as console:
        for _ in range(3):
            cursor = console.cursor(row_factory=dict_row, binary=binary)
            row = cursor.execute(sql, ("app", 0)).fetchone()
            assert row is not None
            assert (row["database"], type(row["sv_idle"]), row["pools"]) == ("app", int, 1)


def test_values_of_all_types_are_read_and_given_in_both_formats(howdah: Pooler) -> None:
    with _console(howdah) as console:
        for form in ("%b", "%t"):
            for value, cast in (
                (7, "int"),
                (-3_000_000_000, "bigint"),
                (1.5, "float"),
                ("ä", "text"),
                (True, "boolean"),
            ):
                found = console.execute(f"SELECT CAST({form} AS {cast})", (value,)).fetchone()
                assert found == (value,)


def test_asyncpg_prepares_binds_and_is_told_the_types(howdah: Pooler) -> None:
    async def story() -> None:
        console = await asyncpg.connect(
            host=howdah.host, port=howdah.port, user="boss", database="pgbouncer", timeout=20
        )
        try:
            sql = "SELECT key, value FROM config WHERE key = $1 LIMIT $2"
            assert dict(await console.fetchrow(sql, "pool_mode", 1)) == {"key": "pool_mode", "value": "transaction"}
            prepared = await console.prepare("SELECT total_sent, id FROM stats, clients WHERE id > $1")
            assert [kind.name for kind in prepared.get_parameters()] == ["int4"]
            assert [column.type.name for column in prepared.get_attributes()] == ["numeric", "int4"]
            assert await prepared.fetch(0)
            await console.reset()
        finally:
            await console.close(timeout=10)

    asyncio.run(story())


def test_select_of_a_table_alone_is_show_as_in_pgbouncer(howdah: Pooler) -> None:
    with _console(howdah) as console:
        assert console.execute("SELECT version").fetchone() == console.execute("SHOW VERSION").fetchone()
        assert console.execute("select lists").fetchall() == console.execute("SHOW LISTS").fetchall()


def test_rows_are_as_in_show(howdah: Pooler) -> None:
    howdah.value("SELECT 1")
    with _console(howdah) as console:
        for table in ("databases", "users", "config", "servers"):
            shown = console.execute(f"SHOW {table}").fetchall()
            assert sorted(console.execute(f"SELECT * FROM {table}").fetchall(), key=str) == sorted(shown, key=str)


def test_who_may_only_look_can_select_but_not_from_fds(pooler: Pooler) -> None:
    pooler.run_with(admin_users=["boss"], stats_users=["watcher"])
    with _console(pooler, "watcher") as console:
        assert console.execute("SELECT count(*) FROM clients").fetchone() == (1,)
        for sql in (
            "SHOW FDS",
            "SELECT fd FROM fds",
            "WITH x AS (SELECT * FROM fds) SELECT 1 FROM x",
            "SET verbose = 1",
        ):
            with pytest.raises(psycopg.errors.ProtocolViolation, match="admin access needed"):
                console.execute(sql)  # type: ignore[call-overload,unused-ignore]
    with _console(pooler) as console:
        own = console.execute("SELECT fd FROM fds WHERE task = 'client' AND database = 'pgbouncer'").fetchall()
        assert len(own) == 1
        assert own[0][0] > 2


def test_a_select_that_takes_its_time_delays_nobody_else(pooler: Pooler) -> None:
    """It is ended, and meanwhile the console and logins that need it go on."""
    delays_nobody(
        pooler, "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x", b"57014"
    )


def test_a_statement_that_is_long_delays_nobody_else(pooler: Pooler) -> None:
    """What it says is made out beside the loop, too, and is not quadratic."""
    levels = ", ".join(f"c{at} AS (SELECT 1 FROM c{at - 1} x, c{at - 1} y)" for at in range(1, 40))
    delays_nobody(pooler, f"WITH c0 AS (SELECT 1 FROM pools), {levels} SELECT * FROM c39", b"54000")


def delays_nobody(pooler: Pooler, sql: str, sqlstate: bytes) -> None:
    """Others are answered before it, which ends with this error."""
    pooler.run()
    slow, quick = _console(pooler), _console(pooler)
    slow.pgconn.send_query(sql.encode())
    slow.pgconn.flush()
    for _ in range(20):
        assert quick.execute("SHOW VERSION").fetchone()
    slow.pgconn.consume_input()
    assert slow.pgconn.is_busy()
    result = slow.pgconn.get_result()
    assert result is not None
    assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == sqlstate


def test_a_cancel_ends_a_select_and_frees_its_place(pooler: Pooler) -> None:
    pooler.run()
    forever = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x"
    consoles = [pooler.console() for _ in range(2 * MOST_AT_ONCE)]
    began = time.monotonic()
    for console in consoles:
        console.send(forever)
    for console in consoles:
        while not console.has_answer:
            console.cancel()
        assert console.answer().startswith("57014: ")
    assert pooler.console().run("SELECT 1") == "SELECT 1"
    assert time.monotonic() - began < LONGEST_S * PATIENCE


def test_what_one_select_gives_is_bounded(pooler: Pooler) -> None:
    """A user who may only look could otherwise take all the memory there is."""
    pooler.run()
    before = psutil.Process(pooler.pid).memory_info().rss
    with _console(pooler) as console, pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than 64 MiB"):
        console.execute(
            "WITH RECURSIVE s(x) AS MATERIALIZED (SELECT printf('%.*c', 16000, 'x')), "
            "n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000) SELECT length(x), x FROM n, s"
        )
    assert psutil.Process(pooler.pid).memory_info().rss - before < 200 << 20
