"""A COPY that PostgreSQL gives up while the client is still sending: the rest leads nowhere, the server comes back."""

from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.readiness import writable

LOCK = 71
ROWS = wire.copy_data(b"1\n" * 40) * 500_000  # 45 MB, more than the kernel's buffers take
#: A part of this that is larger than 4 KiB is sent on before the rest has come; a smaller one is kept.
LARGE = wire.copy_data(b"1\n" * 50_000)


@pytest.fixture
def refusing(postgres: Postgres, table: str) -> Iterator[str]:
    """A table that refuses each row, but only when advisory lock 71 is free."""
    with postgres.connect(dbname="app", user="alice") as connection:
        connection.execute(f"CREATE TABLE {table} (n int)")
        connection.execute(
            f"CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN PERFORM pg_advisory_xact_lock({LOCK}); RAISE EXCEPTION 'refused'; END$$"
        )
        connection.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"
        )
        yield table
        connection.execute(f"DROP FUNCTION refuse_{table} CASCADE")


def start_copy(client: Client, table: str) -> None:
    client.send(wire.query(f"COPY {table} FROM STDIN"))
    assert client.read().tag == "G"


def takes_nothing(client: Client) -> bool:
    """Has the other side not read a byte for a while?"""
    return not writable(client.socket, 0.5)


def serves(pooler: Pooler, pid: str | None) -> None:
    """The same backend serves a new client."""
    with pooler.client() as following:
        assert following.query("SELECT pg_backend_pid()", within=10).value == pid
    pooler.wait_until_idle()


def test_while_copy_data_is_held_up(pooler: Pooler, postgres: Postgres, refusing: str) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client, postgres.connect(dbname="app") as holder:
        pid = client.query("SELECT pg_backend_pid()").value
        holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        start_copy(client, refusing)
        sending = Background(lambda: client.send(ROWS, wire.copy_done()))
        wait_until(lambda: sending.is_done or takes_nothing(client), "the rows to be held up")
        assert not sending.is_done
        holder.execute(f"SELECT pg_advisory_unlock({LOCK})")
        replies = client.read_until("Z")
        assert (replies.shape, replies.error.fields["M"], replies.statuses) == ("E Z", "refused", "I")
        sending.result()
        assert client.query("SELECT 'in step'", within=10).value == "in step"
        serves(pooler, pid)


@pytest.mark.parametrize("part", [100, 5_000, 50_000])
def test_with_part_of_a_message_sent(pooler: Pooler, refusing: str, part: int) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        pid = client.query("SELECT pg_backend_pid()").value
        start_copy(client, refusing)
        client.send(wire.copy_data(b"not a number\n"), LARGE[:part])
        replies = client.read_until("Z")
        assert (replies.shape, replies.error.sqlstate) == ("E Z", "22P02")
        client.send(LARGE[part:], wire.copy_done())
        serves(pooler, pid)
        assert client.query("SELECT 'in step'", within=10).value == "in step"
