"""PostgreSQL's own replication programs and subscriptions go through howdah as they go without it."""

from pathlib import Path

import pytest

from tests.kit.deadline import wait_until
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.postgres import REPLICATOR, Postgres
from tests.kit.replication import Program, run


@pytest.mark.parametrize("log", ["none", "fetch", "stream"])
def test_pg_basebackup(server: Server, postgres: Postgres, tmp_path: Path, log: str) -> None:
    """With "stream" it streams the log by a second connection meanwhile."""
    backup = tmp_path / "backup"
    run(postgres, server, "pg_basebackup", "-D", backup, "-X", log, "-c", "fast")
    assert (backup / "PG_VERSION").read_text().strip() == str(postgres.version)
    checks = ["-n"] if log == "none" else []
    run(postgres, server, "pg_verifybackup", *checks, backup)


def test_pg_basebackup_of_tablespaces_in_tar_files(server: Server, postgres: Postgres, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    run(postgres, server, "pg_basebackup", "-D", backup, "-F", "tar", "-z", "-X", "stream", "-c", "fast")
    assert {"base.tar.gz", "pg_wal.tar.gz"} <= {path.name for path in backup.iterdir()}


def test_a_standby(server: Server, postgres: Postgres, table: str, slot: str) -> None:
    standby = Postgres(postgres.binaries)
    how = ("-R", "-X", "stream", "-c", "fast", "-C", "-S", slot)
    try:
        standby.follow(lambda data: run(postgres, server, "pg_basebackup", "-D", data, *how))
        postgres.sql_in("app", f"CREATE TABLE {table} AS SELECT generate_series(1, 1000) AS n")
        where = f"SELECT count(*) FROM {table}"
        there = f"SELECT to_regclass('{table}') IS NOT NULL"
        wait_until(lambda: standby.sql_in("app", there) == [(True,)], "the table to be there", within=30)
        wait_until(lambda: standby.sql_in("app", where) == [(1000,)], "its rows to be there", within=30)
        assert standby.value("SELECT status FROM pg_stat_wal_receiver") == "streaming"
    finally:
        standby.remove()


def test_pg_receivewal(server: Server, postgres: Postgres, tmp_path: Path, slot: str) -> None:
    run(postgres, server, "pg_receivewal", "--create-slot", "-S", slot)
    with Program(postgres, server, "pg_receivewal", "-S", slot, "-D", tmp_path, "--synchronous") as program:

        def begun() -> bool:
            postgres.sql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 10000))")
            return bool(list(tmp_path.glob("*.partial")))

        wait_until(begun, "the first segment to be begun")
        written = postgres.value("SELECT pg_walfile_name(pg_switch_wal())")
        postgres.sql("SELECT pg_logical_emit_message(false, 'test', 'in the next segment')")
        wait_until((tmp_path / written).exists, "the segment to be whole")
        program.interrupt()
    original = postgres.data / "pg_wal" / written
    assert (tmp_path / written).read_bytes() == original.read_bytes()


def test_pg_recvlogical(server: Server, postgres: Postgres, table: str, slot: str, tmp_path: Path) -> None:
    postgres.sql_in("app", f"CREATE TABLE {table} AS SELECT 1 AS n")
    run(postgres, server, "pg_recvlogical", "-d", "app", "-S", slot, "--create-slot", "-P", "test_decoding")
    got = tmp_path / "got"
    with Program(postgres, server, "pg_recvlogical", "-d", "app", "-S", slot, "--start", "-f", got) as program:
        with postgres.connect(dbname="app") as writer:
            for n in range(300):
                writer.execute(f"INSERT INTO {table} VALUES ({n})")
        last = f"table public.{table}: INSERT: n[integer]:299"
        wait_until(lambda: got.exists() and last in got.read_text(), "the last row to be decoded")
        program.interrupt()
    rows = [line for line in got.read_text().splitlines() if table in line]
    assert rows == [f"table public.{table}: INSERT: n[integer]:{n}" for n in range(300)]


def test_a_subscription(server: Server, postgres: Postgres, table: str, slot: str) -> None:
    """From database app to database other: first the rows that are there, then those that come."""
    with postgres.connect(dbname="app") as publisher, postgres.connect(dbname="other") as subscriber:
        publisher.execute(f"CREATE TABLE {table} (n int PRIMARY KEY, note text)")
        publisher.execute(f"INSERT INTO {table} SELECT n, 'before' FROM generate_series(1, 1000) AS n")
        publisher.execute(f"GRANT SELECT ON {table} TO {REPLICATOR}")
        publisher.execute(f"CREATE PUBLICATION {table} FOR TABLE {table}")
        publisher.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
        subscriber.execute(f"CREATE TABLE {table} (n int PRIMARY KEY, note text)")
        host, port = server.address
        subscriber.execute(
            f"CREATE SUBSCRIPTION {table} CONNECTION 'host={host} port={port} user={REPLICATOR} dbname=app'"
            f" PUBLICATION {table} WITH (create_slot = false, slot_name = {slot})"
        )
        try:
            arrived = f"SELECT count(*) FROM {table} WHERE note = %s"

            def rows(note: str) -> int:
                found = subscriber.execute(arrived, (note,)).fetchone()
                return 0 if found is None else found[0]

            wait_until(lambda: rows("before") == 1000, "the first copy", within=30)
            publisher.execute(f"INSERT INTO {table} SELECT n, 'after' FROM generate_series(1001, 1500) AS n")
            publisher.execute(f"UPDATE {table} SET note = 'changed' WHERE n <= 10")
            wait_until(lambda: (rows("after"), rows("changed"), rows("before")) == (500, 10, 990), "the changes", 30)
        finally:
            subscriber.execute(f"ALTER SUBSCRIPTION {table} DISABLE")
            subscriber.execute(f"ALTER SUBSCRIPTION {table} SET (slot_name = NONE)")
            subscriber.execute(f"DROP SUBSCRIPTION {table}")
            subscriber.execute(f"DROP TABLE {table}")
            publisher.execute(f"DROP PUBLICATION {table}")


def test_a_program_that_is_killed_frees_its_walsender(
    howdah: Pooler, postgres: Postgres, slot: str, tmp_path: Path
) -> None:
    run(postgres, howdah, "pg_receivewal", "--create-slot", "-S", slot)
    active = f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{slot}' AND active"
    with Program(postgres, howdah, "pg_receivewal", "-S", slot, "-D", tmp_path) as program:
        wait_until(lambda: postgres.sql(active), "the stream to begin")
        program.process.kill()
        wait_until(lambda: not postgres.sql(active), "the walsender to end", 5)
