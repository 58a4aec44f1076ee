"""KILL, KILL_CLIENT, DISABLE and ENABLE."""

import psycopg
import pytest

from tests.kit import wire
from tests.kit.client import Client, Refused
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def last_words(client: Client) -> tuple[str, str]:
    error = client.read_to_end().error
    return error.sqlstate, error.fields["M"]


def test_kill_ends_clients_whatever_they_are_at(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(workers=4, default_pool_size=2)
    idle, busy, running, waiting = (pooler.client() for _ in range(4))
    other, console = pooler.client(database="other"), pooler.console()
    other.begin()
    idle.query("SELECT 1")
    busy.begin()
    running.send(wire.query("SELECT pg_sleep(60)"))
    postgres.wait_for_backends(1, "query LIKE '%pg_sleep%' AND state = 'active'")
    waiting.send(wire.query("SELECT 1"))
    pooler.wait_for_pool(cl_waiting=1)
    assert console.run("KILL app") == "KILL"
    for client in (idle, busy, running, waiting):
        assert last_words(client) == ("57P01", "database removed")
    wait_until(lambda: not postgres.backends("datname = 'app' AND usename = 'alice'"), "the servers to go")
    assert other.query("COMMIT").statuses == "I"


def test_a_killed_database_is_paused_until_resume(pooler: Pooler) -> None:
    pooler.run()
    pooler.client().query("SELECT 1")
    console = pooler.console()
    assert console.run("KILL app") == "KILL"
    newcomer = pooler.client()
    newcomer.send(wire.query("SELECT 1"))
    pooler.wait_for_pool(cl_waiting=1)
    assert console.run("RESUME app") == "RESUME"
    assert newcomer.read_until("Z").rows == [("1",)]


def test_a_server_that_was_killed_does_not_come_back(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    before = client.query("SELECT pg_backend_pid()").value
    client.begin()
    console.run("KILL app")
    console.run("RESUME app")
    with pooler.client() as after:
        assert after.query("SELECT pg_backend_pid()").value != before


def test_kill_of_all(pooler: Pooler) -> None:
    pooler.run()
    clients, console = [pooler.client(), pooler.client(database="other")], pooler.console()
    for client in clients:
        client.begin()
    assert console.run("KILL") == "KILL"
    assert [last_words(client)[0] for client in clients] == ["57P01", "57P01"]
    assert console.state() == "paused"
    assert console.run("RESUME") == "RESUME"
    assert pooler.client().query("SELECT 1").rows == [("1",)]


@pytest.mark.parametrize("workers", [1, 4])
def test_kill_client_ends_that_one(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers)
    clients, console = [pooler.client(application_name=f"client {i}") for i in range(4)], pooler.console()
    clients[2].begin()
    ids = {row["application_name"]: row["id"] for row in pooler.admin("SHOW CLIENTS")}
    assert console.run(f"KILL_CLIENT {ids['client 2']}") == "KILL_CLIENT"
    assert last_words(clients[2]) == ("57P01", "admin forced disconnect")
    assert console.run(f"KILL_CLIENT {ids['client 2']}") == "08P01: client not found"
    for client in (clients[0], clients[1], clients[3]):
        assert client.query("SELECT 1").rows == [("1",)]


def test_a_disabled_database_refuses_newcomers_alone(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    assert console.run("DISABLE app") == "DISABLE"
    assert [row["disabled"] for row in pooler.admin("SHOW DATABASES") if row["name"] == "app"] == [1]
    with pytest.raises(Refused) as refused:
        pooler.client()
    assert (refused.value.sqlstate, refused.value.error.fields["M"]) == ("57P03", 'database "app" is disabled')
    assert client.query("SELECT 1").rows == [("1",)]
    assert pooler.client(database="other").query("SELECT 1").rows == [("1",)]
    pooler.reload_with(default_pool_size=7)
    with pytest.raises(Refused):
        pooler.client()
    assert console.run("ENABLE app") == "ENABLE"
    assert pooler.client().query("SELECT 1").rows == [("1",)]


def test_who_waits_to_log_in_is_no_newcomer(pooler: Pooler) -> None:
    pooler.run()
    console = pooler.console()
    console.run("PAUSE app")
    client = pooler.stranger()
    client.send(wire.startup(user="alice", database="app"))
    pooler.wait_for_pool(cl_waiting=1)
    console.run("DISABLE app")
    console.run("RESUME app")
    assert not client.read_until("Z", "E").errors


def test_databases_of_the_fallback_entry_are_known_by_name(pooler: Pooler) -> None:
    pooler.databases["*"] = pooler.databases.pop("other")
    pooler.run()
    console = pooler.console()
    assert console.run("RESUME other") == "08P01: no such database: other"
    assert console.run("DISABLE other") == "DISABLE"
    with pytest.raises(Refused):
        pooler.client(database="other")
    assert console.run("ENABLE other") == "ENABLE"
    assert console.run("PAUSE other") == "PAUSE"
    client = pooler.stranger()
    client.send(wire.startup(user="alice", database="other"))
    pooler.wait_for_pool("other", cl_waiting=1)
    console.run("RESUME other")
    assert client.read_until("Z").settings["server_version"]


def test_stats_users_may_do_nothing(pooler: Pooler) -> None:
    pooler.run_with(stats_users=["alice"], admin_users=["bob"])
    for command in ("PAUSE", "RESUME", "KILL app", "SHUTDOWN", "SUSPEND", "DISABLE app", "KILL_CLIENT 1"):
        with pooler.connect(dbname="pgbouncer") as console, pytest.raises(psycopg.Error, match="admin access needed"):
            psycopg.ClientCursor(console).execute(command)
    assert pooler.client().query("SELECT 1").rows == [("1",)]
