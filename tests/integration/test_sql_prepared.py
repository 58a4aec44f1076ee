"""Statements prepared by SQL follow their client, and share one name space with those of the protocol."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=1, workers=1)
    return pooler


def forget_all(pooler: Pooler) -> None:
    """The server has nothing prepared any more."""
    with pooler.client() as other:
        assert other.query("DEALLOCATE ALL").command_tags == ["DEALLOCATE ALL"]


def test_what_one_way_prepares_the_other_runs(one_server: Pooler) -> None:
    with one_server.client() as client:
        client.query("PREPARE by_sql (int) AS SELECT $1 + 1")
        assert client.ask(wire.parse("SELECT $1::int * 2", "by_protocol"), wire.sync()).shape == "1 Z"
        for _ in range(2):
            run = (wire.bind("4", statement="by_sql"), wire.execute(), wire.sync())
            assert client.ask(*run).rows == [("5",)]
            assert client.query("EXECUTE by_protocol (4)").rows == [("8",)]
            assert client.ask(wire.extended("EXECUTE by_sql (6)"), wire.sync()).rows == [("7",)]
            forget_all(one_server)
        for name in ("by_sql", "by_protocol"):
            assert client.query(f"PREPARE {name} AS SELECT 1").error.sqlstate == "42P05"
            assert client.query(f"DEALLOCATE {name}").command_tags == ["DEALLOCATE"]
            assert client.query(f"EXECUTE {name}").error.sqlstate == "26000"


@pytest.mark.parametrize("text", ["EXECUTE s", "EXPLAIN EXECUTE s", "CREATE TABLE never AS EXECUTE s"])
def test_what_can_no_longer_be_prepared_is_told_once(
    one_server: Pooler, postgres: Postgres, table: str, text: str
) -> None:
    postgres.sql_in("app", f"CREATE TABLE {table} (x int); GRANT ALL ON {table} TO PUBLIC")
    with one_server.client() as client, one_server.client() as other:
        client.query(f"PREPARE s AS SELECT * FROM {table}")
        assert client.query("EXECUTE s").errors == []
        forget_all(one_server)
        postgres.sql_in("app", f"DROP TABLE {table}")
        replies = client.query(text)
        assert (replies.shape, replies.error.sqlstate) == ("E Z", "42P01")
        assert other.query("SELECT 1/0").error.sqlstate == "22012"
        assert client.query("SELECT 1/0").error.sqlstate == "22012"


def test_a_failed_prepare_leaves_no_name(one_server: Pooler) -> None:
    with one_server.client() as client:
        assert client.query("PREPARE s AS SELECT nothing").error.sqlstate == "42703"
        assert client.query("EXECUTE s").error.sqlstate == "26000"
        client.query("BEGIN; SELECT 1")
        client.query("SELECT 1/0")
        assert client.query("PREPARE s AS SELECT 1").error.sqlstate == "25P02"
        client.query("ROLLBACK")
        assert client.query("PREPARE s AS SELECT 2").errors == []
        assert client.query("EXECUTE s").rows == [("2",)]


def test_what_others_made_of_sequences_is_not_seen(one_server: Pooler, postgres: Postgres, table: str) -> None:
    postgres.sql_in("app", f"CREATE SEQUENCE {table}; GRANT ALL ON {table} TO PUBLIC")
    with one_server.client() as client, one_server.client() as other:
        client.query("PREPARE last AS SELECT lastval()")
        assert other.query(f"SELECT nextval('{table}')").value == "1"
        assert client.query("EXECUTE last").error.sqlstate == "55000"
    postgres.sql_in("app", f"DROP SEQUENCE {table}")


def test_many_clients_share_one_text(one_server: Pooler) -> None:
    clients = [one_server.client() for _ in range(5)]
    for number, client in enumerate(clients):
        client.query(f"PREPARE mine_{number} AS SELECT 'shared'")
    for number, client in enumerate(clients):
        assert client.query(f"EXECUTE mine_{number}").rows == [("shared",)]
    count = "SELECT count(*) FROM pg_prepared_statements WHERE starts_with(name, 'howdah_')"
    assert clients[0].query(count).value == "1"


def pipeline(client: Client, *texts: str) -> list[str]:
    client.send(*map(wire.query, texts))
    return [client.read_until("Z").shape for _ in texts]


def test_a_pipeline_of_queries_keeps_its_order(one_server: Pooler) -> None:
    with one_server.client() as client:
        texts = ("PREPARE a AS SELECT 1", "EXECUTE a", "PREPARE a AS SELECT 2", "DEALLOCATE a", "EXECUTE a")
        assert pipeline(client, *texts) == ["C Z", "T D C Z", "E Z", "C Z", "E Z"]


def test_the_unnamed_execute_finds_its_statement_at_each_server(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.query("PREPARE s (int) AS SELECT $1 AS one")
        client.ask(wire.parse("EXECUTE s (8)"), wire.sync())
        for question in (wire.describe_statement(), wire.bind() + wire.execute()):
            assert other.query("DEALLOCATE ALL").command_tags == ["DEALLOCATE ALL"]
            assert other.ask(wire.extended("SELECT 'mine'"), wire.sync()).rows == [("mine",)]
            replies = client.ask(question, wire.sync())
            assert replies.shape in ("t T Z", "2 D C Z"), replies
