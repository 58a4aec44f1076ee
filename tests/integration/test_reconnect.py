"""RECONNECT and WAIT_CLOSE: servers are changed for new ones, and no client notices."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler


def pid(client: Client) -> str | None:
    return client.query("SELECT pg_backend_pid()").value


def close_needed(pooler: Pooler) -> int:
    return sum(int(row["close_needed"]) for row in pooler.admin("SHOW SERVERS"))


def test_idle_servers_make_way_at_once(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    client, console = pooler.client(), pooler.console()
    before = pid(client)
    assert console.run("RECONNECT") == "RECONNECT"
    assert console.run("WAIT_CLOSE") == "WAIT_CLOSE"
    assert pid(client) != before


def test_those_in_use_make_way_when_they_are_released(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2)
    client, console = pooler.client(), pooler.console()
    before = pid(client)
    client.begin()
    assert console.run("RECONNECT app") == "RECONNECT"
    assert close_needed(pooler) == 1
    console.send("WAIT_CLOSE app")
    assert pooler.client().query("SELECT 1").rows == [("1",)]  # new ones are opened meanwhile
    assert pid(client) == before
    assert not console.has_answer
    client.query("COMMIT")
    assert console.answer() == "WAIT_CLOSE"
    assert close_needed(pooler) == 0
    assert pid(client) != before


def test_a_pinned_one_goes_with_its_pin(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.query("SELECT pg_advisory_lock(7)")
    before = pid(client)
    console.run("RECONNECT")
    console.send("WAIT_CLOSE")
    assert pid(client) == before
    assert not console.has_answer
    client.query("SELECT pg_advisory_unlock(7)")
    assert console.answer() == "WAIT_CLOSE"
    assert pid(client) != before


def test_other_databases_keep_theirs(pooler: Pooler) -> None:
    pooler.run()
    client, other, console = pooler.client(), pooler.client(database="other"), pooler.console()
    before, others = pid(client), pid(other)
    console.run("RECONNECT app")
    assert (pid(client) != before, pid(other) == others) == (True, True)


def test_wait_close_waits_for_what_a_reload_has_changed(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    pooler.databases["app"]["application_name"] = "changed"
    pooler.databases["app"]["host"] = "localhost"
    pooler.reload_with()
    assert console.run("WAIT_CLOSE other") == "WAIT_CLOSE"
    console.send("WAIT_CLOSE app")
    assert client.query("SELECT 1").statuses == "T"
    assert not console.has_answer
    client.query("COMMIT")
    assert console.answer() == "WAIT_CLOSE"


def test_with_server_fast_close_a_session_ends_with_its_transaction(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session", server_fast_close=True)
    idle, busy, console = pooler.client(), pooler.client(), pooler.console()
    idle.query("SELECT 1")
    busy.begin()
    console.run("RECONNECT")
    assert idle.read_to_end().error.sqlstate == "57P01"
    assert busy.query("SELECT 1").statuses == "T"
    busy.send(wire.query("COMMIT"))
    assert busy.read_to_end().error.sqlstate == "57P01"
    assert console.run("WAIT_CLOSE") == "WAIT_CLOSE"


def test_listening_clients_hear_again_after_it(pooler: Pooler) -> None:
    pooler.run()
    client, teller, console = pooler.client(), pooler.client(), pooler.console()
    client.query("LISTEN news")
    wait_until(lambda: not pooler.pool()["sv_active"], "the listening server to listen")
    assert console.run("RECONNECT app") == "RECONNECT"
    assert console.run("WAIT_CLOSE app") == "WAIT_CLOSE"
    assert client.read_until("N").errors == []
    teller.query("NOTIFY news, 'again'")
    assert client.read_until("A")[-1].tag == "A"


@pytest.mark.parametrize("workers", [1, 4])
def test_under_load_every_server_is_new(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=4)
    clients, console = [pooler.client() for _ in range(12)], pooler.console()
    for _ in range(5):
        before = {pid(client) for client in clients}
        for client in clients:
            client.send(wire.query("SELECT pg_sleep(0.01)"))
        assert console.run("RECONNECT") == "RECONNECT"
        assert console.run("WAIT_CLOSE") == "WAIT_CLOSE"
        assert not any(client.read_until("Z").errors for client in clients)
        assert not before & {pid(client) for client in clients}
