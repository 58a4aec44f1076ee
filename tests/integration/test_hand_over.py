"""A new process takes over from the one that runs: clients keep their connections, and their sessions."""

import signal
import urllib.request
from pathlib import Path

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import Busy
from tests.kit.pooler import Pooler
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres


def clients(pooler: Pooler, count: int) -> list[Client]:
    return [pooler.client() for _ in range(count)]


def test_idle_clients_go_on_in_the_new_process(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as asked, pooler.client() as silent:
        asked.query("SELECT 1")
        before = pooler.take_over()
        assert before.wait(20) == 0
        assert asked.query("SELECT 2").value == "2"
        assert silent.query("SELECT 3").value == "3"
        assert len([row for row in pooler.admin("SHOW CLIENTS") if row["database"] == "app"]) == 2


def test_newcomers_come_to_the_new_process(pooler: Pooler) -> None:
    pooler.run()
    before = pooler.take_over()
    with pooler.client() as client:
        assert client.query("SELECT 1").value == "1"
    assert before.wait(20) == 0


def test_two_hundred_busy_clients_notice_nothing(pooler: Pooler) -> None:
    pooler.run_with(workers=2, default_pool_size=10, max_client_conn=500)
    with Busy(clients(pooler, 200)) as busy:
        busy.goes_on()
        assert pooler.take_over().wait(60) == 0
        busy.goes_on()
        assert pooler.take_over().wait(60) == 0
        busy.goes_on()


@pytest.mark.parametrize("before, after", [(1, 3), (3, 1)])
def test_the_number_of_workers_may_change(pooler: Pooler, before: int, after: int) -> None:
    pooler.run_with(workers=before)
    with Busy(clients(pooler, 12)) as busy:
        pooler.settings["workers"] = after
        assert pooler.take_over().wait(20) == 0
        busy.goes_on()
    for _ in range(12):  # every listening socket has somebody who accepts
        with pooler.client() as client:
            assert client.query("SELECT 1").value == "1"


def test_settings_go_along(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client(application_name="first", DateStyle="German") as client:
        client.query("SET application_name = 'second'")
        client.query("SET statement_timeout = '7s'")
        assert pooler.take_over().wait(20) == 0
        assert client.query("SHOW application_name").value == "second"
        assert client.query("SHOW statement_timeout").value == "7s"
        assert client.query("SHOW DateStyle").value == "German, DMY"
        client.query("RESET application_name")
        assert client.query("SHOW application_name").value == "first"


def test_prepared_statements_go_along(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client, pooler.client() as other:
        client.ask(wire.parse("SELECT 40 + $1::int", "sum"), wire.sync())
        client.query("PREPARE double (int) AS SELECT 2 * $1")
        other.ask(wire.parse("SELECT 1 + $1::int", "sum"), wire.sync())
        assert pooler.take_over().wait(20) == 0
        assert client.ask(wire.bind("2", statement="sum"), wire.execute(), wire.sync()).value == "42"
        assert other.ask(wire.bind("2", statement="sum"), wire.execute(), wire.sync()).value == "3"
        assert client.query("EXECUTE double (21)").value == "42"
        client.query("DEALLOCATE double")
        assert client.query("EXECUTE double (21)").error.sqlstate == "26000"


def test_the_unnamed_statement_goes_along(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.ask(wire.parse("SELECT 6 * $1::int"), wire.sync())
        assert pooler.take_over().wait(20) == 0
        assert client.ask(wire.bind("7"), wire.execute(), wire.sync()).value == "42"


def test_a_statement_that_changes_on_the_way_is_noticed(pooler: Pooler, table: str) -> None:
    pooler.run()
    with pooler.client() as client, pooler.client() as other:
        other.query(f"CREATE TABLE {table} (a int)")
        client.ask(wire.parse(f"SELECT * FROM {table}", "all"), wire.describe_statement("all"), wire.sync())
        assert pooler.take_over().wait(20) == 0
        other.query(f"ALTER TABLE {table} ADD b int")
        replies = client.ask(wire.bind(statement="all"), wire.execute(), wire.sync())
        assert replies.error.fields["M"] == "cached plan must not change result type"


def test_a_transaction_ends_where_it_began(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.begin()
        pid = client.query("SELECT pg_backend_pid()").value
        before = pooler.take_over()
        assert client.query("SELECT pg_backend_pid()").value == pid
        assert before.poll() is None
        client.query("COMMIT")
        assert before.wait(20) == 0
        assert client.query("SELECT 1").value == "1"


def test_a_session_stays_with_the_process_that_has_its_server(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as client:
        client.query("CREATE TEMP TABLE kept (n int)")
        before = pooler.take_over()
        client.query("INSERT INTO kept VALUES (1)")
        assert client.query("SELECT n FROM kept").value == "1"
        assert before.poll() is None
        client.query("DROP TABLE kept")
        assert before.wait(20) == 0
        assert client.query("SELECT 1").value == "1"


def test_cancel_keys_stay_valid(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as client:
        for _ in range(2):
            assert pooler.take_over().wait(20) == 0
            client.send(wire.query("SELECT pg_sleep(60)"))
            postgres.wait_for_backends(1, "state = 'active' AND query LIKE '%pg_sleep%'")
            client.cancel()
            assert client.read_until("Z").error.sqlstate == "57014"


def test_a_cancel_reaches_a_client_that_has_not_moved(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run()
    with pooler.client() as client:
        client.send(wire.query("SELECT pg_sleep(60)"))
        postgres.wait_for_backends(1, "state = 'active' AND query LIKE '%pg_sleep%'")
        before = pooler.take_over()
        client.cancel()
        assert client.read_until("Z").error.sqlstate == "57014"
        assert before.wait(20) == 0


def test_listeners_are_told_that_they_may_have_missed_something(pooler: Pooler) -> None:
    pooler.run()
    with pooler.client() as listener, pooler.client() as speaker:
        listener.query("LISTEN news")
        assert pooler.take_over().wait(20) == 0
        warning = listener.read_until("N")[-1]
        assert warning.fields["C"] == "01000"
        speaker.query("NOTIFY news, 'after'")
        assert listener.read_until("A")[-1].tag == "A"


def test_metrics_and_health_are_the_new_processs(pooler: Pooler) -> None:
    port = take_port()
    pooler.run_with(http_port=port)
    with pooler.client() as client:
        client.begin()
        before = pooler.take_over()
        for _ in range(5):  # the one before is there still, and does not answer
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").status == 200
        client.query("COMMIT")
        assert before.wait(20) == 0
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").status == 200


def test_files_are_the_new_processs(pooler: Pooler) -> None:
    pid_file = pooler.folder / "pid"
    pooler.run_with(pidfile=str(pid_file))
    assert pooler.take_over().wait(20) == 0
    assert pid_file.read_text() == f"{pooler.pid}\n"
    assert Path(pooler.socket_path).exists()
    pooler.signal(signal.SIGTERM)
    assert pooler.wait_for_exit() == 0
    assert not pid_file.exists()
    pooler.check_nothing_is_left()
