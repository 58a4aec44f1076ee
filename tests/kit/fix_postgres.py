"""Fixtures: PostgreSQL, one cluster for each test worker."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.deadline import wait_until
from tests.kit.postgres import Postgres, embedded_binaries


def _with_tls() -> Path:
    """The newest of Debian's; from other builds only one linked with OpenSSL will do."""
    for binaries in sorted(Path("/usr/lib/postgresql").glob("[1-9][0-9]/bin"), reverse=True):
        linked = subprocess.run(["ldd", binaries / "postgres"], capture_output=True, text=True, check=False)
        if "libssl" in linked.stdout:
            return binaries
    return Path("/usr/lib/postgresql/15/bin")


#: Debian's PostgreSQL, of whatever version it has; the embedded one has no TLS.
DEBIAN = _with_tls()


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
    """Debian's PostgreSQL (15 in Debian 12), where it is installed."""
    if not DEBIAN.exists():
        pytest.skip(f"{DEBIAN} is not installed")
    postgres = Postgres(DEBIAN)
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


@pytest.fixture
def slot(postgres: Postgres) -> Iterator[str]:
    """A name no other test uses, for a replication slot; dropped at the end."""
    name = f"s_{uuid.uuid4().hex[:12]}"
    yield name
    postgres.ensure_running()
    which = f"FROM pg_replication_slots WHERE slot_name = '{name}'"
    wait_until(lambda: not postgres.sql(f"SELECT 1 {which} AND active"), "the slot to be let go of")
    postgres.sql(f"SELECT pg_drop_replication_slot(slot_name) {which}")
