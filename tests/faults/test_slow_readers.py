"""A client that reads slowly, or not at all: its server is free for others once it has said everything."""

from collections.abc import Iterator

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
KB = 1 << 10
SYNCS = 3_000_000
READY = wire.message(b"Z", b"I")


@pytest.fixture
def slow(pooler: Pooler) -> Iterator[Client]:
    """A client on the Unix socket: the kernel keeps little for it, and never more than that."""
    pooler.run_with(default_pool_size=1, workers=1)
    with Client(pooler.socket_path) as client:
        client.log_in(user="alice", database="app")
        yield client


def takes_nothing(client: Client) -> bool:
    """Has the other side not read a byte for a while?"""
    return not writable(client.socket, 0.5)


def wait_until_as_much_is_sent_as_can_be(postgres: Postgres, mark: str) -> None:
    """Until the marked query has been answered, or waits for somebody to take its answer."""
    postgres.wait_for_backends(1, f"query LIKE '%{mark}%' AND (state = 'idle' OR wait_event = 'ClientWrite')")


def test_a_server_whose_last_block_was_taken_in_part_serves_the_next(
    pooler: Pooler, postgres: Postgres, slow: Client
) -> None:
    """Where the kernel's buffers end is not known: among answers of all these sizes one ends just behind it."""
    with pooler.client() as following:
        for size in range(64 * KB, 512 * KB, 10_000):
            slow.send(wire.query(f"SELECT repeat('x', {size}) AS of_{size}"))
            wait_until_as_much_is_sent_as_can_be(postgres, f"of_{size}")
            following.send(wire.query("SELECT 'served'"))
            value = slow.read_until("Z").value
            assert value is not None
            assert len(value) == size
            assert following.read_until("Z", within=10).value == "served"


def test_a_server_whose_answer_is_never_read_to_its_end_is_not_lost(
    pooler: Pooler, postgres: Postgres, slow: Client
) -> None:
    pid = slow.query("SELECT pg_backend_pid()").value
    slow.send(wire.query(f"SELECT repeat('x', {20 * MB}) AS unread"))
    wait_until_as_much_is_sent_as_can_be(postgres, "unread")
    slow.vanish()
    with pooler.client() as following:
        assert following.query("SELECT pg_backend_pid()", within=10).value == pid
    pooler.wait_until_idle()


def test_answers_to_a_flood_of_syncs_wait_in_little_memory(pooler: Pooler, slow: Client) -> None:
    with MemoryWatch(lambda: pooler.resident_bytes) as memory:
        sending = Background(lambda: slow.send(wire.sync() * SYNCS))
        wait_until(lambda: sending.is_done or takes_nothing(slow), "the flood to be held up")
        assert not sending.is_done
        with pooler.client() as other:
            assert other.query("SELECT 'served'").value == "served"
        assert slow.read_bytes(len(READY) * SYNCS, within=60) == READY * SYNCS
        sending.result()
    assert memory.growth < 4 * MB
    assert slow.query("SELECT 'in step'").value == "in step"
