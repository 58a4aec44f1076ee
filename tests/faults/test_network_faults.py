"""The network between howdah and PostgreSQL fails in each way networks do."""

import pytest

from tests.kit import wire
from tests.kit.client import Client, Gone
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network


def test_a_cut_inside_a_transaction_is_that_clients_error(pooler_behind: Pooler, network: Network) -> None:
    pooler_behind.run_with(server_login_retry=0.1)
    with pooler_behind.client() as busy, pooler_behind.client() as idle:
        busy.begin()
        network.cut()
        replies = busy.read_to_end()
        assert [error.sqlstate for error in replies.errors] == ["08006"]
        assert idle.query("SELECT 'fine'").value == "fine"
    wait_until(lambda: pooler_behind.logged("server_closed"), "the log line")


def test_a_cut_of_idle_servers_is_not_seen(pooler_behind: Pooler, network: Network) -> None:
    pooler_behind.run_with(server_login_retry=0.1)
    with pooler_behind.client() as client:
        for number in range(10):
            assert client.query(f"SELECT {number}").value == str(number)
            network.cut()
            wait_until(lambda: not pooler_behind.pool()["sv_idle"], "the pool to notice")


@pytest.mark.parametrize("cut_after", [1, 5, 7, 100, 5_000, 70_000, 500_000])
def test_a_cut_anywhere_inside_an_answer(pooler_behind: Pooler, network: Network, cut_after: int) -> None:
    """What has come is a true beginning of the answer; an error may follow only where a message ends."""
    pooler_behind.run_with(server_login_retry=0.1)
    with pooler_behind.client() as client, pooler_behind.client() as other:
        client.query("SELECT 1")
        network.cut_after(cut_after)
        client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000)"))
        replies, piece = client.read_to_cut()
        assert wire.message(b"D", b"\0\1\0\0\x03\xe8" + b"x" * 1000).startswith(piece) or len(replies) == 0
        assert {reply.tag for reply in replies[:-1]} <= {"T", "D"}
        assert all(row == ("x" * 1000,) for row in replies.rows)
        assert len(replies.rows) < 1000
        assert not (piece and replies.errors)
        assert other.query("SELECT 'fine'").value == "fine"


def test_a_slow_network_is_only_slow(pooler_behind: Pooler, network: Network) -> None:
    network.delay(0.02)
    pooler_behind.run_with(default_pool_size=4)

    def work(number: int) -> None:
        with pooler_behind.client() as client:
            for turn in range(5):
                assert client.query(f"SELECT '{number}/{turn}'").value == f"{number}/{turn}"

    crowd(12, work)


def test_a_narrow_network_delivers_everything(pooler_behind: Pooler, network: Network) -> None:
    pooler_behind.run()
    with pooler_behind.client() as client:
        client.query("SELECT 1")
        network.throttle(400_000)
        value = client.query("SELECT repeat('0123456789', 40000)").value
    assert value == "0123456789" * 40_000


def test_servers_that_go_silent_during_login_are_given_up(pooler_behind: Pooler, network: Network) -> None:
    network.blackhole()
    pooler_behind.run_with(server_connect_timeout=0.3, server_login_retry=0.1, query_wait_timeout=20)
    with pooler_behind.stranger() as client:
        client.send(wire.startup(user="alice", database="app"), wire.query("SELECT 'through'"))
        wait_until(lambda: pooler_behind.logged("server_connect_timeout"), "an attempt to be given up")
        network.heal()
        assert client.read_ready(2).value == "through"


def test_a_network_that_is_down_for_a_while(pooler_behind: Pooler, network: Network) -> None:
    pooler_behind.run_with(server_login_retry=0.1, query_wait_timeout=20)
    with pooler_behind.client() as client:
        client.query("SELECT 1")
        network.refuse()
        client.send(wire.query("SELECT 'back'"))
        wait_until(lambda: pooler_behind.logged("server_unreachable"), "a failed attempt")
        network.heal()
        try:
            assert client.read_until("Z").value == "back"
        except Gone:
            pytest.fail("the client was sent away although it could wait")


def test_cancel_requests_over_a_broken_network_hurt_nobody(
    pooler_behind: Pooler, network: Network, postgres: Postgres
) -> None:
    pooler_behind.run_with(server_connect_timeout=0.5)
    with pooler_behind.client() as client, pooler_behind.client() as other:
        client.send(wire.query("SELECT pg_sleep(60)"))
        postgres.wait_for_backends(1, "state = 'active'")
        other.query("SELECT 1")
        network.blackhole()
        with Client(pooler_behind.address) as request:
            request.send(wire.cancel_request(client.process_id, client.secret_key))
        network.heal()
        assert other.query("SELECT 1").shape == "T D C Z"
    postgres.terminate(*postgres.backends("state = 'active'"))
