"""Rows and queries that are much larger than any buffer pass through in little memory."""

import pytest

from tests.kit import wire
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.watch import MemoryWatch

MB = 1 << 20
#: What the pooler may need at most while tens of megabytes pass through it.
BOUND = 12 * MB


def test_a_row_of_40_megabytes(server: Server) -> None:
    with server.client() as client:
        value = client.query(f"SELECT repeat('x', {40 * MB})").value
    assert value is not None
    assert len(value) == 40 * MB


def test_a_query_of_64_megabytes(server: Server) -> None:
    with server.client() as client:
        assert client.query(f"SELECT length('{'x' * 64 * MB}')", within=60).value == str(64 * MB)
        assert client.query("SELECT 1").value == "1"


def test_a_parameter_of_64_megabytes(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SELECT length($1::text)", "x" * 64 * MB), wire.sync(), within=60)
    assert replies.value == str(64 * MB)


def test_a_large_copy_data_message(server: Server, table: str) -> None:
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (t text)")
        client.send(wire.query(f"COPY {table} FROM STDIN"), wire.copy_data(b"x" * 32 * MB + b"\n"), wire.copy_done())
        assert client.read_until("Z", within=60).command_tags == ["COPY 1"]
        assert client.query(f"SELECT length(t) FROM {table}").value == str(32 * MB)


@pytest.mark.parametrize("kind", ["row", "query", "rows"])
def test_the_poolers_memory_stays_small(howdah: Pooler, kind: str) -> None:
    statement = {
        "row": f"SELECT repeat('x', {40 * MB})",
        "query": f"SELECT length('{'x' * 40 * MB}')",
        "rows": "SELECT repeat('x', 1000) FROM generate_series(1, 40000)",
    }[kind]
    with howdah.client() as client:
        client.query("SELECT 1")
        with MemoryWatch(lambda: howdah.resident_bytes) as memory:
            assert not client.query(statement, within=60).errors
    assert memory.growth < BOUND


def test_other_clients_are_served_during_a_large_transfer(pooler: Pooler) -> None:
    pooler.run_with(workers=1)
    with pooler.client() as bulk, pooler.client() as other:
        bulk.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
        bulk.read_until("D")
        for number in range(50):
            assert other.query(f"SELECT {number}", within=5).value == str(number)
        assert bulk.read_until("Z", within=60).command_tags == ["SELECT 100000"]
