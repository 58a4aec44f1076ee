"""SUSPEND: what has been read is sent on, nothing more is read, and RESUME goes on from there."""

import threading

import pytest

from tests.kit import wire
from tests.kit.crowd import Busy
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

MANY_ROWS = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"


def wait_until_stuck(postgres: Postgres) -> None:
    """Until a backend cannot send: not for a moment, but in each of many looks."""
    wait_until(lambda: all(postgres.backends("wait_event = 'ClientWrite'") for _ in range(20)), "a backend to be stuck")


def test_nothing_is_read_until_resume(pooler: Pooler) -> None:
    pooler.run_with(workers=4)
    clients, console = [pooler.client() for _ in range(8)], pooler.console()
    clients[0].begin()
    assert console.run("SUSPEND") == "SUSPEND"
    assert console.state() == "suspended"
    for client in clients:
        client.send(wire.query("SELECT 1"))
    newcomer = pooler.stranger()
    newcomer.send(wire.startup(user="alice", database="app"))
    for _ in range(20):  # ... for which there is time while the console talks
        console.state()
    assert not any(client.has_input() for client in [*clients, newcomer])
    assert console.run("RESUME") == "RESUME"
    assert [client.read_until("Z").rows for client in clients] == [[("1",)]] * 8
    assert not newcomer.read_until("Z").errors
    assert console.state() == "active"


def test_a_running_query_is_answered_after_it(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    with pooler.postgres.connect(dbname="app") as holder:
        holder.execute("SELECT pg_advisory_lock(5)")
        client.send(wire.query("SELECT pg_advisory_xact_lock(5), 'whole'"))
        pooler.postgres.wait_for_backends(1, "query LIKE '%whole%' AND wait_event_type = 'Lock'")
        assert console.run("SUSPEND") == "SUSPEND"
    pooler.postgres.wait_for_backends(1, "query LIKE '%whole%' AND state = 'idle'")
    console.state()
    assert not client.has_input()
    console.run("RESUME")
    assert client.read_until("Z").rows == [("", "whole")]


def test_waiting_clients_keep_their_place(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    busy, waiting, console = pooler.client(), pooler.client(), pooler.console()
    busy.begin()
    waiting.send(wire.query("SELECT 1"))
    pooler.wait_for_pool(cl_waiting=1)
    assert console.run("SUSPEND") == "SUSPEND"
    assert console.run("RESUME") == "RESUME"
    busy.query("COMMIT")
    assert waiting.read_until("Z").rows == [("1",)]


def test_what_is_on_its_way_to_a_slow_reader_is_sent_first(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.send(wire.query(MANY_ROWS))
    wait_until_stuck(pooler.postgres)
    console.send("SUSPEND")
    rest: list[Replies] = []
    reader = threading.Thread(target=lambda: rest.append(client.read_until("Z", within=60)))
    reader.start()
    assert console.answer() == "SUSPEND"
    assert not rest
    assert console.run("RESUME") == "RESUME"
    reader.join()
    assert len(rest[0].rows) == 100000


def test_who_does_not_read_goes_after_suspend_timeout(pooler: Pooler) -> None:
    pooler.run_with(suspend_timeout="0.3s")
    slow, other, console = pooler.client(), pooler.client(), pooler.console()
    slow.send(wire.query(MANY_ROWS))
    wait_until_stuck(pooler.postgres)
    other.begin()
    assert console.run("SUSPEND") == "SUSPEND"
    assert len(slow.read_to_cut()[0].rows) < 100000
    console.run("RESUME")
    assert other.query("COMMIT").statuses == "I"
    pooler.wait_until_idle()


def test_it_ends_with_the_last_admin(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    assert console.run("SUSPEND") == "SUSPEND"
    client.send(wire.query("SELECT 1"))
    console.vanish()
    assert client.read_until("Z").rows == [("1",)]
    assert pooler.log_contains("admin disappeared when suspended, doing RESUME")


def test_other_operations_meanwhile(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.query("SELECT 1")
    console.run("SUSPEND")
    for command in ("SUSPEND", "PAUSE", "PAUSE app", "KILL app"):
        assert console.run(command) == "08P01: already suspended/paused"
    assert console.run("RECONNECT") == "RECONNECT"
    pooler.forget_log()
    assert console.run("RELOAD") == "RELOAD"
    assert console.run("RESUME") == "RESUME"
    assert client.query("SELECT 1").rows == [("1",)]
    console.run("PAUSE app")
    assert console.run("SUSPEND") == "08P01: cannot suspend with paused databases"
    console.run("RESUME app")


@pytest.mark.parametrize("workers", [1, 4])
def test_suspending_again_and_again_loses_nothing(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=5)
    console = pooler.console()
    with Busy([pooler.client() for _ in range(20)]) as busy:
        for _ in range(20):
            assert console.run("SUSPEND") == "SUSPEND"
            assert console.run("RESUME") == "RESUME"
            busy.goes_on()
