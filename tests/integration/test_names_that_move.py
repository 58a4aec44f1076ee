"""A host name that comes to stand for other addresses: servers at the old ones go, all others stay."""

import socket
from collections.abc import Iterator

import pytest

from howdah.control.auth.access import read_access
from howdah.control.config import Config, DatabaseSettings, GlobalSettings
from howdah.control.input_files import InputFiles
from howdah.control.intake import Intake
from howdah.control.plan import Resolved, build_plan
from howdah.control.tls_files import TlsPlans
from howdah.dataplane.engine import Engine
from howdah.dataplane.plan import Plan, TlsPlan
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.postgres import Postgres

NOBODY_THERE = "127.0.0.2"


class Moving:
    """An engine whose database is at a name; `stand_for` says what that means."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.engine = Engine([[self.listening.fileno()]])
        self.version = 0

    def plan(self, *addresses: str) -> Plan:
        self.version += 1
        database = DatabaseSettings(host=("db.test",), port=self.postgres.port)
        config = Config(settings=GlobalSettings(auth_type="trust"), databases={"app": database})
        intake = Intake(read_access(config, InputFiles()), TlsPlans(TlsPlan(), TlsPlan()))
        return build_plan(config, intake, {"db.test": Resolved(addresses)}, self.version)

    def stand_for(self, *addresses: str) -> None:
        self.engine.publish(self.plan(*addresses))

    def client(self) -> Client:
        client = Client(self.listening.getsockname())
        client.log_in(user="alice", database="app")
        return client

    def is_there(self, backend: str) -> bool:
        return int(backend) in self.postgres.backends()


@pytest.fixture
def moving(postgres: Postgres) -> Iterator[Moving]:
    moving = Moving(postgres)
    moving.engine.start(moving.plan(postgres.host))
    yield moving
    moving.engine.stop()
    moving.listening.close()


def backend(client: Client) -> str:
    return str(client.query("SELECT pg_backend_pid()").value)


def test_servers_at_an_address_that_stays_are_kept(moving: Moving, postgres: Postgres) -> None:
    with moving.client() as client:
        before = backend(client)
        moving.stand_for(NOBODY_THERE, postgres.host)
        assert backend(client) == before
        moving.stand_for(postgres.host)
        assert backend(client) == before


def test_an_idle_server_at_an_address_that_is_gone_is_closed(moving: Moving, postgres: Postgres) -> None:
    with moving.client() as client:
        before = backend(client)
        moving.stand_for(NOBODY_THERE)
        wait_until(lambda: not moving.is_there(before), "the server to be closed")
        moving.stand_for(postgres.host)
        assert backend(client) != before


def test_a_server_in_use_is_closed_when_it_is_released(moving: Moving) -> None:
    with moving.client() as client:
        client.query("BEGIN")
        before = backend(client)
        moving.stand_for(NOBODY_THERE)
        assert backend(client) == before
        client.query("COMMIT")
        wait_until(lambda: not moving.is_there(before), "the server to be closed")
