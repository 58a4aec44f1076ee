"""Fixtures: a pooler with two servers and clients who shuffle them, for stories told through real drivers."""

import contextlib
import itertools
import re
from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.fix_pooler import alive
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.shuffle import Shuffle
from tests.kit.story import DATABASE, PASSWORD, USER, Both, Side

SERVERS = 2


@pytest.fixture(scope="session")
def _riders(cluster: Postgres) -> Iterator[Pooler]:
    """The pooler all stories of a test worker go through; its servers live on from story to story."""
    cluster.ensure_running()
    cluster.sql(f"CREATE DATABASE {DATABASE}")
    cluster.sql(f"GRANT CREATE ON DATABASE {DATABASE} TO {USER}")
    pooler = Pooler(cluster)
    pooler.databases = {DATABASE: {"host": cluster.host, "port": cluster.port}}
    pooler.users = {USER: {"password": PASSWORD}}
    pooler.settings |= {"auth_type": "scram-sha-256", "default_pool_size": SERVERS, "query_wait_timeout": 20}
    # A server that has the client's settings already would be preferred, so that some would never meet another.
    pooler.settings["server_round_robin"] = True
    with alive(pooler):
        yield pooler
        servers = most_servers(pooler.log.read_text())
        pooler.remove()
    assert servers <= SERVERS


@pytest.fixture
def riders(_riders: Pooler, postgres: Postgres) -> Iterator[Pooler]:
    """That pooler, seen to be up."""
    if not _riders.is_running:
        _riders.process = None
        _riders.run()
    _riders.forget_log()  # to look through all of it after each test would take ever longer
    yield _riders
    assert _riders.is_running, f"the pooler ended during the test:\n{_riders.log_tail}"
    _riders.check_log()


@pytest.fixture
def both(riders: Pooler, postgres: Postgres) -> Iterator[Both]:
    """PostgreSQL itself, then howdah before it: ``for side in both:``."""

    @contextlib.contextmanager
    def direct() -> Iterator[Side]:
        empty(postgres)
        yield Side("direct", postgres.host, postgres.port)

    @contextlib.contextmanager
    def pooled() -> Iterator[Side]:
        empty(postgres)
        with Shuffle(lambda settings: shuffler(riders, settings)):
            yield Side("howdah", riders.host, riders.port)

    both = Both(direct, pooled)
    yield both
    both.close()


def shuffler(riders: Pooler, settings: dict[str, str]) -> Client:
    client = Client(riders.address)
    client.log_in(wire.PROTOCOL_3_0, password=PASSWORD, user=USER, database=DATABASE, **settings)
    return client


def empty(postgres: Postgres) -> None:
    """Give the story an empty database."""
    with postgres.connect(dbname=DATABASE) as connection:
        connection.execute("SET lock_timeout = '20s'")
        schemas = "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'"
        for (schema,) in connection.execute(schemas).fetchall():
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute("GRANT ALL ON SCHEMA public TO PUBLIC")


def most_servers(log: str) -> int:
    """The most server connections the pooler has ever had at once, by its own log."""
    changes = re.findall(r'"message": "server (connected|closed)', log)
    return max(itertools.accumulate(1 if change == "connected" else -1 for change in changes), default=0)
