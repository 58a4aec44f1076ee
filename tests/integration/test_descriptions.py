"""Drivers that go by what they were once told of a statement learn, as from PostgreSQL, when that has changed."""

from collections.abc import Callable, Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.fix_pooler import Server
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

#: By which drivers know that the statement is to be prepared again (pgjdbc looks at the routine).
CHANGED = ("0A000", "cached plan must not change result type", "RevalidateCachedQuery")


def prepare(client: Client, table: str, name: str = "s") -> Replies:
    """As asyncpg, pgx and postgres.js do it."""
    return client.ask(wire.parse(f"SELECT * FROM {table} ORDER BY 1", name), wire.describe_statement(name), wire.sync())


def run(client: Client, name: str = "s", formats: tuple[int, ...] = ()) -> Replies:
    return client.ask(wire.bind(statement=name, formats=formats), wire.execute(), wire.sync())


def run_described(client: Client, name: str = "s", formats: tuple[int, ...] = ()) -> Replies:
    messages = wire.bind(statement=name, formats=formats), wire.describe_portal(), wire.execute(), wire.sync()
    return client.ask(*messages)


def says_changed(replies: Replies) -> bool:
    error = replies.error
    return (error.sqlstate, error.fields["M"], error.fields["R"]) == CHANGED and replies.shape == "E Z"


@pytest.fixture
def filled(postgres: Postgres, table: str) -> str:
    """A table with one row of two columns."""
    with postgres.connect(dbname="app") as connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS a, 2 AS b; GRANT ALL ON {table} TO PUBLIC")
    return table


@pytest.fixture
def widen(postgres: Postgres, filled: str) -> Callable[[], None]:
    def add_column() -> None:
        with postgres.connect(dbname="app") as connection:
            connection.execute(f"ALTER TABLE {filled} ADD c int DEFAULT 3")

    return add_column


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=1)
    return pooler


@pytest.fixture
def old(server: Server, filled: str) -> Iterator[Client]:
    """A client that has been told of two columns."""
    with server.client() as client:
        assert prepare(client, filled).shape == "1 t T Z"
        assert run(client).rows == [("1", "2")]
        yield client


def test_the_first_to_come_is_told(old: Client, widen: Callable[[], None], filled: str) -> None:
    widen()
    assert says_changed(run(old))
    assert says_changed(run(old)), "until it has prepared it anew"
    prepare(old, filled, "again")
    assert run(old, "again").rows == [("1", "2", "3")]
    assert says_changed(run(old))


def test_a_newcomer_does_not_hide_the_change(
    server: Server, old: Client, widen: Callable[[], None], filled: str
) -> None:
    """As when a release is rolled out behind a migration."""
    widen()
    with server.client() as new:
        prepare(new, filled)
        assert run(new).rows == [("1", "2", "3")]
        assert says_changed(run(old))
        assert run(new).rows == [("1", "2", "3")]
    prepare(old, filled, "again")
    assert run(old, "again").rows == [("1", "2", "3")]


def test_a_format_for_each_column_fits_no_other_result(old: Client, widen: Callable[[], None], filled: str) -> None:
    """As pgx does it, which describes the portal as well."""
    assert run_described(old, formats=(0, 0)).shape == "2 T D C Z"
    widen()
    for _ in range(2):
        assert says_changed(run_described(old, formats=(0, 0)))
    prepare(old, filled, "again")
    assert run_described(old, "again", formats=(0, 0, 0)).rows == [("1", "2", "3")]


def test_inside_a_transaction_and_a_pipeline(
    server: Server, old: Client, widen: Callable[[], None], filled: str
) -> None:
    widen()
    with server.client() as new:
        prepare(new, filled)
    replies = old.ask(wire.query("BEGIN"), wire.bind(statement="s"), wire.execute(), wire.execute(), wire.sync())
    assert (replies.shape, replies.statuses) == ("C Z", "T")
    assert says_changed(old.read_until("Z"))
    old.query("ROLLBACK")
    run_of_three = [wire.parse("SELECT 7") + wire.bind() + wire.execute(), wire.bind(statement="s") + wire.execute()]
    assert old.ask(*run_of_three, wire.sync()).shape == "1 2 D C E Z"


def test_in_a_failed_transaction_that_comes_first(
    server: Server, old: Client, widen: Callable[[], None], filled: str
) -> None:
    widen()
    with server.client() as new:
        prepare(new, filled)
    old.query("BEGIN; SELECT 1/0")
    assert run(old).error.sqlstate == "25P02"
    old.query("ROLLBACK")
    assert says_changed(run(old))


@pytest.mark.parametrize("pipelined", [False, True])
def test_who_prepares_after_the_change_has_missed_none(
    one_server: Pooler, widen: Callable[[], None], filled: str, pipelined: bool
) -> None:
    """Also without a description of its own: a server that prepares the statement later does not make it one."""
    with one_server.client() as old, one_server.client() as client:
        assert prepare(old, filled).shape == "1 t T Z"
        widen()
        parse = wire.parse(f"SELECT * FROM {filled} ORDER BY 1", "s")
        if pipelined:
            replies = client.ask(parse, wire.bind(statement="s"), wire.execute(), wire.sync())
            assert (replies.shape, replies.rows) == ("1 2 D C Z", [("1", "2", "3")])
        else:
            assert client.ask(parse, wire.sync()).shape == "1 Z"
        with one_server.client() as other:
            assert other.query("DEALLOCATE ALL").shape == "C Z"
        assert run(client).rows == [("1", "2", "3")]
        assert says_changed(run(old))


