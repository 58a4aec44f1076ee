"""Streams under pressure: slow readers, time-outs meant for others, and the end of howdah in the middle of one."""

import contextlib
import signal
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import REPLICATOR, Postgres
from tests.kit.replication import LOGICAL, PHYSICAL, number_of, read_log, replicator, status_update, stream
from tests.kit.watch import MemoryWatch

MB = 1 << 20


def write_log(postgres: Postgres, megabytes: int) -> int:
    """So much more of it; where it ends."""
    for _ in range(megabytes):
        postgres.sql(f"SELECT pg_logical_emit_message(false, 'test', repeat('x', {MB}))")
    return number_of(str(postgres.value("SELECT pg_current_wal_flush_lsn()")))


def is_told(client: Client, sqlstate: str) -> bool:
    replies = client.read_to_end()
    return [error.sqlstate for error in replies.errors] == [sqlstate] and replies[-1].fields["S"] == "FATAL"


def is_stuck(postgres: Postgres, end: int) -> bool:
    """Does the walsender wait although it has not sent all?"""
    query = (
        f"SELECT wait_event FROM pg_stat_replication JOIN pg_stat_activity USING (pid) WHERE sent_lsn - '0/0' < {end}"
    )
    return postgres.sql(query) == [("WalSenderMain",)]


def fill(client: Client, flood: bytes) -> bytes:
    """Send it again and again until nothing more is taken: what is left of the last one."""
    sent = 0
    client.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            sent += client.socket.send(flood[sent % len(flood) :])
    return flood[sent % len(flood) :]


def received(pooler: Pooler) -> int:
    """Bytes of clients of database app."""
    (bytes_received,) = [row["total_received"] for row in pooler.admin("SHOW STATS") if row["database"] == "app"]
    return int(bytes_received)


# back-pressure


@pytest.fixture
def slow(pooler: Pooler) -> Iterator[Client]:
    """A replication client on the Unix socket, for which the kernel keeps little."""
    pooler.run_with(workers=1)
    with Client(pooler.socket_path) as client:
        client.log_in(user=REPLICATOR, database="app", replication=PHYSICAL)
        yield client


def test_a_client_that_does_not_read_can_write(pooler: Pooler, postgres: Postgres, slow: Client) -> None:
    """The two directions do not hold each other up, and what is not read stays with PostgreSQL."""
    begin = number_of(stream(slow))
    with MemoryWatch(lambda: pooler.resident_bytes) as memory:
        end = write_log(postgres, 40)
        wait_until(lambda: is_stuck(postgres, end), "the walsender to find nobody who reads")
        for step in range(1, 200):
            slow.send(status_update(begin + step))
        arrived = f"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn - '0/0' = {begin + 199}"
        wait_until(lambda: postgres.value(arrived), "the last status update to arrive")
        assert is_stuck(postgres, end)
        read_log(slow, end)
    assert memory.growth < 8 * MB


def test_a_server_that_does_not_read_can_write(pooler: Pooler, postgres: Postgres, slow: Client) -> None:
    """Status updates pile up before a walsender that is stopped; then all of them arrive, and the log with them."""
    begin = number_of(stream(slow))
    end = write_log(postgres, 1)
    (walsender,) = postgres.backends("backend_type = 'walsender'")
    postgres.freeze(walsender)
    try:
        flood = b"".join(status_update(begin + step) for step in range(1000))
        rest = fill(slow, flood)
    finally:
        postgres.thaw(walsender)
    read_log(slow, end)
    slow.send(rest, status_update(end))
    arrived = f"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn - '0/0' >= {end}"
    wait_until(lambda: postgres.value(arrived), "the last status update to arrive", within=30)


# time-outs


