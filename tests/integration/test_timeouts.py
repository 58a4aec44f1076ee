"""Each time-out ends what it is for, says so with its SQLSTATE, and touches nothing else."""

import itertools
import time
from datetime import datetime

import pytest

from tests.kit import wire
from tests.kit.client import Gone
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network
from tests.kit.wire import Replies


def ends_with(replies: Replies, sqlstate: str) -> bool:
    return (
        bool(replies)
        and replies[-1].tag == "E"
        and replies[-1].fields["S"] == "FATAL"
        and replies[-1].sqlstate == sqlstate
    )


def test_query_wait_timeout(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, query_wait_timeout=0.5)
    with pooler.client() as holder, pooler.client() as waiting:
        holder.begin()
        started = time.monotonic()
        waiting.send(wire.query("SELECT 1"))
        assert ends_with(waiting.read_to_end(), "53300")
        assert time.monotonic() - started > 0.4
        assert holder.query("COMMIT").statuses == "I"
    pooler.wait_for_log("query_wait_timeout")
    pooler.wait_for_pool(cl_waiting=0)


def test_query_wait_timeout_spares_those_who_are_served(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, query_wait_timeout=0.3)
    with pooler.client() as client:
        assert not client.query("SELECT pg_sleep(0.8)").errors
        client.begin()
        assert not client.query("SELECT pg_sleep(0.5)").errors
        assert client.query("COMMIT").statuses == "I"


def test_client_idle_timeout(pooler: Pooler) -> None:
    pooler.run_with(client_idle_timeout=0.5)
    with pooler.client() as idle:
        idle.query("SELECT 1")
        assert ends_with(idle.read_to_end(), "57P05")
    pooler.wait_for_log("client_idle_timeout")


def test_client_idle_timeout_counts_from_the_last_query(pooler: Pooler) -> None:
    pooler.run_with(client_idle_timeout=0.6)
    with pooler.client() as client:
        for _ in range(4):
            assert not client.query("SELECT pg_sleep(0.3)").errors
        client.begin()
        assert not client.query("SELECT pg_sleep(0.9)").errors


