"""A side that does not take its bytes stops the other side; howdah's memory stays small, and others are served."""

import socket
import time

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.readiness import writable
from tests.kit.watch import MemoryWatch

MB = 1 << 20
ENDLESS = "SELECT repeat('x', 1000) FROM generate_series(1, 2000000)"  # 2 GB
#: For one connection that is held up, beyond the kernel's own buffers.
BOUND = 4 * MB


def wait_until_stuck(postgres: Postgres, count: int) -> None:
    """Until that many servers wait for somebody to take what they write."""
    postgres.wait_for_backends(count, "wait_event = 'ClientWrite'")


def push_until_stuck(client: Client, messages: bytes) -> None:
    """Send the messages again and again until nobody has taken a byte for a second."""
    pending, taken = b"", time.monotonic()
    while time.monotonic() - taken < 1:
        pending = pending or messages
        if writable(client.socket, 0.1):
            pending = pending[client.socket.send(pending, socket.MSG_DONTWAIT) :]
            taken = time.monotonic()


def test_a_reader_that_does_not_read(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=4)
    with pooler.client() as slow, pooler.client() as other:
        other.query("SELECT 1")
        with MemoryWatch(lambda: pooler.resident_bytes) as memory:
            slow.send(wire.query(ENDLESS))
            wait_until_stuck(postgres, 1)
            assert all(other.query(f"SELECT {n}").value == str(n) for n in range(100))
        assert memory.growth < BOUND
        slow.reset()
        pooler.wait_until_idle()


def test_many_readers_that_do_not_read(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=30)
    slow = [pooler.client() for _ in range(20)]
    with pooler.client() as other, MemoryWatch(lambda: pooler.resident_bytes) as memory:
        for client in slow:
            client.send(wire.query(ENDLESS))
        wait_until_stuck(postgres, 20)
        assert other.query("SELECT 1").value == "1"
    assert memory.growth < 20 * BOUND
    for client in slow:
        client.reset()
    pooler.wait_until_idle()


def test_a_reader_that_reads_again_gets_everything(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as slow:
        slow.send(wire.query("SELECT n, repeat('x', 1000) FROM generate_series(1, 60000) AS n"))
        wait_until_stuck(postgres, 1)
        replies = slow.read_until("Z", within=60)
    assert [int(row[0] or "") for row in replies.rows] == list(range(1, 60_001))


def test_one_huge_row_to_a_reader_that_does_not_read(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as slow:
        slow.query("SELECT 1")
        with MemoryWatch(lambda: pooler.resident_bytes) as memory:
            slow.send(wire.query(f"SELECT repeat('x', {100 * MB})"))
            wait_until_stuck(postgres, 1)
            value = slow.read_until("Z", within=60).value
        assert value is not None
        assert len(value) == 100 * MB
    assert memory.growth < BOUND


@pytest.mark.parametrize("kind", ["copy", "query"])
def test_a_server_that_does_not_read(pooler: Pooler, postgres: Postgres, table: str, kind: str) -> None:
    pooler.run()
    with pooler.client() as bulk, pooler.client() as other:
        bulk.query(f"BEGIN; CREATE TABLE {table} (t text)")
        pid = int(bulk.query("SELECT pg_backend_pid()").value or "")
        other.query("SELECT 1")
        if kind == "copy":
            messages = [wire.query(f"COPY {table} FROM STDIN"), *[wire.copy_data(b"x" * 99_999 + b"\n")] * 600]
            messages.append(wire.copy_done())
        else:
            messages = [wire.query(f"SELECT length('{'x' * 60 * MB}')")]
        postgres.freeze(pid)
        try:
            with MemoryWatch(lambda: pooler.resident_bytes) as memory:
                sending = Background(lambda: bulk.send(*messages))
                assert all(other.query(f"SELECT {n}").value == str(n) for n in range(200))
                assert not sending.is_done
        finally:
            postgres.thaw(pid)
        assert not bulk.read_until("Z", within=60).errors
        sending.result()
    assert memory.growth < BOUND


def test_a_pipeline_faster_than_its_reader(pooler: Pooler) -> None:
    pooler.run()
    count = 30_000
    with pooler.client() as client, MemoryWatch(lambda: pooler.resident_bytes) as memory:
        sending = Background(lambda: client.send(*[wire.query("SELECT repeat('x', 1000)")] * count))
        wait_until(client.has_input, "the first answer")
        replies = client.read_ready(count, within=60)
        sending.result()
    assert len(replies.rows) == count
    assert memory.growth < BOUND


def test_a_pipeline_whose_answers_are_never_read(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as client, pooler.client() as other:
        other.query("SELECT 1")
        with MemoryWatch(lambda: pooler.resident_bytes) as memory:
            push_until_stuck(client, wire.query("SELECT repeat('x', 10000)") * 100)
            wait_until_stuck(postgres, 1)
            assert all(other.query(f"SELECT {n}").value == str(n) for n in range(100))
        assert memory.growth < BOUND
        client.reset()
        pooler.wait_until_idle()


def test_small_messages_that_ask_for_large_ones(pooler: Pooler) -> None:
    """Each Bind of a statement that the server had to drop puts its text in front."""
    pooler.run_with(default_pool_size=1, max_prepared_statements=10)
    with pooler.client() as client:
        for number in range(20):
            text = f"SELECT {number} /*{'x' * 60_000}*/"
            assert client.ask(wire.parse(text, f"s{number}"), wire.sync()).shape == "1 Z"
        binds = b"".join(wire.bind(statement=f"s{number}") for number in range(20)) * 190
        with MemoryWatch(lambda: pooler.resident_bytes) as watch:
            client.send(wire.query("SELECT pg_sleep(0.5)"), binds, wire.sync())
            assert client.read_until("Z").statuses == "I"
            assert client.read_until("Z", within=60).shape == "2 " * 3800 + "Z"
    assert watch.growth < 6 * MB
