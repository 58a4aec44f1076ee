"""Limits of server and client connections are exact, whatever the number of workers; PostgreSQL itself counts."""

import pytest

from tests.kit.client import Client, Refused
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.watch import BackendWatch

each_number_of_workers = pytest.mark.parametrize("workers", [1, 2, 4])
LOAD = 24  # clients in a crowd


def transactions(pooler: Pooler, user: str = "alice", database: str = "app", count: int = 30) -> None:
    """One client's work: short transactions, now and then on a new connection."""
    for _ in range(3):
        with pooler.client(user, database) as client:
            for _ in range(count // 3):
                assert not client.query("SELECT pg_sleep(0.002)").errors


@each_number_of_workers
def test_default_pool_size(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=3)
    with BackendWatch(postgres) as watch:
        crowd(LOAD, lambda _: transactions(pooler))
    assert watch.peak == 3


@each_number_of_workers
def test_pool_size_of_one_is_one(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=1)
    with BackendWatch(postgres) as watch:
        crowd(LOAD, lambda _: transactions(pooler, count=12))
    assert watch.peak == 1


def test_pool_size_of_a_database_and_of_a_user(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["other"]["pool_size"] = 2
    pooler.users["bob"] = {"pool_size": 4}
    pooler.run_with(default_pool_size=3)
    who = [("alice", "app"), ("alice", "other"), ("bob", "app")]
    watches = [BackendWatch(postgres, f"usename = '{user}' AND datname = '{database}'") for user, database in who]
    with watches[0], watches[1], watches[2]:
        crowd(LOAD, lambda number: transactions(pooler, *who[number % 3]))
    assert [watch.peak for watch in watches] == [3, 2, 4]


@each_number_of_workers
def test_max_db_connections(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=5, max_db_connections=4)
    users = ["alice", "bob", "carol"]
    with BackendWatch(postgres, "datname = 'app'") as watch:
        crowd(LOAD, lambda number: transactions(pooler, users[number % 3]))
    assert watch.peak == 4


@each_number_of_workers
def test_max_user_connections(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=5, max_user_connections=4)
    databases = ["app", "other"]
    with BackendWatch(postgres, "usename = 'alice'") as watch:
        crowd(LOAD, lambda number: transactions(pooler, "alice", databases[number % 2]))
    assert watch.peak == 4


def test_an_idle_server_of_one_pool_makes_room_for_another(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, max_db_connections=1)
    with pooler.client("alice") as alice, pooler.client("bob") as bob:
        for _ in range(5):
            assert alice.query("SELECT current_user").value == "alice"
            assert bob.query("SELECT current_user").value == "bob"
    assert len(postgres.wait_for_backends(1)) == 1


@each_number_of_workers
def test_min_pool_size(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, min_pool_size=4, default_pool_size=6)
    with pooler.client() as client:
        client.query("SELECT 1")
        pids = postgres.wait_for_backends(4)
        postgres.terminate(*list(pids)[:2])
        wait_until(
            lambda: len(postgres.backends()) == 4 and postgres.backends() != pids, "the pool to be filled up again"
        )


def test_min_pool_size_of_a_forced_user_needs_no_client(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"] |= {"user": "alice", "min_pool_size": 3}
    pooler.run()
    postgres.wait_for_backends(3, "usename = 'alice' AND datname = 'app'")


def hold(pooler: Pooler, count: int) -> list[Client]:
    """As many clients, each inside a transaction."""
    clients = [pooler.client() for _ in range(count)]
    for client in clients:
        client.begin()
    return clients


def test_the_reserve_helps_after_its_time(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1, reserve_pool_size=1, reserve_pool_timeout=0.3)
    hold(pooler, 1)
    with pooler.client() as second:
        assert second.query("SELECT 'from the reserve'").value == "from the reserve"
        assert len(postgres.backends()) == 2


def test_the_reserve_is_not_used_before_its_time(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, reserve_pool_size=2, reserve_pool_timeout=60)
    with BackendWatch(postgres) as watch:
        crowd(LOAD, lambda _: transactions(pooler, count=12))
    assert watch.peak == 2


@each_number_of_workers
def test_pool_and_reserve_together_are_never_exceeded(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=2, reserve_pool_size=2, reserve_pool_timeout=0.01)
    with BackendWatch(postgres) as watch:
        crowd(LOAD, lambda _: transactions(pooler))
    assert watch.peak <= 4


@each_number_of_workers
def test_max_client_conn(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, max_client_conn=10)
    clients = [pooler.client() for _ in range(10)]
    with pytest.raises(Refused, match="max_client_conn") as refused:
        pooler.client()
    assert refused.value.sqlstate == "53300"
    assert all(client.query("SELECT 1").value == "1" for client in clients)
    pooler.wait_for_log("max_client_conn")


@each_number_of_workers
def test_a_client_that_leaves_makes_room(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, max_client_conn=3)
    clients = [pooler.client() for _ in range(3)]

    def one_more() -> bool:
        try:
            clients.append(pooler.client())
        except Refused:
            return False
        return True

    for _ in range(10):
        clients.pop(0).close()
        wait_until(one_more, "the place of the client that left")
    assert all(client.query("SELECT 1").value == "1" for client in clients)


def test_a_crowd_at_the_door_gets_exactly_the_places_there_are(pooler: Pooler) -> None:
    pooler.run_with(workers=4, max_client_conn=20)

    def try_to_enter(_: int) -> Client | Refused:
        try:
            return pooler.client()
        except Refused as refused:
            return refused

    all_of_them = crowd(60, try_to_enter).values()
    inside = [client for client in all_of_them if isinstance(client, Client)]
    assert len(inside) == 20
    assert {refused.sqlstate for refused in all_of_them if isinstance(refused, Refused)} == {"53300"}
    assert all(client.query("SELECT 1").value == "1" for client in inside)
