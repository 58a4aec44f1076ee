"""Fixtures: PostgreSQL, one cluster for each test worker."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.postgres import Postgres, embedded_binaries

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Postgres]:
    """The worker's cluster.  Tests ask for `postgres`, which is the same one seen to be up."""
    binaries = pytestconfig.getoption("postgres_binaries") or embedded_binaries()
    postgres = Postgres(Path(binaries))
    try:
        yield postgres.create()
    finally:
        postgres.remove()


@pytest.fixture
def postgres(cluster: Postgres) -> Iterator[Postgres]:
    """A running PostgreSQL.  A test may stop, kill or restart it."""
    cluster.ensure_running()
    cluster.not_ours = set()
    yield cluster
    cluster.ensure_running()


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[Postgres]:
    """Debian's PostgreSQL 15, where it is installed."""
    if not DEBIAN_15.exists():
        pytest.skip(f"{DEBIAN_15} is not installed")
    postgres = Postgres(DEBIAN_15)
    try:
        yield postgres.create()
    finally:
        postgres.remove()


@pytest.fixture
def table(postgres: Postgres) -> Iterator[str]:
    """A name no other test uses, for a table in database app; dropped at the end."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    with postgres.connect(dbname="app") as connection:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