def test_time_outs_of_ordinary_clients_are_not_for_replication(pooler: Pooler) -> None:
    """An idle replication session may hold an exported snapshot; a stream is quiet when nothing is written."""
    limits = dict.fromkeys(["client_idle_timeout", "query_timeout", "transaction_timeout", "query_wait_timeout"], 0.4)
    pooler.run_with(client_login_timeout=2, **limits)
    with replicator(pooler, PHYSICAL) as streaming, replicator(pooler, LOGICAL) as idle:
        position = number_of(stream(streaming))
        for _ in range(2):
            with pooler.client() as ordinary:
                ordinary.query("SELECT 1")
                assert is_told(ordinary, "57P05")
        streaming.send(status_update(position, answer=True))
        assert streaming.read().tag == "d"
        assert idle.query("SELECT 1").value == "1"


def test_an_idle_transaction_is_one_all_the_same(pooler: Pooler) -> None:
    pooler.run_with(idle_transaction_timeout=0.4)
    with replicator(pooler, LOGICAL) as client:
        client.query("BEGIN")
        assert is_told(client, "25P03")


# shut-down


def test_sigterm_ends_idle_sessions_and_streams(pooler: Pooler) -> None:
    """A stream has no end to wait for: its client takes it up again where it was."""
    pooler.run()
    with replicator(pooler, PHYSICAL) as streaming, replicator(pooler, LOGICAL) as idle:
        stream(streaming)
        pooler.signal(signal.SIGTERM)
        assert is_told(streaming, "57P01")
        assert is_told(idle, "57P01")
    assert pooler.wait_for_exit(within=5) == 0
    pooler.check_nothing_is_left()


def test_sigterm_lets_work_end(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with replicator(pooler, LOGICAL) as client:
        client.send(wire.query("SELECT pg_sleep(0.5), 'whole'"))
        postgres.wait_for_backends(1, "state = 'active' AND backend_type = 'walsender'")
        pooler.signal(signal.SIGTERM)
        assert client.read_until("Z").rows == [("", "whole")]
        assert is_told(client, "57P01")
    assert pooler.wait_for_exit(within=5) == 0


def test_a_stream_that_begins_during_the_shut_down(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with replicator(pooler, PHYSICAL) as client, pooler.client() as idle:
        position = client.query("IDENTIFY_SYSTEM").rows[0][2]
        (walsender,) = postgres.backends("backend_type = 'walsender'")
        postgres.freeze(walsender)
        try:
            before = received(pooler)
            client.send(wire.query(f"START_REPLICATION PHYSICAL {position}"))
            wait_until(lambda: received(pooler) > before, "the command to be on its way")
            pooler.signal(signal.SIGTERM)
            assert is_told(idle, "57P01")
        finally:
            postgres.thaw(walsender)
        replies = client.read_to_end()
        assert replies.error.sqlstate == "57P01"
    assert pooler.wait_for_exit(within=5) == 0


def test_who_waits_for_room_is_told_of_the_shut_down(pooler: Pooler) -> None:
    pooler.run_with(max_db_connections=1)
    with replicator(pooler, LOGICAL) as holder, Client(pooler.address) as waiting:
        holder.query("BEGIN")
        waiting.send(wire.startup(user=REPLICATOR, database="app", replication="true"))
        pooler.wait_for_pool("app", REPLICATOR, cl_waiting=1)
        pooler.signal(signal.SIGTERM)
        assert is_told(waiting, "57P01")
        assert holder.query("COMMIT").statuses == "I"
        assert is_told(holder, "57P01")
    assert pooler.wait_for_exit(within=5) == 0


def test_a_second_signal_waits_for_nobody(pooler: Pooler) -> None:
    pooler.run()
    with replicator(pooler, LOGICAL) as client, replicator(pooler, PHYSICAL) as idle:
        client.query("BEGIN")
        pooler.signal(signal.SIGTERM)
        assert is_told(idle, "57P01")
        pooler.signal(signal.SIGTERM)
        assert is_told(client, "57P01")
    assert pooler.wait_for_exit(within=5) == 0
    pooler.check_nothing_is_left()
