"""Fixtures: the databases, the pooler with two servers, and the stage on which cases are played."""

from collections.abc import Iterator

import pytest

from tests.fidelity import database
from tests.fidelity.neighbours import SERVERS
from tests.fidelity.stage import POOL, Stage
from tests.kit.fix_pooler import alive
from tests.kit.paranoid import PARANOID
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres


@pytest.fixture(scope="session")
def _fidelity_pooler(cluster: Postgres) -> Iterator[Pooler]:
    cluster.ensure_running()
    database.make(cluster)
    pooler = Pooler(cluster)
    pooler.databases = {POOL: {"host": cluster.host, "port": cluster.port, "dbname": database.THROUGH}}
    quiet = {"log_connections": False, "log_disconnections": False, "query_wait_notify": 0}
    pooler.settings |= {**quiet, "server_login_retry": "0.1s", "query_wait_timeout": 3}
    pooler.settings |= PARANOID
    yield pooler
    pooler.remove()
    database.drop(cluster)


@pytest.fixture
def stage(_fidelity_pooler: Pooler, postgres: Postgres) -> Iterator[Stage]:
    """Both databases; the pooler is seen to be up before and after."""
    if not _fidelity_pooler.is_running:
        _fidelity_pooler.process = None
        _fidelity_pooler.run_with(default_pool_size=SERVERS, session_sequences="pin")
    _fidelity_pooler.forget_log()
    with alive(_fidelity_pooler), Stage(postgres, _fidelity_pooler) as stage:
        yield stage
    assert _fidelity_pooler.is_running, f"the pooler ended during the test:\n{_fidelity_pooler.log_tail}"
    _fidelity_pooler.check_log()
