"""Clients share a prepared statement only where it means the same to both: settings decide what a text means."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

#: What one client sets, what the other does, and a text that gives something else under each.
SETTINGS = {
    "time_zone": ("TimeZone = 'UTC'", "TimeZone = 'Asia/Tokyo'", "extract(epoch FROM '2024-01-01 00:00'::timestamptz)"),
    "date_style": ("DateStyle = 'SQL, DMY'", "DateStyle = 'SQL, MDY'", "'01/02/2024'::date - '2000-01-01'::date"),
    "strings": ("standard_conforming_strings = off", "standard_conforming_strings = on", r"'a\\b'"),
    "encoding": ("client_encoding = 'LATIN1'", "client_encoding = 'UTF8'", "length('é')"),
    "null": ("transform_null_equals = on", "transform_null_equals = off", "(1 = NULL) IS NULL"),
}


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=1)
    return pooler


def run(client: Client, name: str = "s") -> Replies:
    return client.ask(wire.bind(statement=name), wire.execute(), wire.sync())


@pytest.mark.parametrize("own, other, expression", SETTINGS.values(), ids=SETTINGS)
def test_constants_are_those_of_the_client(one_server: Pooler, own: str, other: str, expression: str) -> None:
    with one_server.client() as client, one_server.client() as neighbour:
        client.query(f"SET {own}")
        neighbour.query(f"SET {other}")
        client.ask(wire.parse(f"SELECT {expression}", "s"), wire.sync())
        before = run(client).value
        neighbour.ask(wire.parse(f"SELECT {expression}", "s"), wire.sync())
        assert run(neighbour).value != before
        assert run(client).value == before


def test_also_of_statements_prepared_by_sql(one_server: Pooler) -> None:
    own, other, expression = SETTINGS["time_zone"]
    with one_server.client() as client, one_server.client() as neighbour:
        for one, setting in (client, own), (neighbour, other):
            one.query(f"SET {setting}")
            one.query(f"PREPARE s AS SELECT {expression}")
        values = [one.query("EXECUTE s").value for one in (client, neighbour, client)]
        assert values[0] == values[2] != values[1]


def test_settings_of_a_transaction_stay_in_it(one_server: Pooler) -> None:
    _, other, expression = SETTINGS["time_zone"]
    with one_server.client(TimeZone="UTC") as client, one_server.client(TimeZone="UTC") as neighbour:
        client.ask(wire.parse(f"SELECT {expression}", "s"), wire.sync())
        before = run(client).value
        neighbour.query(f"BEGIN; SET LOCAL {other}")
        neighbour.ask(wire.parse(f"SELECT {expression}", "t"), wire.sync())
        assert run(neighbour, "t").value != before
        neighbour.query("COMMIT")
        assert run(client).value == before


def test_a_statement_prepared_anew_under_other_settings_is_no_others(one_server: Pooler) -> None:
    own, other, expression = SETTINGS["time_zone"]
    with one_server.client() as client, one_server.client() as neighbour:
        for one in client, neighbour:
            one.query(f"SET {own}")
            one.ask(wire.parse(f"SELECT {expression}", "s"), wire.sync())
        before = run(client).value
        neighbour.query(f"SET {other}")
        one_server.client().query("DEALLOCATE ALL")
        run(neighbour)
        assert run(client).value == before


def test_clients_with_the_same_settings_share(one_server: Pooler) -> None:
    with one_server.client(TimeZone="UTC") as client, one_server.client(TimeZone="UTC") as neighbour:
        for one in client, neighbour:
            one.ask(wire.parse("SELECT 1", "s"), wire.sync())
            run(one)
        assert client.query("SELECT count(*) FROM pg_prepared_statements").value == "1"


def test_a_temporary_table_changes_nothing_for_others(one_server: Pooler, postgres: Postgres, table: str) -> None:
    with postgres.connect(dbname="app") as connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS a; GRANT ALL ON {table} TO PUBLIC")
    prepare = wire.parse(f"SELECT * FROM {table}", "s") + wire.describe_statement("s") + wire.sync()
    with one_server.client() as client, one_server.client() as neighbour:
        client.ask(prepare)
        assert run(client).rows == [("1",)]
        neighbour.query(f"CREATE TEMP TABLE {table} (x text, y text)")
        neighbour.ask(prepare)
        assert run(neighbour).rows == []
        neighbour.query(f"DROP TABLE {table}")
        assert run(client).rows == [("1",)]


def test_nor_does_one_that_comes_later(one_server: Pooler, postgres: Postgres, table: str) -> None:
    with postgres.connect(dbname="app") as connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS a; GRANT ALL ON {table} TO PUBLIC")
    with one_server.client() as client, one_server.client() as neighbour:
        for one in client, neighbour:
            one.ask(wire.parse(f"SELECT * FROM {table}", "s"), wire.describe_statement("s"), wire.sync())
        neighbour.query(f"CREATE TEMP TABLE {table} (x text)")
        assert run(neighbour).error.sqlstate == "0A000"
        neighbour.query(f"DROP TABLE {table}")
        assert run(client).rows == [("1",)]


def test_a_role_with_tables_of_its_own_changes_nothing_for_others(
    one_server: Pooler, postgres: Postgres, table: str
) -> None:
    """By "$user" in the search_path."""
    with postgres.connect(dbname="app") as connection:
        for role, columns in (f"{table}_a", "1 AS a"), (f"{table}_b", "'x' AS b, 2 AS c"):
            connection.execute(f"CREATE ROLE {role}; GRANT {role} TO alice; CREATE SCHEMA {role} AUTHORIZATION {role}")
            connection.execute(f"SET ROLE {role}; CREATE TABLE {role}.{table} AS SELECT {columns}; RESET ROLE")
    with one_server.client() as client, one_server.client() as neighbour:
        for one, role in (client, "a"), (neighbour, "b"):
            one.query(f"SET ROLE {table}_{role}")
            one.ask(wire.parse(f"SELECT * FROM {table}", "s"), wire.describe_statement("s"), wire.sync())
        for _ in range(2):
            assert run(client).rows == [("1",)]
            assert run(neighbour).rows == [("x", "2")]


def test_a_name_of_ours_taken_in_a_text_of_several_statements_is_given_back(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as neighbour:
        client.ask(wire.parse("SELECT 42", "s"), wire.sync())
        name = neighbour.query("SELECT name FROM pg_prepared_statements").value
        neighbour.query(f"DEALLOCATE {name}; PREPARE {name} AS SELECT 666")
        client.query("BEGIN")
        assert run(client).value == "42"
