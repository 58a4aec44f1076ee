"""A client that leaves in the middle: its server is rolled back, brought back in step, and kept for the next."""

from collections.abc import Callable

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.watch import BackendWatch

ways_to_leave = pytest.mark.parametrize("leave", [Client.vanish, Client.reset, Client.close], ids=["eof", "reset", "X"])
Leave = Callable[[Client], None]


@pytest.fixture
def locked(postgres: Postgres, table: str) -> str:
    """A table that each test locks, fills and forgets."""
    with postgres.connect(dbname="app", user="alice") as connection:
        connection.execute(f"CREATE TABLE {table} (n int)")
    return table


def is_back(pooler: Pooler, pid: str | None, table: str) -> None:
    """The same backend serves the next client, holding nothing of the last."""
    with pooler.client() as following:
        replies = following.query(f"SELECT pg_backend_pid(); SELECT count(*) FROM {table}", within=10)
        assert replies.rows == [(pid,), ("0",)]
        locks = f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass"
        assert following.query(locks).value == "0"
        assert following.query("BEGIN").notices == []
        following.query("ROLLBACK")
    pooler.wait_until_idle()


@ways_to_leave
def test_inside_a_transaction(pooler: Pooler, locked: str, leave: Leave) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    client.query(f"BEGIN; INSERT INTO {locked} VALUES (1); LOCK {locked}")
    pid = client.query("SELECT pg_backend_pid()").value
    leave(client)
    is_back(pooler, pid, locked)


@ways_to_leave
def test_inside_a_failed_transaction(pooler: Pooler, locked: str, leave: Leave) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    client.query(f"BEGIN; INSERT INTO {locked} VALUES (1)")
    pid = client.query("SELECT pg_backend_pid()").value
    client.query("SELECT 1/0")
    leave(client)
    is_back(pooler, pid, locked)


@pytest.mark.parametrize("leave", [Client.vanish, Client.reset], ids=["eof", "reset"])
def test_during_a_query(pooler: Pooler, postgres: Postgres, locked: str, leave: Leave) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query(f"INSERT INTO {locked} SELECT 1 FROM pg_sleep(60)"))
    postgres.wait_for_backends(1, "state = 'active'")
    leave(client)
    is_back(pooler, pid, locked)


def test_during_a_query_inside_a_transaction(pooler: Pooler, postgres: Postgres, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    client.query(f"BEGIN; INSERT INTO {locked} VALUES (1)")
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.extended("SELECT pg_sleep(60)"), wire.sync())
    postgres.wait_for_backends(1, "state = 'active'")
    client.vanish()
    is_back(pooler, pid, locked)


@pytest.mark.parametrize("data", [b"", b"1\n", b"1\n" * 100_000], ids=["nothing", "a row", "much"])
def test_during_copy_in(pooler: Pooler, locked: str, data: bytes) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query(f"COPY {locked} FROM STDIN"))
    assert client.read().tag == "G"
    client.send(wire.copy_data(data))
    client.vanish()
    is_back(pooler, pid, locked)


def test_inside_a_copy_data_message(pooler: Pooler, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query(f"COPY {locked} FROM STDIN"))
    assert client.read().tag == "G"
    client.send(wire.copy_data(b"1\n" * 300_000)[:400_000])
    client.vanish()
    is_back(pooler, pid, locked)


@pytest.mark.parametrize("behind", [b"", wire.sync(), wire.copy_data(b"1\n"), wire.copy_data(b"1\n") + wire.sync()])
@pytest.mark.parametrize("before", [b"", wire.query("SELECT 1")])
@pytest.mark.parametrize("kind", ["query", "several", "extended"])
def test_before_a_copy_in_has_begun(pooler: Pooler, locked: str, kind: str, before: bytes, behind: bytes) -> None:
    pooler.run_with(default_pool_size=1)
    copy = f"COPY {locked} FROM STDIN"
    start = {"query": wire.query(copy), "several": wire.query(f"{copy}; SELECT 1"), "extended": wire.extended(copy)}
    with pooler.client() as first:
        pid = first.query("SELECT pg_backend_pid()").value
    for _ in range(5):  # the cancel may come sooner or later
        client = pooler.client()
        client.send(before, start[kind], behind)
        client.vanish()
        pooler.wait_until_idle(within=4)
    if wire.sync() not in behind:  # else nobody knows whether the copy has read it
        is_back(pooler, pid, locked)
    assert not pooler.log_contains("server_protocol")


