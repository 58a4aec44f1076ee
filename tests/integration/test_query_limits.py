"""Queries, transactions and waits that take too long: each ends in time, says so, and gives its server back."""

import time

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import PATIENCE, wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

SLEEP = wire.query("SELECT pg_sleep(60)")
#: How much later than its time a limit may act.
LATE = 1 / 3


def ends_after(client: Client, limit: float) -> Replies:
    """What comes until the end of the connection, which is when the limit says."""
    started = time.monotonic()
    replies = client.read_to_end()
    took = time.monotonic() - started
    assert limit - 0.05 < took < limit + LATE * PATIENCE, f"ended after {took:.3f} s"
    return replies


def is_kept(pooler: Pooler, pid: str | None) -> None:
    """The server serves the next client, and nothing of the last one runs or stands open."""
    with pooler.client() as following:
        assert following.query("SELECT pg_backend_pid()").value == pid
        assert following.query("SAVEPOINT a").error.sqlstate == "25P01"
    pooler.wait_until_idle()


# queries


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("sent", [SLEEP, wire.extended("SELECT pg_sleep(60)") + wire.sync()], ids=["simple", "ext"])
def test_query_timeout(pooler: Pooler, sent: bytes, in_transaction: bool) -> None:
    pooler.run_with(query_timeout=0.5, default_pool_size=1)
    with pooler.client() as client:
        pid = client.query("SELECT pg_backend_pid()").value
        if in_transaction:
            client.begin()
        client.send(sent)
        error = ends_after(client, 0.5).error
    assert (error.fields["M"], error.fields["S"], error.sqlstate) == ("query timeout", "FATAL", "57014")
    is_kept(pooler, pid)
    pooler.wait_for_log("query_timeout")


def test_query_timeout_counts_each_query_anew(pooler: Pooler) -> None:
    pooler.run_with(query_timeout=0.6)
    with pooler.client() as client:
        client.begin()
        for _ in range(4):
            assert not client.query("SELECT pg_sleep(0.3)").errors
        assert not client.has_input()
        client.send(SLEEP)
        assert ends_after(client, 0.6).error.fields["M"] == "query timeout"


def test_query_timeout_is_not_for_idle_transactions_nor_for_waits(pooler: Pooler) -> None:
    pooler.run_with(query_timeout=0.4, default_pool_size=1)
    with pooler.client() as holder, pooler.client() as waiting:
        holder.begin()
        waiting.send(wire.query("SELECT 'at last'"))
        pooler.wait_for_pool(cl_waiting=1)
        wait_until(lambda: pooler.pool()["maxwait_us"] > 700_000, "a wait longer than the limit")
        assert holder.query("COMMIT").statuses == "I"
        assert waiting.read_until("Z").value == "at last"


def test_query_timeout_of_a_copy_that_nobody_feeds(pooler: Pooler, table: str) -> None:
    pooler.run_with(query_timeout=0.5, default_pool_size=1)
    with pooler.client() as client:
        pid = client.query(f"CREATE TABLE {table} (n int); SELECT pg_backend_pid()").value
        client.send(wire.query(f"COPY {table} FROM STDIN"))
        assert client.read().tag == "G"
        assert ends_after(client, 0.5).error.fields["M"] == "query timeout"
    is_kept(pooler, pid)


def test_query_timeout_inside_a_row_that_nobody_reads(pooler: Pooler) -> None:
    pooler.run_with(query_timeout=0.5, default_pool_size=1)
    with pooler.client() as client:
        client.send(wire.query("SELECT repeat('x', 50000000)"))
        pooler.wait_for_log("query_timeout")
        with pooler.client() as following:
            assert following.query("SELECT 'next'").value == "next"
        _, piece = client.read_to_cut()
        assert b"FATAL" not in piece
    pooler.wait_until_idle()


# transactions


@pytest.mark.parametrize("then", [b"", SLEEP], ids=["idle", "busy"])
def test_transaction_timeout(pooler: Pooler, postgres: Postgres, then: bytes) -> None:
    pooler.run_with(transaction_timeout=0.6, default_pool_size=1)
    with pooler.client() as client:
        pid = client.query("SELECT pg_backend_pid()").value
        client.begin()
        client.send(then)
        error = ends_after(client, 0.6).error
    assert (error.fields["M"], error.fields["S"], error.sqlstate) == ("transaction timeout", "FATAL", "25P04")
    is_kept(pooler, pid)
    pooler.wait_for_log("transaction_timeout")


def test_transaction_timeout_counts_from_the_beginning(pooler: Pooler) -> None:
    pooler.run_with(transaction_timeout=0.8)
    with pooler.client() as client:
        for _ in range(4):
            assert not client.query("BEGIN; SELECT pg_sleep(0.3); COMMIT").errors
        started = time.monotonic()
        client.begin()
        client.query("SELECT pg_sleep(0.3)")
        client.send(SLEEP)
        client.read_to_end()
        assert time.monotonic() - started < 0.8 + LATE * PATIENCE


@pytest.mark.parametrize("deferred", [False, True])
def test_transaction_timeout_of_one_that_only_began(pooler: Pooler, deferred: bool) -> None:
    pooler.run_with(transaction_timeout=0.5, deferred_begin=deferred)
    with pooler.client() as client:
        client.query("BEGIN")
        assert ends_after(client, 0.5).error.fields["M"] == "transaction timeout"


