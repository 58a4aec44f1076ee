"""SHUTDOWN from the console: at once, when servers are released, when clients have left."""

import signal

import pytest

from tests.kit import wire
from tests.kit.client import Client, Gone, Refused
from tests.kit.console import Console
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler


def refuses_newcomers(pooler: Pooler) -> bool:
    try:
        pooler.client().close()
    except (OSError, Refused, Gone):
        return True
    return False


def local_client(pooler: Pooler) -> Client:
    client = Client(pooler.socket_path)
    client.log_in(user="alice", database="app")
    return client


def ends(pooler: Pooler) -> None:
    assert pooler.wait_for_exit(within=10) == 0
    pooler.check_nothing_is_left()


def test_at_once(pooler: Pooler) -> None:
    pooler.run_with(workers=4)
    clients, console = [pooler.client() for _ in range(6)], pooler.console()
    for client in clients[:3]:
        client.begin()
    console.send("SHUTDOWN")
    for client in clients:
        assert client.read_to_end().error.sqlstate == "57P01"
    console.read_to_end()
    ends(pooler)


def test_wait_for_clients_ends_with_the_last_of_them(pooler: Pooler) -> None:
    pooler.run_with(workers=4, shutdown_timeout="0.2s")
    clients, console = [pooler.client() for _ in range(3)], pooler.console()
    clients[0].begin()
    assert console.run("SHUTDOWN WAIT_FOR_CLIENTS") == "SHUTDOWN"
    assert pooler.log_contains("SHUTDOWN WAIT_FOR_CLIENTS command issued")
    wait_until(lambda: refuses_newcomers(pooler), "newcomers to be turned away")
    for client in clients:
        assert client.query("SELECT 1").rows == [("1",)]
        assert pooler.is_running
        client.close()
    ends(pooler)


def test_wait_for_servers_lets_transactions_end(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, shutdown_timeout="0.2s")
    busy, idle, waiting, console = pooler.client(), pooler.client(), pooler.client(), pooler.console()
    busy.begin()
    waiting.send(wire.query("SELECT 1"))
    pooler.wait_for_pool(cl_waiting=1)
    assert console.run("SHUTDOWN WAIT_FOR_SERVERS") == "SHUTDOWN"
    assert idle.read_to_end().error.sqlstate == "57P01"
    assert waiting.read_to_end().error.sqlstate == "57P01"
    wait_until(lambda: refuses_newcomers(pooler), "newcomers to be turned away")
    assert busy.query("SELECT 1").statuses == "T"
    busy.send(wire.query("COMMIT"))
    assert busy.read_to_end().errors[-1].sqlstate == "57P01"
    ends(pooler)


def test_the_console_stays_open_over_the_unix_socket(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    console.run("SHUTDOWN WAIT_FOR_CLIENTS")
    wait_until(lambda: refuses_newcomers(pooler), "newcomers to be turned away")
    with pytest.raises(Refused) as refused:
        local_client(pooler)
    assert (refused.value.sqlstate, refused.value.error.fields["M"]) == ("57P03", "pooler is shutting down")
    late = Console(pooler.socket_path)
    assert late.state() == "active"
    assert late.run("RESUME") == "08P01: pooler is shutting down"
    assert client.query("SELECT 1").statuses == "T"
    late.send("SHUTDOWN")
    assert client.read_to_end().error.sqlstate == "57P01"
    ends(pooler)


def test_who_waits_for_clients_may_come_to_wait_for_servers(pooler: Pooler) -> None:
    pooler.run()
    idle, busy, console = pooler.client(), pooler.client(), pooler.console()
    busy.begin()
    console.run("SHUTDOWN WAIT_FOR_CLIENTS")
    assert idle.query("SELECT 1").rows == [("1",)]
    assert console.run("SHUTDOWN WAIT_FOR_SERVERS") == "SHUTDOWN"
    assert idle.read_to_end().error.sqlstate == "57P01"
    busy.send(wire.query("COMMIT"))
    assert busy.read_to_end().errors[-1].sqlstate == "57P01"
    ends(pooler)


def test_a_signal_cuts_the_wait_short(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    console.run("SHUTDOWN WAIT_FOR_CLIENTS")
    pooler.signal(signal.SIGTERM)
    assert client.read_to_end().error.sqlstate == "57P01"
    ends(pooler)


def test_an_open_console_is_nobody_to_wait_for(pooler: Pooler) -> None:
    pooler.run_with(shutdown_timeout="60s")
    console = pooler.console()
    pooler.signal(signal.SIGTERM)
    console.read_to_end()
    ends(pooler)


def test_paused_it_ends_all_the_same(pooler: Pooler) -> None:
    pooler.run()
    waiting, console = pooler.client(), pooler.console()
    waiting.query("SELECT 1")
    console.run("PAUSE")
    waiting.send(wire.query("SELECT 1"))
    pooler.wait_for_pool(cl_waiting=1)
    console.run("SHUTDOWN WAIT_FOR_SERVERS")
    assert waiting.read_to_end().error.sqlstate == "57P01"
    ends(pooler)


def test_suspended_it_waits_for_nobody(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    console.run("SUSPEND")
    console.send("SHUTDOWN WAIT_FOR_CLIENTS")
    assert client.read_to_end().error.sqlstate == "57P01"
    ends(pooler)
