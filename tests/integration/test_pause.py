"""PAUSE and RESUME: who waits, what PostgreSQL is left with, and when the console answers."""

import pytest

from tests.kit import wire
from tests.kit.crowd import Busy
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.proxy import Network


def sessions(pooler: Pooler, database: str = "app") -> int:
    """That PostgreSQL has of the pooler's clients."""
    return len(pooler.postgres.backends(f"datname = '{database}' AND usename = 'alice'"))


def wait_for_pause(pooler: Pooler, database: str = "") -> None:
    """Until a PAUSE that is yet to be answered is in force."""

    def in_force() -> bool:
        if database:
            return any(int(row["paused"]) for row in pooler.admin("SHOW DATABASES") if row["name"] == database)
        return any(row == {"key": "paused", "value": "yes"} for row in pooler.admin("SHOW STATE"))

    wait_until(in_force, f"{database or 'everything'} to be paused")


def test_idle_servers_are_closed_and_queries_wait(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.query("SELECT 1")
    assert console.run("PAUSE") == "PAUSE"
    assert sessions(pooler) == 0
    client.send(wire.query("SELECT 2"))
    pooler.wait_for_pool(cl_waiting=1)
    assert sessions(pooler) == 0
    assert console.state() == "paused"
    assert console.run("RESUME") == "RESUME"
    assert client.read_until("Z").rows == [("2",)]
    assert console.state() == "active"


def test_it_is_answered_when_the_last_transaction_is_over(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    console.send("PAUSE")
    wait_for_pause(pooler)
    assert client.query("SELECT 1").statuses == "T"
    assert not console.has_answer
    client.query("COMMIT")
    assert console.answer() == "PAUSE"
    assert sessions(pooler) == 0


def test_in_session_mode_it_waits_for_the_session(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session")
    client, console = pooler.client(), pooler.console()
    client.query("SELECT 1")
    console.send("PAUSE app")
    wait_for_pause(pooler, "app")
    assert client.query("SELECT 2").rows == [("2",)]
    assert not console.has_answer
    client.close()
    assert console.answer() == "PAUSE"


def test_a_pinned_server_is_waited_for(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.query("SELECT pg_advisory_lock(7)")
    console.send("PAUSE")
    wait_for_pause(pooler)
    assert client.query("SELECT 2").rows == [("2",)]
    assert not console.has_answer
    client.query("SELECT pg_advisory_unlock(7)")
    assert console.answer() == "PAUSE"


def test_one_database_is_paused_and_others_go_on(pooler: Pooler) -> None:
    pooler.run()
    client, other, console = pooler.client(), pooler.client(database="other"), pooler.console()
    client.query("SELECT 1")
    other.query("SELECT 1")
    assert console.run("PAUSE app") == "PAUSE"
    assert (sessions(pooler), sessions(pooler, "other")) == (0, 1)
    client.send(wire.query("SELECT 2"))
    pooler.wait_for_pool(cl_waiting=1)
    assert other.query("SELECT 3").rows == [("3",)]
    assert console.state() == "active"
    assert console.run("RESUME app") == "RESUME"
    assert client.read_until("Z").rows == [("2",)]


def test_newcomers_may_log_in_and_wait(pooler: Pooler) -> None:
    pooler.run()
    pooler.client().query("SELECT 1")
    console = pooler.console()
    console.run("PAUSE")
    known, unknown = pooler.client(), pooler.stranger()  # the latter's settings no server has been asked about
    known.send(wire.query("SELECT 1"))
    unknown.send(wire.startup(user="alice", database="app", work_mem="123kB"))
    pooler.wait_for_pool(cl_waiting=2)
    assert sessions(pooler) == 0
    console.run("RESUME")
    assert known.read_until("Z").rows == [("1",)]
    assert unknown.read_until("Z").settings["server_version"]


def test_min_pool_size_opens_nothing_meanwhile(pooler: Pooler) -> None:
    pooler.databases["app"] |= {"min_pool_size": 3, "user": "alice"}
    pooler.run()
    pooler.wait_for_pool(sv_idle=3)
    console = pooler.console()
    assert console.run("PAUSE app") == "PAUSE"
    assert sessions(pooler) == 0
    pooler.reload_with(query_wait_timeout="100s")
    assert sessions(pooler) == 0
    assert pooler.pool()["sv_login"] == 0
    console.run("RESUME app")
    pooler.wait_for_pool(sv_idle=3)


def test_query_wait_timeout_counts(pooler: Pooler) -> None:
    pooler.run_with(query_wait_timeout="0.3s")
    client, console = pooler.client(), pooler.console()
    client.query("SELECT 1")
    console.run("PAUSE")
    assert client.query_to_end("SELECT 1").error.sqlstate == "53300"


def test_a_server_that_does_not_let_us_in_is_not_waited_for(pooler_behind: Pooler, network: Network) -> None:
    pooler_behind.run()
    network.blackhole()
    client, console = pooler_behind.stranger(), pooler_behind.console()
    client.send(wire.startup(user="alice", database="app"))
    pooler_behind.wait_for_pool(sv_login=1)
    assert console.run("PAUSE") == "PAUSE"
    assert pooler_behind.pool()["sv_login"] == 0
    network.heal()
    assert console.run("RESUME") == "RESUME"
    assert client.read_until("Z").settings["server_version"]


def test_two_admins_pause_at_once(pooler: Pooler) -> None:
    pooler.run()
    client, first, second = pooler.client(), pooler.console(), pooler.console()
    client.begin()
    first.send("PAUSE app")
    second.send("PAUSE app")
    wait_for_pause(pooler, "app")
    assert not first.has_answer and not second.has_answer
    client.query("COMMIT")
    assert [first.answer(), second.answer()] == ["PAUSE", "PAUSE"]


def test_an_admin_who_vanishes_leaves_the_pause(pooler: Pooler) -> None:
    pooler.run()
    client, admin, console = pooler.client(), pooler.console(), pooler.console()
    client.begin()
    admin.send("PAUSE")
    wait_for_pause(pooler)
    admin.vanish()
    client.query("COMMIT")
    wait_until(lambda: sessions(pooler) == 0, "the servers to go")
    assert console.state() == "paused"
    assert console.run("RESUME") == "RESUME"
    assert client.query("SELECT 1").rows == [("1",)]


def test_resume_ends_a_pause_that_is_not_complete(pooler: Pooler) -> None:
    pooler.run()
    client, admin, console = pooler.client(), pooler.console(), pooler.console()
    client.begin()
    admin.send("PAUSE")
    wait_for_pause(pooler)
    assert console.run("RESUME") == "RESUME"
    assert admin.answer() == "57014: resumed before the pause was complete"
    assert client.query("COMMIT").statuses == "I"


def test_a_reload_keeps_what_is_paused_by_name(pooler: Pooler) -> None:
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.query("SELECT 1")
    console.run("PAUSE app")
    pooler.reload_with(default_pool_size=3)
    client.send(wire.query("SELECT 2"))
    pooler.wait_for_pool(cl_waiting=1)
    assert sessions(pooler) == 0
    console.run("RESUME app")
    assert client.read_until("Z").rows == [("2",)]


def test_a_database_that_is_gone_loses_it(pooler: Pooler) -> None:
    pooler.run()
    console = pooler.console()
    console.run("PAUSE other")
    console.run("DISABLE other")
    kept = pooler.databases.pop("other")
    pooler.reload_with()
    pooler.databases["other"] = kept
    pooler.reload_with()
    assert pooler.client(database="other").query("SELECT 1").rows == [("1",)]


@pytest.mark.parametrize("workers", [1, 4])
def test_pausing_again_and_again_loses_nothing(pooler: Pooler, workers: int) -> None:
    pooler.run_with(workers=workers, default_pool_size=5)
    console = pooler.console()
    with Busy([pooler.client() for _ in range(20)]) as busy:
        for _ in range(10):
            assert console.run("PAUSE") == "PAUSE"
            assert sessions(pooler) == 0
            assert console.run("RESUME") == "RESUME"
            busy.goes_on()


@pytest.mark.parametrize("command", ["PAUSE", "PAUSE app"])
def test_ctrl_c_ends_the_wait(pooler: Pooler, command: str) -> None:
    """As in PgBouncer it resumes what was paused as a whole; a database stays paused."""
    pooler.run()
    client, console = pooler.client(), pooler.console()
    client.begin()
    console.send(command)
    wait_for_pause(pooler, "app" if "app" in command else "")
    console.cancel()
    assert console.answer().startswith("57014: ")
    assert console.state() == "active"
    resumed = "RESUME" if "app" in command else "08P01: database app is not paused"
    assert console.run("RESUME app") == resumed
    assert client.query("COMMIT").statuses == "I"
    assert client.query("SELECT 1").rows == [("1",)]


def test_databases_of_the_star_are_shown_as_paused(pooler: Pooler) -> None:
    pooler.databases = {"*": pooler.databases["app"]}
    pooler.run()
    with pooler.client() as client, pooler.console() as console:
        client.query("SELECT 1")
        assert shown_paused(pooler) == {"app": 0}
        assert console.run("PAUSE app") == "PAUSE"
        assert console.run("PAUSE never_used") == "PAUSE"
        assert shown_paused(pooler) == {"app": 1, "never_used": 1}
        assert console.run("RESUME app") == "RESUME"
        assert shown_paused(pooler) == {"app": 0, "never_used": 1}


def shown_paused(pooler: Pooler) -> dict[str, int]:
    rows = {row["name"]: row["paused"] for row in pooler.admin("SHOW DATABASES")}
    del rows["pgbouncer"]
    return rows


@pytest.mark.parametrize(
    "waits", ["WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", "WAIT_CLOSE"]
)
def test_ctrl_c_in_another_session_leaves_the_pause(pooler: Pooler, waits: str) -> None:
    """It is about the statement of that session, and SELECT is for users who may only look."""
    pooler.run()
    client, console, other = pooler.client(), pooler.console(), pooler.console()
    client.begin()
    console.run("RECONNECT")
    console.send("PAUSE")
    wait_for_pause(pooler)
    other.send(waits)
    while not other.has_answer:
        other.cancel()
    assert other.answer() == "57014: canceling statement due to user request"
    assert other.state() == "paused"
    client.query("COMMIT")
    assert console.answer() == "PAUSE"
