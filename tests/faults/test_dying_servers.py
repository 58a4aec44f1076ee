"""Servers die, restart or are not there: clients get a clear error, the pool recovers by itself."""

import threading

import psycopg
import pytest

from tests.kit import wire
from tests.kit.client import Client, Gone, Refused
from tests.kit.crowd import Crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

#: What a client may be told when its server is lost.
LOST = {"08006", "57P01", "57P02", "57P03", "08001"}


def loses_its_server(client: Client) -> str:
    """The SQLSTATE of the last error before the end of the connection."""
    return last_error(client.read_to_end())


def last_error(replies: Replies) -> str:
    assert replies.errors, replies
    assert replies[-1].fields["S"] == "FATAL"
    return replies[-1].sqlstate


def works_again(pooler: Pooler) -> bool:
    try:
        with pooler.client() as client:
            return client.query("SELECT 1").value == "1"
    except Exception:
        return False


def test_an_idle_server_that_is_terminated_is_not_missed(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        pid = int(client.query("SELECT pg_backend_pid()").value or "")
        postgres.terminate(pid)
        wait_until(lambda: not postgres.backends(), "the server to end")
        wait_until(lambda: pooler.pool()["sv_idle"] == 0, "the pool to notice")
        assert client.query("SELECT pg_backend_pid()").value != str(pid)
    pooler.wait_until_idle()


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", "BEGIN; SELECT 1"])
def test_a_terminated_server_takes_its_client_with_it(pooler: Pooler, postgres: Postgres, statement: str) -> None:
    pooler.run()
    with pooler.client() as victim, pooler.client() as other:
        other.begin()
        pid = int(victim.query("SELECT pg_backend_pid()").value or "")
        victim.send(wire.query(statement))
        postgres.wait_for_backends(1, f"pid = {pid} AND query = '{statement}'")
        postgres.terminate(pid)
        assert loses_its_server(victim) in ("57P01", "08006")
        assert other.query("COMMIT").statuses == "I"
    assert works_again(pooler)
    pooler.wait_until_idle()


def test_a_terminated_server_inside_a_large_result(pooler: Pooler, postgres: Postgres) -> None:
    """No FATAL may be put inside a row: PostgreSQL itself may end in the middle of one, then there is just the end."""
    pooler.run()
    with pooler.client() as victim:
        pid = int(victim.query("SELECT pg_backend_pid()").value or "")
        victim.send(wire.query("SELECT repeat('x', 100000) FROM generate_series(1, 100000)"))
        assert victim.read().tag == "T"
        postgres.terminate(pid)
        replies, piece = victim.read_to_cut(within=60)
    assert {reply.tag for reply in replies} <= {"D", "E"}
    assert piece == b"" or (piece[:1] == b"D" and b"FATAL" not in piece)
    assert works_again(pooler)


def test_kill_9_of_a_backend_restarts_postgresql_and_howdah_recovers(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=30)
    clients = [pooler.client() for _ in range(4)]
    for client in clients:
        client.begin()
    idle = pooler.client()
    pid = int(clients[0].query("SELECT pg_backend_pid()").value or "")
    postgres.kill_backend(pid)
    assert {loses_its_server(client) for client in clients} <= LOST
    postgres.wait_until_up()
    assert idle.query("SELECT 'patient'").value == "patient"
    pooler.wait_until_idle()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_between_transactions_is_not_seen(pooler: Pooler, postgres: Postgres, mode: str) -> None:
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=30)
    with pooler.client() as client:
        client.query("SELECT 1")
        postgres.restart(mode)
        assert client.query("SELECT 'as if nothing was'").value == "as if nothing was"


