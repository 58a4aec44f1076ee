"""Clients that share one server: none runs under another's settings or meets another's statements."""

from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")

TURNS = 20
LARGE = wire.query(f"SELECT '{'x' * 300_000}'")


@pytest.fixture
def journal(postgres: Postgres, table: str) -> str:
    """A table for who did what."""
    with postgres.connect(dbname="app") as connection:
        connection.execute(f"CREATE TABLE {table} (who text, name text, path text, n int)")
        connection.execute(f"GRANT ALL ON {table} TO PUBLIC")
    return table


@pytest.fixture
def role(postgres: Postgres, table: str) -> Iterator[str]:
    """A role alice may take on; the test may drop it."""
    postgres.sql(f"CREATE ROLE r{table}")
    postgres.sql(f"GRANT r{table} TO alice")
    yield f"r{table}"
    postgres.sql(f"DROP ROLE IF EXISTS r{table}")


@pytest.fixture
def default_role(postgres: Postgres, role: str) -> Iterator[str]:
    """The role that alice has when she logs in."""
    postgres.sql(f"ALTER ROLE alice SET role = '{role}'")
    yield role
    postgres.sql("ALTER ROLE alice RESET role")


def test_a_role_that_is_the_servers_own_can_be_left_by_one_client(pooler: Pooler, default_role: str) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    with pooler.client() as client, pooler.client() as other:
        for leave, role in (("SET ROLE NONE", "alice"), ("RESET ROLE", default_role)):
            client.query(leave)
            for _ in range(2):
                assert client.query("SELECT current_user").value == role
                assert other.query("SELECT current_user").value == default_role


def drop_role(postgres: Postgres, role: str, other: Client) -> None:
    """Afterwards the server has the other client's settings, and cannot have those of a client with the role."""
    postgres.sql(f"DROP ROLE {role}")
    assert other.query("SELECT current_user").value == "alice"


def show(client: Client, name: str) -> str | None:
    return client.query(f"SHOW {name}").value


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_query_whose_settings_are_refused_does_not_run(
    pooler: Pooler, postgres: Postgres, journal: str, role: str, extended: bool
) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    with pooler.client() as other, pooler.client(options=f"-c role={role}") as client:
        assert client.query("SELECT current_user").value == role
        drop_role(postgres, role, other)
        insert = f"INSERT INTO {journal} SELECT current_user"
        client.send(wire.extended(insert) + wire.sync() if extended else wire.query(insert))
        replies = client.read_to_end()
        assert (replies.shape, replies.error.sqlstate) == ("E", "22023")
        assert role in replies.error.fields["M"]
        assert other.query(f"SELECT count(*) FROM {journal}", within=10).value == "0"
        assert show(other, "role") == "none"
    pooler.wait_until_idle()


@pytest.mark.parametrize("sent", [wire.query("SELECT 1") + LARGE[:100], LARGE[:150_000]], ids=["behind one", "alone"])
def test_settings_refused_with_part_of_a_message_sent(
    pooler: Pooler, postgres: Postgres, role: str, sent: bytes
) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    with pooler.client() as other, pooler.client(options=f"-c role={role}") as client:
        drop_role(postgres, role, other)
        client.send(sent)
        assert client.read_to_end().error.sqlstate == "22023"
        assert other.query("SELECT 'served'", within=10).value == "served"
        assert pooler.is_running
    pooler.wait_until_idle()


def test_each_statement_of_a_pipeline_runs_under_its_clients_settings(pooler: Pooler, journal: str) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    settings = {name: {"application_name": name, "search_path": f"{name}, public"} for name in ("east", "west")}
    clients = {name: pooler.client(**settings[name]) for name in settings}
    row = f"INSERT INTO {journal} SELECT $1, current_setting('application_name'), current_setting('search_path'), $2"
    for turn in range(TURNS):
        for name, client in clients.items():
            client.send(*(wire.extended(row, name, str(2 * turn + half)) + wire.sync() for half in (0, 1)))
    for client in clients.values():
        assert not client.read_ready(2 * TURNS).errors
    rows = clients["east"].query(f"SELECT who, name, path, count(*) FROM {journal} GROUP BY 1, 2, 3 ORDER BY 1").rows
    assert rows == [(name, name, f"{name}, public", str(2 * TURNS)) for name in settings]
    for client in clients.values():
        client.close()


def test_each_client_has_its_own_unnamed_statement(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    with pooler.client() as one, pooler.client() as two, pooler.client() as none:
        run = (wire.bind(), wire.execute(), wire.sync())
        assert one.ask(wire.parse("SELECT 'of one'"), *run).value == "of one"
        for stranger in (two, none):
            assert stranger.ask(*run).error.sqlstate == "26000"
            assert stranger.ask(wire.describe_statement(), wire.sync()).error.sqlstate == "26000"
        assert two.ask(wire.parse("SELECT 'of two'"), *run).value == "of two"
        assert one.ask(*run).value == "of one"
        assert two.ask(*run).value == "of two"


@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL", "RESET statement_timeout"])
def test_a_reset_goes_back_to_the_settings_of_the_login(pooler: Pooler, reset: str) -> None:
    pooler.run_with(default_pool_size=1, workers=1)
    same = {"options": "-c statement_timeout=5s", "application_name": "same"}
    with pooler.client(**same) as client, pooler.client(**same) as twin, pooler.client() as plain:
        assert show(twin, "statement_timeout") == "5s"
        assert client.query(reset).command_tags == [reset if reset.startswith("DISCARD") else "RESET"]
        for _ in range(2):
            for one, timeout, name in ((client, "5s", "same"), (twin, "5s", "same"), (plain, "0", "")):
                assert (show(one, "statement_timeout"), show(one, "application_name")) == (timeout, name)
