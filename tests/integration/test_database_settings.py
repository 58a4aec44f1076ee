"""Settings of single databases and users that are there globally, too: the own value wins."""

import pytest

from tests.kit.client import Client
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.watch import BackendWatch


def works(pooler: Pooler, user: str, database: str) -> None:
    with pooler.client(user, database) as client:
        for _ in range(5):
            assert not client.query("SELECT pg_sleep(0.005)").errors


def backend(client: Client) -> str | None:
    return client.query("SELECT pg_backend_pid()").value


def test_max_db_connections_of_a_database(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["other"]["max_db_connections"] = 2
    pooler.run_with(default_pool_size=3, max_db_connections=4)
    who = [(user, database) for user in ("alice", "bob") for database in ("app", "other")]
    with BackendWatch(postgres, "datname = 'app'") as app, BackendWatch(postgres, "datname = 'other'") as other:
        crowd(24, lambda number: works(pooler, *who[number % 4]))
    assert (app.peak, other.peak) == (4, 2)


def test_max_user_connections_of_a_user(pooler: Pooler, postgres: Postgres) -> None:
    pooler.users["bob"] = {"max_user_connections": 2}
    pooler.run_with(default_pool_size=3, max_user_connections=4)
    who = [(user, database) for user in ("alice", "bob") for database in ("app", "other")]
    with BackendWatch(postgres, "usename = 'alice'") as alice, BackendWatch(postgres, "usename = 'bob'") as bob:
        crowd(24, lambda number: works(pooler, *who[number % 4]))
    assert (alice.peak, bob.peak) == (4, 2)


@pytest.mark.parametrize("whose", ["databases", "users"])
def test_reserve_pool_size_of_a_database_or_a_user(pooler: Pooler, whose: str) -> None:
    table = {"databases": pooler.databases["app"], "users": pooler.users.setdefault("alice", {})}[whose]
    table["reserve_pool_size"] = 1
    pooler.run_with(default_pool_size=1, reserve_pool_timeout=0.1, query_wait_timeout=30)
    with pooler.client() as holder, pooler.client() as helped:
        holder.begin()
        assert helped.query("SELECT 'from the reserve'").value == "from the reserve"


def test_server_lifetime_of_a_database(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"]["server_lifetime"] = "0.3s"
    pooler.run_with(server_lifetime="1h")
    with pooler.client() as short, pooler.client(database="other") as long:
        before, stays = backend(short), backend(long)
        wait_until(lambda: int(before or 0) not in postgres.backends(), "the old server to be closed")
        assert backend(long) == stays


def test_min_pool_size_of_a_database(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"]["min_pool_size"] = 3
    pooler.run_with(min_pool_size=1)
    with pooler.client() as client, pooler.client(database="other") as other:
        client.query("SELECT 1")
        other.query("SELECT 1")
        postgres.wait_for_backends(3, "datname = 'app'")
        assert len(postgres.backends("datname = 'other'")) == 1


@pytest.mark.parametrize("whose", ["databases", "users", "users before databases"])
def test_pool_mode_of_a_database_or_a_user(pooler: Pooler, whose: str) -> None:
    """In session mode two clients do not share a server."""
    if whose != "users":
        pooler.databases["app"]["pool_mode"] = "transaction" if "before" in whose else "session"
    if whose != "databases":
        pooler.users["alice"] = {"pool_mode": "session"}
    pooler.run_with(pool_mode="transaction")
    with pooler.client() as one, pooler.client() as two:
        assert backend(one) != backend(two)
    with pooler.client("bob", "other") as one, pooler.client("bob", "other") as two:
        assert backend(one) == backend(two)


@pytest.mark.parametrize("whose", ["databases", "users"])
def test_max_pinned_of_a_database_or_a_user(pooler: Pooler, whose: str) -> None:
    table = {"databases": pooler.databases["app"], "users": pooler.users.setdefault("alice", {})}[whose]
    table["max_pinned"] = "0%"
    pooler.run_with(max_pinned="100%", default_pool_size=4)
    with pooler.client() as client, pooler.client("bob", "other") as other:
        assert client.query("CREATE TEMP TABLE mine (n int)").error.sqlstate == "53300"
        assert not other.query("CREATE TEMP TABLE mine (n int)").errors


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize(
    "key, value, setting",
    [
        ("client_encoding", "LATIN1", "client_encoding"),
        ("datestyle", "German, DMY", "DateStyle"),
        ("timezone", "Asia/Tokyo", "TimeZone"),
        ("application_name", "reports", "application_name"),
        ("options", "-c work_mem=7MB", "work_mem"),
    ],
)
def test_what_servers_of_a_database_start_with(pooler: Pooler, key: str, value: str, setting: str, mode: str) -> None:
    pooler.databases["app"][key] = value
    pooler.run_with(pool_mode=mode)
    expected = value.rpartition("=")[2]
    with pooler.client() as client, pooler.client(database="other") as other:
        assert client.query(f"SHOW {setting}").value == expected
        assert other.query(f"SHOW {setting}").value != expected
