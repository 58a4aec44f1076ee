"""SIGTERM lets running transactions end, a second signal does not, and nothing is left behind."""

import signal

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def is_told_of_the_shutdown(client: Client) -> bool:
    replies = client.read_to_end()
    return [error.sqlstate for error in replies.errors] == ["57P01"] and replies[-1].fields["S"] == "FATAL"


def refuses_newcomers(pooler: Pooler) -> bool:
    try:
        pooler.client().close()
    except Exception:
        return True
    return False


def test_sigterm_ends_an_idle_pooler_at_once(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.query("SELECT 1")
        pooler.signal(signal.SIGTERM)
        assert is_told_of_the_shutdown(client)
    assert pooler.wait_for_exit(within=5) == 0
    pooler.check_nothing_is_left()


def test_sigterm_lets_a_transaction_end(pooler: Pooler, table: str) -> None:
    pooler.run()
    with pooler.client() as busy, pooler.client() as idle:
        busy.query(f"CREATE TABLE {table} (n int)")
        busy.begin()
        pooler.signal(signal.SIGTERM)
        assert is_told_of_the_shutdown(idle)
        wait_until(lambda: refuses_newcomers(pooler), "newcomers to be turned away")
        assert not busy.query(f"INSERT INTO {table} VALUES (1)").errors
        assert busy.query("COMMIT").command_tags == ["COMMIT"]
        assert is_told_of_the_shutdown(busy)
    assert pooler.wait_for_exit(within=5) == 0
    assert pooler.postgres.sql_in("app", f"SELECT count(*) FROM {table}") == [(1,)]
    pooler.check_nothing_is_left()


def test_sigterm_lets_a_running_query_end(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as client:
        client.send(wire.query("SELECT pg_sleep(0.5), 'whole'"))
        postgres.wait_for_backends(1, "state = 'active'")
        pooler.signal(signal.SIGTERM)
        assert client.read_until("Z").rows == [("", "whole")]
        assert is_told_of_the_shutdown(client)
    assert pooler.wait_for_exit(within=5) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nobody(pooler: Pooler, second: signal.Signals) -> None:
    pooler.run()
    with pooler.client() as busy, pooler.client() as idle:
        busy.begin()
        pooler.signal(signal.SIGTERM)
        assert is_told_of_the_shutdown(idle)
        assert pooler.is_running
        pooler.signal(second)
        assert is_told_of_the_shutdown(busy)
    assert pooler.wait_for_exit(within=5) == 0
    pooler.check_nothing_is_left()


def test_sigquit_waits_for_nobody(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as busy:
        busy.begin()
        pooler.signal(signal.SIGQUIT)
        assert is_told_of_the_shutdown(busy)
    assert pooler.wait_for_exit(within=5) == 0
    pooler.check_nothing_is_left()


def test_waiting_clients_are_told_too(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as busy, pooler.client() as waiting:
        busy.begin()
        waiting.send(wire.query("SELECT 1"))
        pooler.wait_for_pool(cl_waiting=1)
        pooler.signal(signal.SIGTERM)
        busy.query("COMMIT")
        replies = waiting.read_to_end()
        assert "57P01" in [error.sqlstate for error in replies.errors]
    assert pooler.wait_for_exit(within=10) == 0


def test_a_terminal_interrupt_ends_it_cleanly(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.query("SELECT 1")
        pooler.signal(signal.SIGINT)
        assert is_told_of_the_shutdown(client)
    assert pooler.wait_for_exit(within=10) == 0
    pooler.check_nothing_is_left()


def test_with_many_clients_and_servers(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(workers=4, max_client_conn=500, default_pool_size=20)
    clients = [pooler.client() for _ in range(200)]
    for client in clients[:20]:
        client.begin()
    pooler.signal(signal.SIGTERM)
    assert all(is_told_of_the_shutdown(client) for client in clients[20:])
    pooler.signal(signal.SIGTERM)
    assert all(is_told_of_the_shutdown(client) for client in clients[:20])
    assert pooler.wait_for_exit(within=10) == 0
    pooler.check_nothing_is_left()


def test_idle_sessions_that_keep_their_server_are_told_at_once(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session", shutdown_timeout=30)
    idle, busy = pooler.client(), pooler.client()
    idle.query("SELECT 1")
    busy.begin()
    pooler.signal(signal.SIGTERM)
    assert is_told_of_the_shutdown(idle)
    assert busy.query("COMMIT").statuses == "I"
    assert is_told_of_the_shutdown(busy)
    assert pooler.wait_for_exit(within=10) == 0


def test_transactions_that_last_longer_than_shutdown_timeout_are_ended(pooler: Pooler) -> None:
    pooler.run_with(shutdown_timeout="0.5s")
    with pooler.client() as client:
        client.begin()
        pooler.signal(signal.SIGTERM)
        assert client.read_to_end().errors[-1].sqlstate == "57P01"
    assert pooler.wait_for_exit() == 0
