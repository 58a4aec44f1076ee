"""Fixtures: the two universes and the referee between them."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.kit.fix_pooler import alive
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.model.universe import DIRECT, THROUGH, Referee, Universe


@pytest.fixture(scope="module")
def databases(cluster: Postgres) -> Iterator[Postgres]:
    cluster.ensure_running()
    for database in (DIRECT, THROUGH):
        cluster.sql(f"CREATE DATABASE {database} OWNER alice")
        cluster.sql(f"ALTER DATABASE {database} SET lock_timeout = '10s'")  # a wait for a lock is a fault of the model
    yield cluster
    for database in (DIRECT, THROUGH):
        cluster.sql(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture(scope="module")
def _small_pooler(databases: Postgres) -> Iterator[Pooler]:
    pooler = Pooler(databases)
    pooler.databases = {"model": {**pooler.databases["app"], "dbname": THROUGH}}
    quiet = {"log_connections": False, "log_disconnections": False, "query_wait_notify": 0}
    pooler.settings |= {**quiet, "server_login_retry": "0.1s"}
    pooler.run_with(default_pool_size=2, workers=2)
    yield pooler
    pooler.remove()


@pytest.fixture
def small_pooler(_small_pooler: Pooler) -> Iterator[Pooler]:
    """Two servers at most, two workers."""
    with alive(_small_pooler):
        yield _small_pooler
    assert _small_pooler.is_running, f"the pooler ended during the test:\n{_small_pooler.log_tail}"


@pytest.fixture
def direct(databases: Postgres) -> Universe:
    return Universe(databases, DIRECT, partial(databases.client, database=DIRECT))


@pytest.fixture
def referee(databases: Postgres, direct: Universe, small_pooler: Pooler) -> Iterator[Referee]:
    """PostgreSQL against howdah."""

    def is_bare() -> bool:
        return not any(int(value) for name, value in small_pooler.pool("model").items() if name.startswith("sv_"))

    through = Universe(databases, THROUGH, partial(small_pooler.client, database="model"), is_bare)
    referee = Referee(direct, through)
    yield referee
    referee.close()
