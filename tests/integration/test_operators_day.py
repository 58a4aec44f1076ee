"""An operator's day in front of 200 clients that work all the time: not one of them sees an error."""

import random
import signal
import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.certs import Certificates
from tests.kit.client import Client
from tests.kit.console import Console
from tests.kit.crowd import Crowd
from tests.kit.deadline import wait_until
from tests.kit.drop_in import DropIn
from tests.kit.fix_pooler import alive
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network
from tests.kit.tls_client import TlsClient

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


def test_new_processes_take_over(day: Day, pooler_behind: Pooler) -> None:
    load, _ = day
    for workers in (2, 3, 4):
        pooler_behind.settings["workers"] = workers
        before = pooler_behind.take_over()
        assert before.wait(60) == 0
        load.goes_on()


def test_the_certificate_is_changed(day: Day, pooler_behind: Pooler, certificates: Certificates) -> None:
    load, _ = day
    for pair in (certificates.server, certificates.server_rsa, certificates.server):
        pooler_behind.reload_with(
            client_tls_sslmode="allow", client_tls_cert_file=str(pair.certificate), client_tls_key_file=str(pair.key)
        )
        with TlsClient(pooler_behind.address) as client:
            client.start_tls()
            assert client.server_certificate == ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
        load.goes_on()


def test_the_log_is_rotated(day: Day, pooler_behind: Pooler) -> None:
    load, _ = day
    log = pooler_behind.folder / "rotated.log"
    pooler_behind.reload_with(logfile=str(log))
    for number in range(3):
        log.rename(pooler_behind.folder / f"rotated.log.{number}")
        pooler_behind.signal(signal.SIGHUP)
        wait_until(log.exists, "the log to be opened anew")
        load.goes_on()


def test_a_rolling_restart(drop_in: DropIn) -> None:
    drop_in.run_with(so_reuseport=True, default_pool_size=10, max_client_conn=1000)
    beside = DropIn(drop_in.postgres)
    beside.port = drop_in.port
    load = Load(drop_in)
    load.goes_on()
    with alive(beside):
        beside.run_with(listen_port=drop_in.port, so_reuseport=True, default_pool_size=10, max_client_conn=1000)
        drop_in.signal(signal.SIGTERM)
        assert drop_in.wait_for_exit(within=60) == 0  # its clients log in anew from time to time
        load.goes_on()
        load.end()
        beside.remove()
