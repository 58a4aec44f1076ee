"""pool_mode = statement: a server goes back after each statement, and no transaction stays open."""

import pytest

from tests.kit import wire
from tests.kit.crowd import crowd
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

REFUSAL = "transaction blocks not allowed in statement pooling mode"


def test_a_server_goes_back_after_each_statement(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="statement", default_pool_size=1)
    with pooler.client() as one, pooler.client() as two:
        for client in (one, two, one, two):
            assert client.query("SELECT 1").statuses == "I"
            assert client.ask(wire.extended("SELECT $1", "x"), wire.sync()).value == "x"
        pooler.wait_for_pool(sv_active=0, sv_idle=1)
    assert pooler.pool()["pool_mode"] == "statement"


BEGINNINGS = {
    "query": wire.query("BEGIN"),
    "several": wire.query("SELECT 1; BEGIN; SELECT 2"),
    "extended": wire.extended("BEGIN") + wire.sync(),
    "failed": wire.query("BEGIN; SELECT 1/0"),
    "pipeline": wire.query("BEGIN") + wire.query("SELECT pg_sleep(60)") + wire.query("COMMIT"),
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_transaction_is_refused_and_rolled_back(pooler: Pooler, postgres: Postgres, beginning: bytes) -> None:
    pooler.run_with(pool_mode="statement", default_pool_size=1)
    with pooler.client() as client, pooler.client() as following:
        pid = client.query("SELECT pg_backend_pid()").value
        client.send(beginning)
        replies = client.read_to_end()
        assert replies[-1].fields["M"] == REFUSAL
        assert "pool_mode" in replies[-1].fields["H"]
        assert (replies[-1].sqlstate, replies.statuses) == ("0A000", "")
        assert following.query("SELECT pg_backend_pid()").value == pid, "its server is kept"
        assert following.query("SAVEPOINT a").error.sqlstate == "25P01", "and in no transaction"
    pooler.wait_for_log("statement_mode_transaction")
    assert not postgres.backends("state LIKE 'idle in transaction%'")


def test_what_ends_with_its_own_message_is_no_open_transaction(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="statement", default_pool_size=1)
    with pooler.client() as client:
        assert client.query("BEGIN; SELECT 1; COMMIT").statuses == "I"
        assert client.query("SELECT 1/0").error.sqlstate == "22012"
        assert client.query("SELECT 1; SELECT 2").rows == [("1",), ("2",)]
        client.send(wire.query("COPY (SELECT 1) TO STDOUT"))
        assert client.read_until("Z").statuses == "I"


@pytest.mark.parametrize("where", ["database", "user"])
def test_for_one_database_or_user_alone(pooler: Pooler, where: str) -> None:
    pooler.databases["app"] |= {"pool_mode": "statement"} if where == "database" else {}
    pooler.users["alice"] = {"pool_mode": "statement"} if where == "user" else {}
    pooler.run()
    with pooler.client() as client, pooler.client(user="bob", database="other") as other:
        assert other.query("BEGIN").statuses == "T"
        assert client.query_to_end("BEGIN")[-1].fields["M"] == REFUSAL
        assert other.query("COMMIT").statuses == "I"


def test_an_open_transaction_ends_with_a_reload_to_statement_mode(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        client.begin()
        pooler.reload_with(pool_mode="statement")
        assert client.query_to_end("SELECT 1")[-1].fields["M"] == REFUSAL
    postgres.wait_for_backends(0, "state LIKE 'idle in transaction%'")


def test_many_clients_on_few_servers(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="statement", default_pool_size=2, workers=2)

    def work(number: int) -> set[str | None]:
        with pooler.client() as client:
            return {client.query(f"SELECT '{number}'").value for _ in range(50)}

    assert crowd(12, work) == {number: {str(number)} for number in range(12)}
