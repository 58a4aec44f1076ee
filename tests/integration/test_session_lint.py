"""What SHOW LINT tells a team before it moves from session mode to transaction mode."""

from typing import Any

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler

#: What a session may rely on: text as it is sent and as it is shown, reason, and what becomes of it.
RELIED_ON = [
    ("SET work_mem = '7MB'", "SET work_mem = ?", "setting", "follows"),
    ("SELECT set_config('app.tenant', 'x', false)", "SELECT set_config(?, false)", "setting", "follows"),
    ("RESET work_mem", "RESET work_mem", "setting", "follows"),
    ("SET ROLE none", "SET ROLE none", "role", "follows"),
    ("PREPARE a AS SELECT 1", "PREPARE a AS SELECT ?", "named_statement", "follows"),
    ("CREATE TEMP TABLE mine (x int)", "CREATE TEMP TABLE mine (x int)", "temporary_object", "pins"),
    ("CREATE TEMP TABLE two AS EXECUTE a", "CREATE TEMP TABLE two AS EXECUTE a", "temporary_object", "pins"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT ?", "holdable_cursor", "pins"),
    ("SELECT pg_advisory_lock(77)", "SELECT pg_advisory_lock(?)", "advisory_lock", "pins"),
    ("LISTEN mine", "LISTEN mine", "listen", "follows"),
    ("LOAD 'plpgsql'", "LOAD ?", "load", "pins"),
    ("SELECT setseed(0.5)", "SELECT setseed(?)", "random_seed", "pins"),
    ("SELECT lastval()", "SELECT lastval()", "sequence", "pins"),
]
SEVERAL = "PREPARE b AS SELECT 1; SELECT 2"


def rows(pooler: Pooler) -> dict[str, dict[str, Any]]:
    return {row["statement"]: row for row in pooler.admin("SHOW LINT")}


def say_everything(client: Client) -> None:
    for text, *_ in RELIED_ON:
        client.query(text)
    client.query(SEVERAL)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_what_relies_on_the_session_is_counted(pooler: Pooler, mode: str) -> None:
    pooler.run_with(session_lint=True, pool_mode=mode)
    with pooler.client(user="postgres", application_name="reports") as client:
        say_everything(client)
        client.query("SELECT 1; INSERT INTO nowhere VALUES (1); SET LOCAL work_mem = '7MB'")
    found = rows(pooler)
    for _, shown, reason, outcome in RELIED_ON:
        row = found.pop(shown)
        assert (row["reason"], row["transaction_mode"], int(row["count"])) == (reason, outcome, 1), shown
        assert (row["application_name"], row["user"], row["database"]) == ("reports", "postgres", "app")
        assert row["first_seen"]
        assert row["last_seen"]
    (several,) = found.values()
    assert (several["reason"], several["transaction_mode"]) == ("named_statement", "pins")


def test_statements_are_told_apart_by_all_but_their_values(pooler: Pooler) -> None:
    pooler.run_with(session_lint=True, pool_mode="session")
    with pooler.client(application_name="a") as one, pooler.client(application_name="b") as two:
        for number in range(20):
            one.query(f"SELECT pg_try_advisory_lock({number})")
            one.query(f"SELECT  pg_try_advisory_lock( {number} ) /* {number} */")
        two.ask(wire.extended("SELECT pg_try_advisory_lock(5)"), wire.sync())
        two.ask(wire.parse("SELECT pg_try_advisory_lock($1)", "named"), wire.sync())
    counted = [(row["application_name"], row["statement"], int(row["count"])) for row in pooler.admin("SHOW LINT")]
    assert counted == [
        ("a", "SELECT pg_try_advisory_lock(?)", 40),
        ("b", "SELECT pg_try_advisory_lock(?)", 1),
        ("b", "SELECT pg_try_advisory_lock($1)", 1),
    ]


def test_lint_changes_nothing(pooler: Pooler) -> None:
    """Not even that a session's own server is left alone."""
    pooler.run_with(session_lint=True, pool_mode="session", default_pool_size=1, workers=1)
    with pooler.client() as client:
        say_everything(client)
        assert client.query("EXECUTE b").value == "1"
        assert client.query("SHOW work_mem").value == "4MB"
        assert client.query("SELECT count(*) FROM mine").value == "0"
        assert client.query("FETCH ALL FROM c").value == "1"
        assert not [event for event in pooler.events if event.get("reason", "").startswith("pin_")]


def test_the_table_is_bounded(pooler: Pooler) -> None:
    pooler.run_with(session_lint=True, pool_mode="session", workers=2)
    with pooler.client() as client:
        for start in range(0, 1100, 100):
            client.send(*(wire.query(f"LISTEN channel_{number}") for number in range(start, start + 100)))
            client.read_ready(100)
    found = pooler.admin("SHOW LINT")
    assert len(found) == 1001
    assert (found[-1]["statement"], found[-1]["reason"], int(found[-1]["count"])) == ("(other)", "listen", 100)


def test_lint_can_be_one_databases_and_is_off_otherwise(pooler: Pooler) -> None:
    pooler.databases["other"]["session_lint"] = True
    pooler.run()
    with pooler.client() as client, pooler.client(database="other") as other:
        client.query("LISTEN here")
        other.query("LISTEN there")
        assert set(rows(pooler)) == {"LISTEN there"}
        pooler.reload_with(session_lint=True)

        def counts() -> bool:
            client.query("LISTEN here")
            return "LISTEN here" in rows(pooler)

        wait_until(counts, "the reload to reach the client's worker")
