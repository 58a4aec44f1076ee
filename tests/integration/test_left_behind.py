"""What a client leaves in a server without anybody knowing its name, or so that it is hard to undo: the next one meets
nothing of it.
"""

from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")

PID = "SELECT pg_backend_pid()"
MANY = [f"SET app.s{number} = '{'x' * 60}'" for number in range(210)]

#: Texts that set app.tenant, in which its name does not stand, or not so that it could be read.
UNNAMED = {
    "function": "SELECT {0}_set('A')",
    "block": "DO $$ BEGIN SET app.tenant = 'A'; END $$",
    "block within a transaction": "BEGIN; DO $$ BEGIN SET app.tenant = 'A'; END $$; COMMIT",
    "computed": "SELECT set_config('app.' || 'tenant', 'A', false)",
    "cast": "SELECT set_config('app.tenant'::text, 'A', false)",
    "escaped": "SELECT set_config(E'app.tenant', 'A', false)",
    "one too many": "; ".join(f"SET app.s{number} = 'x'" for number in range(100)) + "; SET app.tenant = 'A'",
}
TENANT = "SELECT current_setting('app.tenant', true)"


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=1, workers=1)
    return pooler


@pytest.fixture
def functions(postgres: Postgres, table: str) -> Iterator[str]:
    """Functions whose names begin like this, and a role of a superuser's, which alice may take on."""
    postgres.sql(f"CREATE ROLE {table} SUPERUSER; GRANT {table} TO alice")
    postgres.sql_in(
        "app",
        f"CREATE FUNCTION {table}_set(value text) RETURNS text AS"
        " $$ SELECT set_config('app.tenant', value, false) $$ LANGUAGE sql;"
        f" CREATE FUNCTION {table}_log() RETURNS text SECURITY DEFINER AS"
        " $$ SELECT set_config('log_min_duration_statement', '3s', false) $$ LANGUAGE sql;"
        f" CREATE SEQUENCE {table}_s; GRANT ALL ON {table}_s TO PUBLIC;"
        f" CREATE FUNCTION {table}_next() RETURNS bigint AS $$ SELECT nextval('{table}_s') $$ LANGUAGE sql;"
        f" CREATE FUNCTION {table}_last() RETURNS bigint AS $$ SELECT lastval() $$ LANGUAGE sql",
    )
    yield table
    postgres.sql_in(
        "app",
        f"DROP FUNCTION {table}_set, {table}_log, {table}_next, {table}_last; DROP SEQUENCE {table}_s",
    )
    postgres.sql(f"DROP ROLE {table}")


def nothing_is_met(client: Client, other: Client) -> None:
    """Neither by one whose settings the server has already, nor by one that has others."""
    assert other.query(TENANT).value in (None, "")
    assert other.query("SHOW work_mem").value == "5MB"
    assert client.query("SHOW work_mem").value == "6MB"


@pytest.mark.parametrize("name", UNNAMED)
def test_a_setting_of_unknown_name_is_not_met_by_others(one_server: Pooler, functions: str, name: str) -> None:
    text = UNNAMED[name].format(functions)
    with one_server.client() as client, one_server.client() as other, one_server.client() as third:
        other.query("SET work_mem = '5MB'; SET app.mine = 'yes'")
        client.query("SET work_mem = '6MB'")
        assert client.query(text).errors == []
        nothing_is_met(client, other)
        assert other.query("SHOW app.mine").value == "yes"
        client.query(text)
        assert third.query(TENANT).value in (None, "")


