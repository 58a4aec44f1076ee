"""An operator's day in front of 200 clients that work all the time: not one of them sees an error."""

import random
import threading
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.console import Console
from tests.kit.crowd import Crowd
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network

CLIENTS = 200


class Load:
    """Clients that query, run transactions and log in anew until told to stop."""

    def __init__(self, pooler: Pooler) -> None:
        self._pooler = pooler
        self._over = threading.Event()
        self.answers = 0
        self._crowd = Crowd(CLIENTS, self._work)

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        client = self._pooler.client()
        while not self._over.is_set():
            what = chance.random()
            if what < 0.02:
                client.close()
                client = self._pooler.client()
            elif what < 0.3:
                self._transaction(client, number)
            else:
                assert self._rows(client, f"SELECT {number}") == [(str(number),)]
            self.answers += 1
        client.close()

    def _transaction(self, client: Client, number: int) -> None:
        self._rows(client, "BEGIN")
        assert self._rows(client, f"SELECT {number} + 1") == [(str(number + 1),)]
        assert self._rows(client, "SELECT pg_sleep(0.005), 'slept'") == [("", "slept")]
        self._rows(client, "COMMIT")

    @staticmethod
    def _rows(client: Client, query: str) -> list[tuple[str | None, ...]]:
        replies = client.ask(wire.query(query), within=60)
        assert not replies.errors, f"{query} ended with {replies.error!r}"
        return replies.rows

    def goes_on(self) -> None:
        """It has done a good deal more than before, or has told why not."""
        before = self.answers
        wait_until(lambda: self.answers > before + CLIENTS or self._crowd.errors, "the clients to go on", within=60)
        assert not self._crowd.errors, f"a client saw {next(iter(self._crowd.errors.values()))!r}"

    def end(self) -> None:
        self._over.set()
        self._crowd.wait(within=120)


Day = tuple[Load, Console]


@pytest.fixture
def day(pooler_behind: Pooler) -> Iterator[Day]:
    pooler_behind.run_with(workers=4, default_pool_size=10, query_wait_timeout="60s", max_client_conn=1000)
    console = pooler_behind.console()
    load = Load(pooler_behind)
    load.goes_on()
    yield load, console
    load.goes_on()
    load.end()


def test_pause_and_resume(day: Day) -> None:
    load, console = day
    for command in ("PAUSE", "PAUSE app") * 3:
        assert console.run(command) == "PAUSE"
        assert console.run(command.replace("PAUSE", "RESUME")) == "RESUME"
        load.goes_on()


def test_postgresql_is_restarted_while_it_is_paused(day: Day, postgres: Postgres) -> None:
    load, console = day
    assert console.run("PAUSE") == "PAUSE"
    postgres.restart()
    postgres.wait_until_up()
    assert console.run("RESUME") == "RESUME"
    load.goes_on()


def test_a_server_is_changed_for_another(day: Day, pooler: Pooler, network: Network) -> None:
    load, console = day
    assert network.connections
    for database in pooler.databases.values():
        database.update(host=pooler.postgres.host, port=pooler.postgres.port)
    pooler.reload_with()
    assert console.run("WAIT_CLOSE") == "WAIT_CLOSE"
    wait_until(lambda: network.connections == 0, "the old way to be unused")
    load.goes_on()


def test_servers_are_opened_anew(day: Day) -> None:
    load, console = day
    for command in ("RECONNECT", "RECONNECT app") * 3:
        assert console.run(command) == "RECONNECT"
        assert console.run(command.replace("RECONNECT", "WAIT_CLOSE")) == "WAIT_CLOSE"
        load.goes_on()


def test_pools_change_their_size(day: Day, pooler: Pooler) -> None:
    load, _ = day
    for size in (3, 30, 1, 10):
        pooler.reload_with(default_pool_size=size)
        load.goes_on()


def test_suspend_and_resume(day: Day) -> None:
    load, console = day
    for _ in range(5):
        assert console.run("SUSPEND") == "SUSPEND"
        assert console.run("RESUME") == "RESUME"
        load.goes_on()
