"""Cancel requests reach the query they are meant for, and nothing else."""

import random

import psycopg
import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Background, Crowd
from tests.kit.deadline import wait_until
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

SLEEP = "SELECT pg_sleep(60)"


def wait_until_sleeping(postgres: Postgres, count: int = 1) -> None:
    postgres.wait_for_backends(count, f"state = 'active' AND query = '{SLEEP}'")


@pytest.mark.parametrize("version", [wire.PROTOCOL_3_0, wire.PROTOCOL_3_2])
def test_a_running_query_is_cancelled(server: Server, postgres: Postgres, version: int) -> None:
    with Client(server.address) as client:
        client.log_in(version, user="alice", database="app")
        client.send(wire.query(SLEEP))
        wait_until_sleeping(postgres)
        client.cancel()
        replies = client.read_until("Z")
        assert (replies.error.sqlstate, replies.statuses) == ("57014", "I")
        assert client.query("SELECT 1").value == "1"


def test_inside_a_transaction(server: Server, postgres: Postgres) -> None:
    with server.client() as client:
        client.begin()
        client.send(wire.extended(SLEEP), wire.sync())
        wait_until_sleeping(postgres)
        client.cancel()
        replies = client.read_until("Z")
        assert (replies.error.sqlstate, replies.statuses) == ("57014", "E")
        assert client.query("ROLLBACK").statuses == "I"


def test_over_a_unix_socket(server: Server, postgres: Postgres) -> None:
    with Client(server.socket_path) as client:
        client.log_in(user="alice", database="app")
        client.send(wire.query(SLEEP))
        wait_until_sleeping(postgres)
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_only_the_one_that_is_meant(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=8)
    clients = [pooler.client() for _ in range(8)]
    for client in clients:
        client.send(wire.query(SLEEP))
    wait_until_sleeping(postgres, 8)
    random.shuffle(clients)
    for left, client in zip(range(7, -1, -1), clients, strict=True):
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"
        assert len(postgres.backends("state = 'active'")) == left
    pooler.wait_until_idle()


def test_a_wrong_key_does_nothing(server: Server, postgres: Postgres) -> None:
    with server.client() as client:
        client.send(wire.query(SLEEP))
        wait_until_sleeping(postgres)
        key = client.secret_key
        for wrong in (bytes(len(key)), key[:-1] + bytes([key[-1] ^ 4]), key[:3], key + b"\0", b"", b"x" * 256):
            with Client(server.address) as request:
                request.send(wire.cancel_request(client.process_id, wrong))
                assert request.read_to_end() == []
        assert not client.has_input()
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"


def test_an_idle_client_cancels_nobody(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as former, pooler.client() as owner:
        former.query("SELECT 1")
        owner.send(wire.query("SELECT pg_sleep(0.5)"))
        postgres.wait_for_backends(1, "state = 'active'")
        for _ in range(20):
            former.cancel()
        assert not owner.read_until("Z").errors


def test_a_client_that_has_left_cancels_nobody(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    former = pooler.client()
    former.query("SELECT 1")
    former.close()
    with pooler.client() as owner:
        owner.send(wire.query("SELECT pg_sleep(0.5)"))
        postgres.wait_for_backends(1, "state = 'active'")
        for _ in range(20):
            former.cancel()
        assert not owner.read_until("Z").errors


def test_a_waiting_client_cancels_nobody_else(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as owner, pooler.client() as waiting:
        waiting.query("SELECT 1")
        owner.send(wire.query("SELECT pg_sleep(0.5)"))
        postgres.wait_for_backends(1, "state = 'active'")
        waiting.send(wire.query("SELECT 'later'"))
        pooler.wait_for_pool(cl_waiting=1)
        waiting.cancel()
        assert not owner.read_until("Z").errors


def test_requests_are_served_when_the_pool_is_full(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, max_db_connections=2)
    with pooler.client() as one, pooler.client() as two, pooler.client() as waiting:
        one.send(wire.query(SLEEP))
        two.send(wire.query(SLEEP))
        wait_until_sleeping(postgres, 2)
        waiting.send(wire.query("SELECT 'at last'"))
        pooler.wait_for_pool(cl_waiting=1)
        one.cancel()
        assert one.read_until("Z").error.sqlstate == "57014"
        assert waiting.read_until("Z").value == "at last"
        two.cancel()
        assert two.read_until("Z").error.sqlstate == "57014"


def test_bystanders_are_never_hit(pooler: Pooler) -> None:
    """Clients whose queries end just when their cancel arrives share servers with clients that cancel nothing."""
    pooler.run_with(workers=4, default_pool_size=3)
    victims = [pooler.client() for _ in range(4)]

    def bystand(_: int) -> list[str]:
        with pooler.client() as client:
            return [error.sqlstate for _ in range(150) for error in client.query("SELECT pg_sleep(0.001)").errors]

    bystanders = Crowd(6, bystand)
    rounds = 0
    while any(thread.is_alive() for thread in bystanders._threads):
        victim = victims[rounds % len(victims)]
        victim.send(wire.query("SELECT pg_sleep(0.002)"))
        victim.cancel()
        assert {error.sqlstate for error in victim.read_until("Z").errors} <= {"57014"}
        rounds += 1
    assert all(errors == [] for errors in bystanders.wait().values())
    assert rounds > 0


def test_a_hung_cancel_request_holds_up_nobody(pooler: Pooler) -> None:
    pooler.run()
    with Client(pooler.address) as request, pooler.client() as client:
        request.send(wire.cancel_request(client.process_id, client.secret_key)[:10])
        assert client.query("SELECT 1").value == "1"


def test_a_hundred_cancel_requests_at_once(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2)
    with pooler.client() as client:
        client.send(wire.query(SLEEP))
        wait_until_sleeping(postgres)
        requests = [Client(pooler.address) for _ in range(100)]
        for request in requests:
            request.send(wire.cancel_request(client.process_id, client.secret_key))
        assert client.read_until("Z").error.sqlstate == "57014"
        for request in requests:
            assert request.read_to_end() == []
        wait_until(lambda: client.query("SELECT 1").shape == "T D C Z", "the client to work on")
    pooler.wait_until_idle()


def test_cancel_by_psycopg(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    connection = pooler.connect()
    query = Background(lambda: connection.execute(SLEEP))
    wait_until_sleeping(postgres)
    connection.cancel_safe()
    with pytest.raises(psycopg.errors.QueryCanceled):
        query.result()
