"""Servers that were idle: a client never gets a dead one, and learns nothing of it."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network

#: A table on which the check leaves a trace.
COUNTED = "INSERT INTO {table} VALUES (pg_backend_pid())"


@pytest.fixture
def trace(postgres: Postgres, table: str) -> str:
    with postgres.connect(dbname="app", user="alice") as connection:
        connection.execute(f"CREATE TABLE {table} (pid int)")
    return table


def checks(postgres: Postgres, trace: str) -> int:
    with postgres.connect(dbname="app") as connection:
        row = connection.execute(f"SELECT count(*) FROM {trace}".encode()).fetchone()
    assert row
    return int(row[0])


def pid(client: Client, within: float = 20) -> str | None:
    return client.query("SELECT pg_backend_pid()", within=within).value


def is_used(pooler: Pooler, servers: int = 1) -> None:
    """Wait until that many servers have been idle for longer than the delay."""
    pooler.wait_for_pool(sv_used=servers, sv_idle=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_server_is_checked_when_it_was_idle_for_long(
    pooler: Pooler, postgres: Postgres, trace: str, workers: int
) -> None:
    check = COUNTED.format(table=trace)
    pooler.run_with(server_check_query=check, server_check_delay=0.4, default_pool_size=1, workers=workers)
    with pooler.client() as client:
        first = pid(client)
        assert pid(client) == first
        assert checks(postgres, trace) == 0
        is_used(pooler)
        assert pooler.admin("SHOW SERVERS")[0]["state"] == "used"
        assert pid(client) == first
        assert pid(client) == first
        assert checks(postgres, trace) == 1


def test_without_a_delay_each_is_checked(pooler: Pooler, postgres: Postgres, trace: str) -> None:
    pooler.run_with(server_check_query=COUNTED.format(table=trace), server_check_delay=0, default_pool_size=1)
    with pooler.client() as client:
        assert len({pid(client) for _ in range(5)}) == 1
        assert checks(postgres, trace) == 5


@pytest.mark.parametrize("check", ["", "<empty>"], ids=["none", "empty"])
def test_a_check_may_be_empty_or_none(pooler: Pooler, check: str) -> None:
    pooler.run_with(server_check_query=check, server_check_delay=0.2, default_pool_size=1)
    with pooler.client() as client:
        first = pid(client)
        if check:
            is_used(pooler)
        assert pid(client) == first


def test_a_long_check_query_is_sent_whole(pooler: Pooler) -> None:
    pooler.run_with(server_check_query=f"SELECT '{'x' * 10_000}'", server_check_delay=0, default_pool_size=1)
    with pooler.client() as client:
        assert len({pid(client) for _ in range(3)}) == 1


def test_a_check_that_fails_costs_the_server_alone(pooler: Pooler) -> None:
    pooler.run_with(server_check_query="SELECT 1/0", server_check_delay=0.2, default_pool_size=1)
    with pooler.client() as client:
        first = pid(client)
        is_used(pooler)
        assert pid(client) != first
    pooler.wait_for_log("server_check_failed")


def test_a_check_that_leaves_a_transaction_open_is_rolled_back(pooler: Pooler) -> None:
    pooler.run_with(server_check_query="BEGIN", server_check_delay=0, default_pool_size=1)
    with pooler.client() as client:
        first = pid(client)
        assert pid(client) == first
        assert client.query("SAVEPOINT a").error.sqlstate == "25P01"


def test_a_server_that_hangs_is_passed_over(pooler: Pooler, postgres: Postgres) -> None:
    """There is room for another one."""
    pooler.run_with(server_check_delay=0.2, default_pool_size=2)
    with pooler.client() as client:
        first = int(pid(client) or "")
        is_used(pooler)
        postgres.freeze(first)
        try:
            assert pid(client, within=4) != str(first)
            pooler.wait_for_log("server_check_failed")
        finally:
            postgres.thaw(first)


def test_all_of_a_full_pool_may_have_died_silently(pooler_behind: Pooler, network: Network) -> None:
    """Nobody waits for one check after the other."""
    pooler_behind.run_with(server_check_delay=0.5, default_pool_size=4)
    clients = [pooler_behind.client() for _ in range(4)]
    for client in clients:
        client.begin()
    for client in clients:
        client.query("COMMIT")
    is_used(pooler_behind, 4)
    network.blackhole()
    clients[0].send(wire.query("SELECT 'at last'"))
    pooler_behind.wait_for_pool(sv_tested=4)
    network.heal()
    network.cut()
    assert clients[0].read_until("Z", within=15).value == "at last"
    assert all(not client.query("SELECT 1").errors for client in clients)


def test_clients_that_come_together_are_not_served_one_by_one(pooler: Pooler) -> None:
    """Each has a server checked for it, although all of them wait."""
    pooler.run_with(server_check_delay=0.3, default_pool_size=4, workers=2)
    clients = [pooler.client() for _ in range(4)]
    for _ in range(2):
        for client in clients:
            client.send(wire.query("SELECT pg_sleep(0.3)"))
        pooler.wait_for_pool(sv_active=4)
        for client in clients:
            assert not client.read_until("Z").errors
        is_used(pooler, 4)


@pytest.mark.parametrize("workers", [1, 4])
def test_checks_all_the_time_mix_nothing_up(pooler: Pooler, workers: int) -> None:
    pooler.run_with(server_check_delay=0, server_check_query="SELECT 'check'", default_pool_size=3, workers=workers)

    def work(number: int) -> set[str | None]:
        with pooler.client() as client:
            return {client.query(f"SELECT '{number}'").value for _ in range(60)}

    assert crowd(9, work) == {number: {str(number)} for number in range(9)}
    pooler.wait_until_idle()


@pytest.mark.parametrize("workers", [1, 3])
def test_one_that_died_a_moment_ago_costs_no_error(pooler: Pooler, postgres: Postgres, workers: int) -> None:
    """Its end and the client's query come together; the check is far off."""
    pooler.run_with(workers=workers, default_pool_size=1)
    with pooler.client() as client:
        for _ in range(15):
            postgres.terminate(int(pid(client) or ""))
            wait_until(lambda: not postgres.backends(), "the server to be gone")
            assert not client.query("SELECT 1").errors


def test_one_that_died_a_moment_ago_costs_no_login(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        for style in ("German", "SQL", "ISO", "Postgres"):
            postgres.terminate(int(pid(client) or ""))
            wait_until(lambda: not postgres.backends(), "the server to be gone")
            with pooler.client(datestyle=style) as other:
                assert other.query("SHOW datestyle").value.startswith(style)  # type: ignore[union-attr]