def test_who_describes_anew_gets_the_new_result(one_server: Pooler, widen: Callable[[], None], filled: str) -> None:
    """As libpq does it; where PostgreSQL would have refused it, here it goes on."""
    with one_server.client() as client, one_server.client() as new:
        prepare(client, filled)
        widen()
        assert run_described(client).rows == [("1", "2", "3")]
        prepare(new, filled)
        assert run_described(client).rows == [("1", "2", "3")]
        assert run_described(client, formats=(0,)).rows == [("1", "2", "3")]
        assert client.ask(wire.describe_statement("s"), wire.sync()).shape == "t T Z"
        assert run(client).rows == [("1", "2", "3")], "it has been told"


def test_a_bind_alone_waits_for_what_is_behind_it(one_server: Pooler, widen: Callable[[], None], filled: str) -> None:
    with one_server.client() as client, one_server.client() as other:
        prepare(client, filled)
        widen()
        prepare(other, filled)
        for behind, shape in ((wire.describe_portal() + wire.execute(), "2 T D C Z"), (wire.execute(), "E Z")):
            client.send(wire.bind(statement="s"))
            assert other.query("SELECT 'served meanwhile'").value == "served meanwhile"
            client.send(behind, wire.sync())
            assert client.read_until("Z").shape == shape


@pytest.mark.parametrize("inside", [False, True])
def test_a_server_that_prepares_it_for_the_first_time_is_asked_first(
    one_server: Pooler, postgres: Postgres, widen: Callable[[], None], filled: str, inside: bool
) -> None:
    """Nobody has seen the change yet."""
    with one_server.client() as client:
        prepare(client, filled)
        widen()
        (pid,) = postgres.backends("datname = 'app' AND usename = 'alice'")
        postgres.terminate(pid)
        one_server.wait_for_pool(sv_idle=0)
        if inside:
            client.query("BEGIN")
        client.send(wire.bind(statement="s"), wire.execute(), wire.bind(statement="s"), wire.execute(), wire.sync())
        assert says_changed(client.read_until("Z"))
        assert client.query("ROLLBACK").statuses == "I"
        assert run_described(client).rows == [("1", "2", "3")]
        prepare(client, filled, "again")
        postgres.terminate(int(client.query("SELECT pg_backend_pid()").value or ""))
        one_server.wait_for_pool(sv_idle=0)
        pipeline = (wire.bind(statement="again") + wire.execute()) * 3 + wire.sync()
        assert client.ask(pipeline).rows == [("1", "2", "3")] * 3


def test_other_parameters_are_a_change_too(one_server: Pooler, postgres: Postgres, filled: str) -> None:
    """PostgreSQL would go on with the old types; here the value may come to a server that knows only the new ones."""
    insert = f"INSERT INTO {filled} (a) VALUES ($1)"
    with one_server.client() as client, one_server.client() as new:
        for party, told in ((client, 23), (new, 25)):
            replies = party.ask(wire.parse(insert, "s"), wire.describe_statement("s"), wire.sync())
            assert int.from_bytes(replies[1].body[-4:], "big") == told
            with postgres.connect(dbname="app") as connection:
                connection.execute(f"ALTER TABLE {filled} ALTER a TYPE text")
        assert says_changed(client.ask(wire.bind("5", statement="s"), wire.execute(), wire.sync()))
        assert new.ask(wire.bind("5", statement="s"), wire.execute(), wire.sync()).command_tags == ["INSERT 0 1"]


def test_what_a_text_means_in_another_database_is_no_change(pooler: Pooler, postgres: Postgres, filled: str) -> None:
    pooler.run_with(default_pool_size=1)
    with postgres.connect(dbname="other") as connection:
        connection.execute(f"CREATE TABLE {filled} (x text, y text, z text); GRANT ALL ON {filled} TO PUBLIC")
        with pooler.client() as here, pooler.client(database="other") as there:
            for _ in range(3):
                assert prepare(here, filled, "s").shape == prepare(there, filled, "s").shape
                assert run(here).rows == [("1", "2")]
                assert run(there).shape == "2 C Z"
                for client in (here, there):
                    client.ask(wire.close_statement("s"), wire.sync())
        connection.execute(f"DROP TABLE {filled}")


@pytest.mark.parametrize("inside", [False, True])
def test_tenants_with_a_search_path_each(pooler: Pooler, postgres: Postgres, filled: str, inside: bool) -> None:
    """The same text is about other tables for each of them."""
    pooler.run_with(default_pool_size=1)
    with postgres.connect(dbname="app") as connection:
        for tenant in ("one", "two"):
            connection.execute(f"CREATE SCHEMA {filled}_{tenant} AUTHORIZATION alice")
        connection.execute(
            f"CREATE TABLE {filled}_one.t AS SELECT 1 AS a; CREATE TABLE {filled}_two.t AS SELECT 2 AS a, 'b' AS b"
        )
        connection.execute(f"GRANT ALL ON {filled}_one.t, {filled}_two.t TO alice")
        paths = [f"{filled}_one", f"{filled}_two"]
        with pooler.client(search_path=paths[0]) as one, pooler.client(search_path=paths[1]) as two:
            for client in (one, two):
                assert prepare(client, "t").shape == "1 t T Z"
            for _ in range(4):
                for client, row in ((one, ("1",)), (two, ("2", "b"))):
                    if inside:
                        client.query("BEGIN")
                    assert run(client).rows == [row]
                    if inside:
                        assert run_described(client, formats=(0,) * len(row)).rows == [row]
                        assert client.query("COMMIT").statuses == "I"
        connection.execute(f"DROP SCHEMA {paths[0]} CASCADE; DROP SCHEMA {paths[1]} CASCADE")