def test_idle_transaction_timeout(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(idle_transaction_timeout=0.5, default_pool_size=1)
    with pooler.client() as idle, pooler.client() as other:
        idle.begin()
        pid = idle.query("SELECT pg_backend_pid()").value
        assert ends_with(idle.read_to_end(), "25P03")
        assert other.query("SELECT pg_backend_pid()").value == pid
    pooler.wait_for_log("idle_transaction_timeout")
    assert not postgres.backends("state LIKE 'idle in transaction%'")


def test_idle_transaction_timeout_spares_work_and_idle_clients(pooler: Pooler) -> None:
    pooler.run_with(idle_transaction_timeout=0.5)
    with pooler.client() as busy, pooler.client() as idle:
        idle.query("SELECT 1")
        busy.begin()
        for _ in range(3):
            assert not busy.query("SELECT pg_sleep(0.3)").errors
        assert not busy.query("SELECT pg_sleep(0.8)").errors
        assert busy.query("COMMIT").statuses == "I"
        assert idle.query("SELECT 1").value == "1"


@pytest.mark.parametrize("sent", [b"", b"\0", wire.startup(user="alice")[:15]], ids=["nothing", "a byte", "a part"])
def test_client_login_timeout(pooler: Pooler, sent: bytes) -> None:
    pooler.run_with(client_login_timeout=0.5)
    with pooler.stranger() as slow, pooler.client() as client:
        slow.send(sent)
        replies = slow.read_to_end()
        assert not replies or ends_with(replies, "57014")
        assert client.query("SELECT 1").value == "1"
    pooler.wait_for_log("client_login_timeout")


def test_client_login_timeout_is_for_the_whole_login(pooler: Pooler) -> None:
    """One byte now and then does not prolong it."""
    pooler.run_with(client_login_timeout=0.5)
    with pooler.stranger() as slow:
        slow.send((1000).to_bytes(4))

        def is_shut() -> bool:
            try:
                slow.send(b"\0")
            except OSError:
                return True
            return slow.has_input()

        wait_until(is_shut, "the slow client to be sent away", within=5)
    pooler.wait_for_log("client_login_timeout")


def test_server_idle_timeout(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(server_idle_timeout=0.5)
    with pooler.client() as client:
        client.query("SELECT 1")
        assert len(postgres.backends()) == 1
        postgres.wait_for_backends(0)
        assert client.query("SELECT 1").value == "1"
    wait_until(lambda: pooler.logged("server_idle_timeout"), "the log line")


def test_server_idle_timeout_keeps_the_minimum(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(server_idle_timeout=0.3, min_pool_size=2, default_pool_size=4)
    clients = [pooler.client() for _ in range(4)]
    for client in clients:
        client.begin()
    assert len(postgres.backends()) == 4
    for client in clients:
        client.query("COMMIT")
    postgres.wait_for_backends(2)


def test_server_lifetime(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(server_lifetime=0.5)
    with pooler.client() as client:
        first = client.query("SELECT pg_backend_pid()").value
        wait_until(lambda: client.query("SELECT pg_backend_pid()").value != first, "a younger server")
    wait_until(lambda: pooler.logged("server_lifetime"), "the log line")


def test_server_lifetime_never_ends_a_transaction(pooler: Pooler) -> None:
    pooler.run_with(server_lifetime=0.3)
    with pooler.client() as client:
        client.begin()
        pid = client.query("SELECT pg_backend_pid()").value
        assert not client.query("SELECT pg_sleep(0.8)").errors
        assert client.query("SELECT pg_backend_pid()").value == pid
        assert client.query("COMMIT").statuses == "I"


def test_server_connect_timeout(pooler_behind: Pooler, network: Network) -> None:
    network.blackhole()
    pooler_behind.run_with(server_connect_timeout=0.4, query_wait_timeout=1.5)
    with pooler_behind.stranger() as client:
        error = client.refusal(user="alice", database="app")
    assert error.sqlstate in ("08001", "53300")
    assert pooler_behind.logged("server_connect_timeout")


def test_server_login_retry(pooler_behind: Pooler, network: Network) -> None:
    """After a failed login the next attempt waits longer each time, up to the limit, however many clients press."""
    network.refuse()
    pooler_behind.run_with(server_login_retry=1, query_wait_timeout=20)
    clients = [pooler_behind.stranger() for _ in range(10)]
    for client in clients:
        client.send(wire.startup(user="alice", database="app"))
    wait_until(lambda: len(pooler_behind.logged("server_unreachable")) >= 7, "seven failures")
    times = [datetime.fromisoformat(line["time"]) for line in pooler_behind.logged("server_unreachable")]
    pauses = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    assert all(pause > 0.08 for pause in pauses)
    assert all(pause > 0.8 for pause in pauses[4:])


def test_without_time_outs_nobody_is_sent_away(pooler: Pooler) -> None:
    pooler.run_with(
        client_idle_timeout=0, idle_transaction_timeout=0, query_wait_timeout=0, server_idle_timeout=0,
        client_login_timeout=0, server_lifetime=0, default_pool_size=1,
    )  # fmt: skip
    with pooler.client() as client, pooler.client() as waiting, pooler.stranger() as stranger:
        client.begin()
        waiting.send(wire.query("SELECT 1"))
        client.query("SELECT pg_sleep(1.2)")
        assert not waiting.has_input()
        assert not stranger.has_input()
        client.query("COMMIT")
        assert waiting.read_until("Z").value == "1"
        stranger.log_in(user="alice", database="app")


def test_a_client_that_was_sent_away_is_gone(pooler: Pooler) -> None:
    pooler.run_with(client_idle_timeout=0.3)
    clients = [pooler.client() for _ in range(20)]
    for client in clients:
        client.read_to_end()
        with pytest.raises((Gone, OSError)):
            client.query("SELECT 1")
    pooler.wait_for_log("client_idle_timeout", count=20)
    wait_until(
        lambda: not [row for row in pooler.admin("SHOW CLIENTS") if row["database"] == "app"], "no client in SHOW"
    )