def work_until(stop: threading.Event, pooler: Pooler) -> int:
    """Short queries on one connection after the other; how many were answered."""
    done = 0
    while not stop.is_set():
        try:
            with pooler.client() as client:
                for _ in range(20):
                    assert {error.sqlstate for error in client.query("SELECT pg_sleep(0.002)").errors} <= LOST
                    done += 1
        except (Gone, OSError):
            pass  # told or not told in time: the next connection must work
        except Refused as refused:
            if refused.sqlstate not in LOST:
                raise
    return done


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_a_restart_under_load(pooler: Pooler, postgres: Postgres, mode: str) -> None:
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=30, default_pool_size=5)
    stop = threading.Event()
    load = Crowd(20, lambda _: work_until(stop, pooler))
    wait_until(lambda: len(postgres.backends()) == 5, "the load to begin")
    if mode == "kill":
        postgres.kill()
        postgres.start()
    else:
        postgres.restart(mode)
    wait_until(lambda: len(postgres.backends()) == 5, "the load to go on", within=30)
    stop.set()
    assert all(done > 0 for done in load.wait().values())
    pooler.wait_until_idle()
    assert postgres.backends() == {row["remote_pid"] for row in pooler.admin("SHOW SERVERS")}


def test_postgresql_down_at_start_and_up_later(pooler: Pooler, postgres: Postgres) -> None:
    postgres.stop()
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=30)
    with pooler.stranger() as client:
        client.send(wire.startup(user="alice", database="app"), wire.query("SELECT 'worth the wait'"))
        wait_until(lambda: pooler.logged("server_unreachable"), "a failed attempt in the log")
        assert not client.has_input()
        postgres.start()
        assert client.read_ready(2).value == "worth the wait"


def test_postgresql_down_is_a_clear_error_in_time(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(server_login_retry=0.2, query_wait_timeout=1)
    with pooler.client() as early:
        early.query("SELECT 1")
        postgres.stop()
        early.send(wire.query("SELECT 1"))
        with pooler.stranger() as new_settings:
            refusal = new_settings.refusal(user="alice", database="app", search_path="nobody_asked_before")
            assert refusal.sqlstate in ("08001", "53300")
        assert last_error(early.read_to_end(within=5)) in ("08001", "53300")
    postgres.start()
    wait_until(lambda: works_again(pooler), "service without anyone touching howdah", within=10)


def test_the_console_answers_while_postgresql_is_down(pooler: Pooler, postgres: Postgres) -> None:
    postgres.stop()
    pooler.run()
    assert pooler.admin("SHOW VERSION")
    postgres.start()


def test_an_error_of_the_servers_login_is_the_clients_error(pooler: Pooler, postgres: Postgres) -> None:
    """Too many connections at PostgreSQL: its own SQLSTATE and message, and service once there is room."""
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=1)
    postgres.sql("ALTER ROLE bob CONNECTION LIMIT 0")
    try:
        with pooler.stranger() as client:
            error = client.refusal(user="bob", database="app")
        assert (error.sqlstate, error.fields["M"]) == ("53300", 'too many connections for role "bob"')
    finally:
        postgres.sql("ALTER ROLE bob CONNECTION LIMIT -1")
    with pooler.client("alice") as alice:
        assert alice.query("SELECT 1").value == "1"
    wait_until(lambda: not pooler.value("SELECT 0", user="bob"), "bob to be served")


def test_a_dropped_database_is_an_error_of_its_own_pool(pooler: Pooler, postgres: Postgres) -> None:
    postgres.sql("CREATE DATABASE doomed")
    pooler.databases["doomed"] = dict(pooler.databases["app"])
    pooler.run_with(server_login_retry=0.1, query_wait_timeout=1)
    with pooler.client(database="doomed") as client, pooler.client() as other:
        client.query("SELECT 1")
        postgres.sql("DROP DATABASE doomed WITH (FORCE)")
        assert last_error(client.query_to_end("SELECT 1")) in ("3D000", *LOST)
        assert other.query("SELECT 1").value == "1"


def test_psycopg_sees_an_operational_error(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.connect() as connection, pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)")
    assert works_again(pooler)
