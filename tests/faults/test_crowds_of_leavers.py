"""A thousand clients that leave in the middle of their work within seconds: PostgreSQL hardly notices."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import crowd
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

LEAVERS = 1000
AT_ONCE = 20
POOL = 8


def in_transaction(client: Client, table: str) -> None:
    client.query(f"BEGIN; INSERT INTO {table} VALUES (1)")


def in_query(client: Client, table: str) -> None:
    client.send(wire.query(f"INSERT INTO {table} SELECT 1 FROM pg_sleep(60)"))


def in_copy(client: Client, table: str) -> None:
    client.send(wire.query(f"COPY {table} FROM STDIN"))
    assert client.read_until("G")
    client.send(wire.copy_data(b"1\n" * 100))


def in_pipeline(client: Client, table: str) -> None:
    client.send(wire.query("BEGIN"), *[wire.extended(f"INSERT INTO {table} VALUES (1)") + wire.sync()] * 20)
    client.read_until("Z")


WAYS = (in_transaction, in_query, in_copy, in_pipeline)


@pytest.mark.parametrize("workers", [1, 4])
def test_few_servers_serve_them_all(pooler: Pooler, postgres: Postgres, table: str, workers: int) -> None:
    with postgres.connect(dbname="app", user="alice") as connection:
        connection.execute(f"CREATE TABLE {table} (n int)")
    pooler.run_with(default_pool_size=POOL, workers=workers)

    def leave(member: int) -> None:
        for number in range(member, LEAVERS, AT_ONCE):
            client = pooler.client()
            WAYS[number % len(WAYS)](client, table)
            client.vanish() if number % 3 else client.reset()

    crowd(AT_ONCE, leave)
    with pooler.client() as following:
        assert following.query(f"SELECT count(*) FROM {table}").value == "0"
    pooler.wait_until_idle()
    opened = [event for event in pooler.events if event["message"] == "server connected"]
    assert len(opened) <= POOL + 2
    assert not postgres.backends("state <> 'idle'")
