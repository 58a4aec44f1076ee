"""What is done with servers between clients: connect_query, reset queries, taking turns, and closing in time."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


def pid(client: Client) -> str | None:
    return client.query("SELECT pg_backend_pid()").value


# connect_query


def test_connect_query_comes_before_every_client(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"]["connect_query"] = "CREATE TEMP TABLE made_first (n int); SET work_mem = '3MB'"
    pooler.run_with(default_pool_size=3)
    clients = [pooler.client() for _ in range(3)]
    for client in clients:
        client.begin()
    for client in clients:
        assert client.query("SELECT count(*) FROM made_first").value == "0"
        assert client.query("SHOW work_mem").value == "3MB"
    with pooler.client(database="other") as client:
        assert client.query("SELECT count(*) FROM made_first").error.sqlstate == "42P01"


def test_what_connect_query_sets_is_told_to_clients(pooler: Pooler) -> None:
    pooler.databases["app"]["connect_query"] = "SET timezone = 'Asia/Tokyo'"
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        assert client.settings["TimeZone"] == "Asia/Tokyo" == client.query("SHOW timezone").value


QUERIES = {
    "error": "SELECT 1/0",
    "transaction": "BEGIN",
    "failed transaction": "BEGIN; SELECT 1/0",
    "rows": "SELECT repeat('x', 300000) FROM generate_series(1, 3)",
    "long": f"SELECT '{'x' * 10_000}'",
    "notice": "DO $$ BEGIN RAISE NOTICE 'hello'; END $$",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_server_is_used_whatever_connect_query_comes_to(pooler: Pooler, query: str) -> None:
    pooler.databases["app"]["connect_query"] = query
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        replies = client.query("SELECT 'used'")
        assert (replies.value, replies.shape, replies.notices) == ("used", "T D C Z", [])
        assert client.query("SAVEPOINT a").error.sqlstate == "25P01"
    if "1/0" in query:
        (line,) = pooler.wait_for_log("connect_query_failed")
        assert "division by zero" in line["message"]
    else:
        assert not pooler.logged("connect_query_failed")


def test_a_connect_query_that_ends_the_session_is_tried_with_growing_pauses(pooler: Pooler) -> None:
    pooler.databases["app"]["connect_query"] = "SELECT pg_terminate_backend(pg_backend_pid())"
    pooler.run_with(query_wait_timeout=1)
    with pooler.stranger() as client:
        error = client.refusal(user="alice", database="app")
    assert "terminating connection" in error.fields["M"]
    assert 2 <= len(pooler.logged("server_login_failed")) < 8


def test_a_connect_query_that_hangs_is_given_up(pooler: Pooler, postgres: Postgres) -> None:
    pooler.databases["app"]["connect_query"] = "SELECT pg_sleep(60)"
    pooler.run_with(server_connect_timeout=0.4, query_wait_timeout=1.5)
    with pooler.stranger() as client:
        assert client.refusal(user="alice", database="app").sqlstate == "08001"
    assert pooler.logged("server_connect_timeout")
    postgres.wait_for_backends(0)


# reset queries


def test_server_reset_query_runs_between_sessions(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=1)
    with pooler.client() as client:
        client.query("CREATE TEMP TABLE of_one (n int); SET work_mem = '3MB'")
        assert client.query("SHOW work_mem").value == "3MB", "not between its own transactions"
    with pooler.client() as client:
        assert client.query("SELECT count(*) FROM of_one").error.sqlstate == "42P01"
        assert client.query("SHOW work_mem").value != "3MB"


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_server_reset_query_always_is_for_all_modes(
    pooler: Pooler, postgres: Postgres, table: str, mode: str, always: bool
) -> None:
    with postgres.connect(dbname="app", user="alice") as connection:
        connection.execute(f"CREATE TABLE {table} (n int)")
    reset = f"INSERT INTO {table} VALUES (1)"
    pooler.run_with(pool_mode=mode, default_pool_size=1, server_reset_query=reset, server_reset_query_always=always)
    with pooler.client() as client:
        for count in range(3):
            seen = client.query(f"SELECT count(*) FROM {table}").value
            assert seen == str(count if always else 0)


def test_settings_are_a_clients_own_also_with_reset_queries_in_between(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, server_reset_query_always=True)
    with pooler.client(timezone="Asia/Tokyo") as one, pooler.client(timezone="Europe/Paris") as two:
        for _ in range(3):
            assert one.query("SHOW timezone").value == "Asia/Tokyo"
            assert two.query("SHOW timezone").value == "Europe/Paris"


@pytest.mark.parametrize("reset", ["DISCARD ALL", "RESET ALL; DEALLOCATE ALL", "DEALLOCATE PREPARE ALL"])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_named_statements_outlive_reset_queries(pooler: Pooler, mode: str, reset: str) -> None:
    pooler.run_with(pool_mode=mode, default_pool_size=1, server_reset_query=reset, server_reset_query_always=True)
    with pooler.client() as one, pooler.client() as two:
        for client, text in ((one, "of one"), (two, "of two")):
            client.ask(wire.parse(f"SELECT '{text}'", "mine"), wire.sync())
        for _ in range(3):
            for client, text in ((one, "of one"), (two, "of two")):
                assert client.ask(wire.bind(statement="mine"), wire.execute(), wire.sync()).value == text


def test_without_a_reset_query_there_is_none_to_run_always(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, server_reset_query="", server_reset_query_always=True)
    with pooler.client() as client:
        assert len({pid(client) for _ in range(5)}) == 1


# which one is taken


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("in_turn", [False, True])
def test_server_round_robin_takes_the_one_that_was_idle_longest(pooler: Pooler, in_turn: bool, workers: int) -> None:
    pooler.run_with(server_round_robin=in_turn, default_pool_size=4, workers=workers)
    clients = [pooler.client() for _ in range(4)]
    for client in clients:
        client.begin()
    pids = [pid(client) for client in clients]
    for client in clients:
        client.query("COMMIT")
    taken = [pid(clients[0]) for _ in range(8)]
    assert taken == (pids * 2 if in_turn else [taken[0]] * 8)


# server_fast_close


def change_database(pooler: Pooler, **settings: bool) -> None:
    """Servers opened so far are not what the configuration asks for any more."""
    pooler.databases["app"]["application_name"] = "another"
    pooler.reload_with(**settings)


def test_a_session_keeps_its_server_over_a_change_of_the_database(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=2)
    with pooler.client() as client:
        first = pid(client)
        change_database(pooler)
        assert pid(client) == first
        (row,) = [row for row in pooler.admin("SHOW SERVERS") if row["link"]]
        assert row["close_needed"] == 1


def test_server_fast_close_ends_idle_sessions_at_once(pooler: Pooler) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=2, server_fast_close=True)
    with pooler.client() as client:
        client.query("SELECT 1")
        change_database(pooler)
        error = client.read_to_end().error
        assert (error.fields["M"], error.sqlstate) == ("database configuration changed", "57P01")
        with pooler.client() as following:
            assert following.query("SHOW application_name").value == "another"
    pooler.wait_for_log("server_fast_close")


def test_server_fast_close_waits_for_the_end_of_the_transaction(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=2, server_fast_close=True)
    with pooler.client() as idle, pooler.client() as busy, pooler.client() as bystander:
        idle.begin()
        busy.send(wire.query("SELECT pg_sleep(0.8)"))
        postgres.wait_for_backends(1, "state = 'active'")
        change_database(pooler)
        assert idle.query("SELECT 1").value == "1"
        idle.send(wire.query("COMMIT"))
        for client in (idle, busy):
            replies = client.read_to_end()
            assert replies.statuses == "I"
            assert replies.error.fields["M"] == "database configuration changed"
        assert bystander.query("SHOW application_name").value == "another", "had no server yet, and stays"


def test_server_fast_close_leaves_clients_of_shared_servers_alone(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, server_fast_close=True)
    with pooler.client() as client, pooler.client() as inside:
        client.query("SELECT 1")
        inside.begin()
        change_database(pooler)
        wait_until(lambda: client.query("SHOW application_name").value == "another", "a new server")
        assert inside.query("COMMIT").statuses == "I"
        assert inside.query("SHOW application_name").value == "another"


def test_a_smaller_pool_closes_what_it_has_too_much(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=5, server_idle_timeout=0)
    clients = [pooler.client() for _ in range(5)]
    for client in clients:
        client.begin()
    busy = clients.pop()
    for client in clients:
        client.query("COMMIT")
    before = postgres.wait_for_backends(5)
    pooler.reload_with(default_pool_size=2)
    left = postgres.wait_for_backends(2)
    assert left < before
    assert busy.query("COMMIT").errors == []
    assert clients[0].query("SELECT 1").value == "1"
    assert postgres.backends() == left