def test_transaction_timeout_of_one_that_lacks_its_sync(pooler: Pooler) -> None:
    pooler.run_with(transaction_timeout=0.5, default_pool_size=1)
    with pooler.client() as client:
        client.send(wire.extended("SELECT 1"), wire.flush())
        client.read_until("C")
        assert ends_after(client, 0.5).error.fields["M"] == "transaction timeout"
    pooler.wait_until_idle()


def test_the_shortest_limit_acts(pooler: Pooler) -> None:
    pooler.run_with(query_timeout=5, transaction_timeout=1.5, idle_transaction_timeout=0.4)
    with pooler.client() as idle, pooler.client() as busy:
        idle.begin()
        assert ends_after(idle, 0.4).error.sqlstate == "25P03"
        busy.send(SLEEP)
        assert ends_after(busy, 1.5).error.fields["M"] == "transaction timeout"


# by user, and after a reload


LIMITS = {
    "query_timeout": ("SELECT pg_sleep(60)", "57014"),
    "transaction_timeout": ("SELECT pg_sleep(60)", "25P04"),
    "idle_transaction_timeout": ("BEGIN", "25P03"),
    "client_idle_timeout": ("SELECT 1", "57P05"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_users_own_limit_wins(pooler: Pooler, limit: str) -> None:
    sql, sqlstate = LIMITS[limit]
    pooler.users |= {"alice": {limit: 0.3}, "bob": {limit: 0}}
    pooler.run_with(**{limit: 1})
    clients = {user: pooler.client(user=user) for user in ("alice", "bob", "carol")}
    for client in clients.values():
        client.send(wire.query(sql))
    for user, seconds in (("alice", 0.3), ("carol", 1)):
        started = time.monotonic()
        assert clients[user].read_to_end()[-1].sqlstate == sqlstate
        assert time.monotonic() - started < seconds + LATE * PATIENCE
    bob = clients["bob"]
    bob.cancel()
    bob.read_until("Z")
    assert not bob.has_input()


def test_query_wait_timeout_by_database_and_user(pooler: Pooler) -> None:
    pooler.users["bob"] = {"query_wait_timeout": 0.3}
    pooler.databases["app"]["query_wait_timeout"] = 0.6
    pooler.run_with(default_pool_size=1, max_db_connections=1)
    with pooler.client() as holder, pooler.client() as alice, pooler.client(user="bob") as bob:
        holder.begin()
        for client in (alice, bob):
            client.send(wire.query("SELECT 1"))
        assert ends_after(bob, 0.3).error.sqlstate == "53300"
        assert ends_after(alice, 0.3).error.sqlstate == "53300"
        assert holder.query("COMMIT").statuses == "I"


def test_a_reload_puts_limits_on_what_runs_already(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as busy, pooler.client() as waiting:
        busy.send(SLEEP)
        pooler.wait_for_pool(sv_active=1)
        waiting.send(wire.query("SELECT 1"))
        pooler.wait_for_pool(cl_waiting=1)
        pooler.reload_with(query_timeout=0.4, query_wait_timeout=0.2)
        assert waiting.read_to_end().error.sqlstate in ("53300", "57014")
        assert busy.read_to_end().error.fields["M"] == "query timeout"
    pooler.wait_until_idle()


# the notice


def test_a_waiting_client_is_told_once_for_each_wait(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, query_wait_notify=0.3)
    with pooler.client() as holder, pooler.client() as waiting:
        for _ in range(2):
            holder.begin()
            waiting.send(wire.query("SELECT 1"))
            started = time.monotonic()
            notice = waiting.read()
            assert 0.25 < time.monotonic() - started < 0.3 + LATE * PATIENCE
            assert (notice.tag, notice.fields["S"], notice.sqlstate) == ("N", "NOTICE", "00000")
            assert notice.fields["M"] == ("No server connection available in postgres backend, client being queued")
            wait_until(lambda: pooler.pool()["maxwait_us"] > 700_000, "a wait of twice the time")
            holder.query("COMMIT")
            assert waiting.read_until("Z").shape == "T D C Z"


def test_no_notice_without_a_wait_of_that_length_nor_at_login(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, query_wait_notify=0.3)
    with pooler.client() as holder:
        holder.query("BEGIN; SELECT pg_sleep(0.6)")
        with pooler.stranger() as asking:
            asking.send(wire.startup(user="alice", database="app", datestyle="German"))
            pooler.wait_for_pool(cl_waiting=1)
            wait_until(lambda: pooler.pool()["maxwait_us"] > 500_000, "a wait longer than that")
            holder.query("COMMIT")
            assert asking.read_until("Z").notices == []
        assert holder.query("SELECT pg_sleep(0.6)").notices == []


def test_no_notice_where_it_is_switched_off(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, query_wait_notify=0, query_wait_timeout=1)
    with pooler.client() as holder, pooler.client() as waiting:
        holder.begin()
        waiting.send(wire.query("SELECT 1"))
        assert waiting.read_to_end().shape == "E"


# disable_pqexec


def test_disable_pqexec(pooler: Pooler) -> None:
    pooler.run_with(disable_pqexec=True)
    with pooler.client() as client:
        assert client.ask(wire.extended("SELECT 1"), wire.sync()).value == "1"
        replies = client.query_to_end("SELECT 1")
        assert (replies.error.fields["M"], replies.error.sqlstate) == ("PQexec disallowed", "0A000")
    pooler.wait_for_log("pqexec_disallowed")
    assert pooler.admin("SHOW POOLS"), "the console knows nothing else"
