"""A BEGIN alone is answered at once and costs a server only when there is something to do."""

import itertools

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

STEPS = ("BEGIN", "START TRANSACTION READ ONLY", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SELECT 1", "SELECT 1/0", "")


def answers(client: Client, *texts: str) -> list[tuple[str, str, str]]:
    """What came for each text: every message's type and body, as far as it does not depend on the session."""
    found = []
    for text in texts:
        replies = client.query(text)
        found.append((replies.shape, replies.statuses, repr([(reply.tag, reply.body) for reply in replies])))
    return found


@pytest.mark.parametrize("first", STEPS[:4])
def test_every_order_is_answered_as_postgresql_answers_it(howdah: Pooler, postgres: Postgres, first: str) -> None:
    with howdah.client() as through, postgres.client() as direct:
        for steps in itertools.product(STEPS, repeat=2):
            script = (first, *steps, "ROLLBACK")
            assert answers(through, *script) == answers(direct, *script), script


def test_a_transaction_without_a_statement_costs_no_server(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder, pooler.client() as client:
        holder.begin()
        for begin, end in (("BEGIN", "COMMIT"), ("begin isolation level serializable;", "ROLLBACK"), ("BEGIN", "END")):
            assert client.query(begin).statuses == "T"
            assert client.ask(wire.sync()).statuses == "T"
            assert client.query(end).statuses == "I"
        holder.query("COMMIT")


def test_it_is_there_when_the_first_statement_comes(pooler: Pooler, table: str) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client, pooler.client() as other:
        client.query(f"CREATE TABLE {table} (n int)")
        client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert client.query("SHOW transaction_isolation").value == "repeatable read"
        client.query(f"INSERT INTO {table} VALUES (1)")
        client.query("ROLLBACK")
        client.query("BEGIN")
        client.ask(wire.extended(f"INSERT INTO {table} VALUES ($1::int)", "2"), wire.sync())
        client.vanish()
        assert other.query(f"SELECT count(*) FROM {table}").value == "0"


def test_in_a_pipeline(howdah: Pooler) -> None:
    with howdah.client() as client:
        client.send(
            wire.query("BEGIN"), wire.query("SELECT 1"), wire.query("COMMIT"), wire.query("BEGIN"), wire.sync(),
            wire.extended("SELECT 2"), wire.sync(), wire.query("ROLLBACK"), wire.query("BEGIN"), wire.query("COMMIT"),
        )  # fmt: skip
        replies = client.read_ready(9)
    assert (replies.statuses, replies.rows) == ("TTITTTITI", [("1",), ("2",)])


def test_one_who_begins_and_stays_away_is_told(pooler: Pooler) -> None:
    pooler.run_with(idle_transaction_timeout=0.2)
    with pooler.client() as client:
        client.query("BEGIN")
        assert client.read_to_end().error.sqlstate == "25P03"


def test_it_can_be_switched_off(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, deferred_begin=False)
    with pooler.client() as client:
        client.query("BEGIN")
        pooler.wait_for_pool(sv_active=1)