@pytest.mark.parametrize("missing", [1, 2, 3, 5, 100_000])
@pytest.mark.parametrize("inside", [False, True])
def test_inside_a_large_message(pooler: Pooler, locked: str, inside: bool, missing: int) -> None:
    """What goes to the server behind half a message must not make it a whole one that does something."""
    pooler.run_with(default_pool_size=1)
    padding = "x" * 200_000
    for message in (
        wire.query(f"INSERT INTO {locked} SELECT 1 /*{padding}*/ AS a1"),
        wire.parse(f"INSERT INTO {locked} SELECT 1 /*{padding}*/", "s"),
        wire.parse(f"INSERT INTO {locked} SELECT length($1)") + wire.bind(padding),
    ):
        client = pooler.client()
        pid = client.query("BEGIN; SELECT pg_backend_pid()" if inside else "SELECT pg_backend_pid()").value
        client.send(message[:-missing])
        client.vanish()
        is_back(pooler, pid, locked)


@pytest.mark.parametrize("read_first", [0, 100_000])
def test_during_copy_out(pooler: Pooler, locked: str, read_first: int) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"))
    client.read_bytes(read_first)
    client.reset()
    is_back(pooler, pid, locked)


def test_during_a_large_result(pooler: Pooler, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
    client.read_bytes(10_000)
    client.reset()
    is_back(pooler, pid, locked)


def test_in_a_pipeline(pooler: Pooler, postgres: Postgres, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.query("BEGIN"), wire.query(f"INSERT INTO {locked} VALUES (1)"), wire.query("SELECT pg_sleep(60)"))
    client.send(*[wire.extended("SELECT 1") + wire.sync()] * 50)
    postgres.wait_for_backends(1, "state = 'active' AND query LIKE '%sleep%'")
    client.vanish()
    is_back(pooler, pid, locked)


def test_before_a_sync(pooler: Pooler, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query("SELECT pg_backend_pid()").value
    client.send(wire.extended(f"INSERT INTO {locked} VALUES (1)"), wire.flush())
    assert client.read_until("C").command_tags == ["INSERT 0 1"]
    client.vanish()
    is_back(pooler, pid, locked)


def test_inside_a_message(pooler: Pooler, locked: str) -> None:
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = client.query(f"BEGIN; INSERT INTO {locked} VALUES (1); SELECT pg_backend_pid()").rows[-1][0]
    client.send(wire.query("SELECT 'never finished'")[:-5])
    client.vanish()
    is_back(pooler, pid, locked)


def test_while_waiting(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder:
        holder.begin()
        waiting = [pooler.client() for _ in range(10)]
        for client in waiting:
            client.send(wire.query("SELECT 1"))
        pooler.wait_for_pool(cl_waiting=10)
        for client in waiting:
            client.vanish()
        pooler.wait_for_pool(cl_waiting=0, sv_active=1)
        holder.query("COMMIT")
    pooler.wait_until_idle()


def test_each_one_has_its_line_in_the_log(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    for count in range(1, 4):
        client = pooler.client()
        client.begin()
        client.vanish()
        wait_until(lambda seen=count: len(pooler.logged("abandoned_transaction")) == seen, "the log line")  # type: ignore[misc]


def test_many_leavers_cost_few_servers(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=3, workers=2)
    with BackendWatch(postgres) as watch:
        pids = set()
        for number in range(100):
            client = pooler.client()
            client.begin()
            pids.add(client.query("SELECT pg_backend_pid()").value)
            if number % 2:
                client.send(wire.query("SELECT pg_sleep(60)"))
            client.reset()
        pooler.wait_until_idle()
    assert watch.peak <= 3
    assert len(pids) <= 3


def test_a_server_that_will_not_come_back_is_closed(pooler: Pooler, postgres: Postgres) -> None:
    """Frozen, it answers nothing: it must not block its place in the pool for ever."""
    pooler.run_with(default_pool_size=1)
    client = pooler.client()
    pid = int(client.query("BEGIN; SELECT pg_backend_pid()").value or "")
    postgres.freeze(pid)
    try:
        client.vanish()
        with pooler.client() as following:
            assert following.query("SELECT pg_backend_pid()", within=45).value != str(pid)
    finally:
        postgres.thaw(pid)
    assert pooler.logged("abandoned_unrecoverable")
