"""Statements that one server has for one client alone: what running them does to the session is noticed, too."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")

TAKES_ROLE = "SELECT set_config('role', 'pg_monitor', false)"
TAKES_LOCK = "SELECT pg_advisory_lock(79)"


@pytest.fixture
def one_server(pooler: Pooler, postgres: Postgres) -> Pooler:
    postgres.sql("GRANT pg_monitor TO alice")
    pooler.run_with(default_pool_size=1, workers=1)
    return pooler


def by_one_text(client: Client, text: str) -> None:
    client.query(f"PREPARE p AS {text}; PREPARE q AS SELECT 1")
    assert client.query("EXECUTE p").errors == []
    client.query("DEALLOCATE p; DEALLOCATE q")


def by_extended_protocol(client: Client, text: str) -> None:
    for sql in (f"PREPARE p AS {text}", "EXECUTE p", "DEALLOCATE p"):
        assert client.ask(wire.extended(sql), wire.sync()).errors == []


def beside_others(client: Client, text: str) -> None:
    client.query("PREPARE p AS SELECT 1; PREPARE q AS SELECT 1")
    run_named(client, text)
    client.query("DEALLOCATE p; DEALLOCATE q")


def too_large_to_keep(client: Client, text: str) -> None:
    run_named(client, f"{text} /* {'x' * 1_100_000} */")


def run_named(client: Client, text: str) -> None:
    client.ask(wire.parse(text, "named"), wire.sync())
    assert client.ask(wire.bind(statement="named"), wire.execute(), wire.sync()).errors == []
    client.ask(wire.close_statement("named"), wire.sync())


WAYS = (by_one_text, by_extended_protocol, beside_others, too_large_to_keep)


@pytest.mark.parametrize("way", WAYS)
def test_settings_follow_the_client_that_ran_it(one_server: Pooler, way: object) -> None:
    with one_server.client() as client, one_server.client() as other:
        way(client, TAKES_ROLE)  # type: ignore[operator]
        for _ in range(2):
            assert other.query("SELECT current_user").value == "alice"
            assert client.query("SELECT current_user").value == "pg_monitor"


@pytest.mark.parametrize("way", WAYS)
def test_what_it_takes_keeps_the_server(one_server: Pooler, way: object) -> None:
    with one_server.client() as client, one_server.client() as other:
        way(client, TAKES_LOCK)  # type: ignore[operator]
        one_server.wait_for_log("pin_advisory_lock")
        other.send(wire.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
        one_server.wait_for_pool(cl_waiting=1, sv_active=1)
        assert client.query("SELECT pg_advisory_unlock(79)").value == "t"
        assert other.read_until("Z").value == "0"


def test_the_same_where_statements_are_not_tracked(pooler: Pooler, postgres: Postgres) -> None:
    postgres.sql("GRANT pg_monitor TO alice")
    pooler.run_with(default_pool_size=1, workers=1, max_prepared_statements=0)
    test_settings_follow_the_client_that_ran_it(pooler, run_named)


def test_what_stands_around_an_execute_counts(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.query("PREPARE s AS SELECT 'mine' AS whose")
        assert client.ask(wire.extended("CREATE TEMP TABLE mine AS EXECUTE s"), wire.sync()).errors == []
        one_server.wait_for_log("pin_temporary_object")
        other.send(wire.query("SELECT to_regclass('pg_temp.mine')"))
        one_server.wait_for_pool(cl_waiting=1, sv_active=1)
        assert client.query("DROP TABLE mine").errors == []
        assert other.read_until("Z").value is None


def test_settings_of_the_statement_behind_an_execute_follow(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.query("PREPARE s AS SELECT set_config('app.tenant', 'mine', false)")
        assert client.ask(wire.extended("EXECUTE s"), wire.sync()).errors == []
        look = "SELECT coalesce(current_setting('app.tenant', true), '')"
        for _ in range(2):
            assert other.query(look).value == ""
            assert client.query(look).value == "mine"


def test_a_text_of_which_a_part_has_come_does_not_end_what_keeps_it_safe(
    one_server: Pooler, postgres: Postgres, table: str
) -> None:
    """Where the client's settings cannot be had any more, nothing behind them may run: not even its ROLLBACK."""
    postgres.sql(f"CREATE ROLE role_{table}; GRANT role_{table} TO alice")
    postgres.sql_in("app", f"CREATE TABLE {table} (who text); GRANT ALL ON {table} TO PUBLIC")
    with one_server.client() as client, one_server.client() as other:
        assert client.query(f"SET ROLE role_{table}").errors == []
        assert other.query("SELECT 1").value == "1"
        postgres.sql(f"REVOKE role_{table} FROM alice")
        text = f"/* {'x' * 200_000} */ ROLLBACK; INSERT INTO {table} SELECT current_user; COMMIT"
        client.query_to_end(text)
        assert other.query(f"SELECT count(*) FROM {table}").value == "0"
    postgres.sql(f"DROP ROLE role_{table}")


def test_statements_that_follow_stay_while_others_keep_the_server(one_server: Pooler) -> None:
    with one_server.client() as client:
        client.query("PREPARE by_sql AS SELECT 'by sql'")
        client.ask(wire.parse("SELECT 'by protocol'", "by_protocol"), wire.sync())
        client.query("PREPARE p AS SELECT 1; PREPARE q AS SELECT 2")
        one_server.wait_for_log("pin_named_statement")
        assert client.query("EXECUTE by_sql").value == "by sql"
        assert client.query("EXECUTE by_protocol").value == "by protocol"
        assert client.ask(wire.extended("EXECUTE by_sql"), wire.sync()).value == "by sql"
        assert client.query("EXECUTE q").value == "2"
        assert client.query("PREPARE by_sql AS SELECT 1").error.sqlstate == "42P05"
        for name in ("by_sql", "by_protocol", "p", "q"):
            assert client.query(f"DEALLOCATE {name}").errors == []
            assert client.query(f"EXECUTE {name}").error.sqlstate == "26000"


def test_what_an_earlier_client_has_prepared_is_asked_about_when_it_runs(one_server: Pooler) -> None:
    """Names like ours do not keep a server."""
    with one_server.client() as client, one_server.client() as other:
        client.query(f"PREPARE howdah_mine AS {TAKES_ROLE}; SELECT 1")
        client.query("SELECT 1; EXECUTE howdah_mine")
        assert other.query("SELECT current_user").value == "alice"