def test_a_setting_whose_name_is_a_parameter_is_not_met_by_others(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        set_it = wire.extended("SELECT set_config($1, $2, false)", "app.tenant", "A")
        assert client.ask(set_it, wire.sync()).errors == []
        assert client.query(TENANT).value == "A"
        assert other.query(TENANT).value in (None, "")


@pytest.mark.parametrize("by", ["role", "role of another transaction", "function"])
def test_a_setting_of_superusers_does_not_bar_the_server_to_others(one_server: Pooler, functions: str, by: str) -> None:
    look = "SHOW log_min_duration_statement"
    with one_server.client() as client, one_server.client() as other:
        before = other.query(look).value
        if by == "function":
            client.query(f"SELECT {functions}_log()")
        else:
            client.query(f"SET ROLE {functions}")
            client.query("SET log_min_duration_statement = '3s'")
        if by == "role":
            client.query("RESET ROLE")
        assert client.query(look).value == "3s"
        assert other.query(look).value == before
        assert other.query("SELECT current_user").value == "alice"


@pytest.mark.parametrize("name", ["statement_timeout", "transaction_timeout"])
def test_a_short_timeout_does_not_end_what_prepares_the_server_for_others(
    one_server: Pooler, postgres: Postgres, name: str
) -> None:
    if not postgres.sql(f"SELECT 1 FROM pg_settings WHERE name = '{name}'"):
        pytest.skip(f"PostgreSQL has no {name} yet")
    with one_server.client() as other:
        for part in range(3):
            other.query("; ".join(MANY[part * 70 : part * 70 + 70]))
        for _ in range(10):
            with one_server.client() as client:
                client.query(f"SET {name} = '2ms'")
                assert other.query("SELECT 'served'").value == "served"
    one_server.wait_until_idle()


def test_the_time_of_others_does_not_run_while_the_server_is_prepared(
    one_server: Pooler, postgres: Postgres, functions: str
) -> None:
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND waitstart < clock_timestamp() - interval '500ms'"
    with one_server.client() as client, one_server.client() as other, postgres.connect(dbname="app") as holder:
        other.query(f"SET ROLE {functions}")
        client.query("SET statement_timeout = '200ms'")
        holder.execute(f"ALTER ROLE {functions} CONNECTION LIMIT 7")  # nobody has it in a cache any more
        with holder.transaction():
            holder.execute("LOCK TABLE pg_authid")
            other.send(wire.query("SELECT current_user"))
            wait_until(lambda: bool(holder.execute(waits).fetchall()), "the server to wait for the role")
        assert other.read_until("Z").value == functions


def test_a_server_does_not_go_with_the_idle_time_of_its_last_client(one_server: Pooler, postgres: Postgres) -> None:
    with one_server.client() as client, one_server.client() as other:
        pid = client.query(PID).value
        client.query("SET idle_session_timeout = '50ms'")
        is_old = f"SELECT state_change < clock_timestamp() - interval '200ms' FROM pg_stat_activity WHERE pid = {pid}"
        wait_until(lambda: postgres.sql(is_old) in ([], [(True,)]), "the server to have been idle for long")
        assert other.query(PID).value == pid
        assert client.query("SHOW idle_session_timeout").value == "50ms"


@pytest.mark.parametrize("begin", [[], ["BEGIN"], ["BEGIN", "SELECT 1"]], ids=["alone", "first", "later"])
@pytest.mark.parametrize("look", ["SELECT lastval()", "SELECT {0}_last()"], ids=["itself", "in a function"])
@pytest.mark.parametrize("take", ["SELECT nextval('{0}_s')", "SELECT {0}_next()"], ids=["by itself", "by a function"])
def test_numbers_of_others_are_not_met(
    one_server: Pooler, functions: str, take: str, look: str, begin: list[str]
) -> None:
    with one_server.client() as client, one_server.client() as other:
        assert client.query(take.format(functions)).errors == []
        for text in begin:
            assert other.query(text).errors == []
        assert other.query(look.format(functions)).error.sqlstate == "55000"
        other.query("ROLLBACK")
        # Now it is known that somebody asks.
        assert other.query(look.format(functions)).error.sqlstate == "55000"
        assert other.query(f"BEGIN; SELECT nextval('{functions}_s'); COMMIT").errors == []


def test_numbers_of_ones_own_are_met_in_the_transaction_that_takes_them(one_server: Pooler, functions: str) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.query(f"SELECT {functions}_next()")
        other.begin()
        mine = other.query(f"SELECT {functions}_next()").value
        assert other.query("SELECT lastval()").value == mine
        assert other.query(f"SELECT {functions}_last()").value == mine
        other.query("COMMIT")
