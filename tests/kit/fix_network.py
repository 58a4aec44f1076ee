"""Fixtures: a network that can fail, between the pooler and PostgreSQL, and a name server."""

from collections.abc import Iterator

import pytest

from tests.kit.name_server import NameServer
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.proxy import Network


@pytest.fixture
def network(postgres: Postgres) -> Iterator[Network]:
    """A proxy before PostgreSQL."""
    with Network(postgres.address) as network:
        yield network


@pytest.fixture
def pooler_behind(pooler: Pooler, network: Network) -> Pooler:
    """The test's own pooler, reaching PostgreSQL through `network`; not started yet."""
    for database in pooler.databases.values():
        database.update(host=network.host, port=network.port)
    return pooler


@pytest.fixture
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.close()
