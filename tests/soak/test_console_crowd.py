"""The console before a crowd: SHOW and SELECT over thousands of clients, while these go on working.

tools/under release python -m pytest -s tests/soak/test_console_crowd.py --console-clients=10000
"""

import resource
import statistics
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.kit import wire
from tests.kit.crowd import Background
from tests.kit.pooler import Pooler

#: What an answer about 10,000 clients may take on the release build; smaller crowds and other builds get no less.
WITHIN_S = 0.2
FULL_CROWD = 10_000


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def size(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--console-clients"))


def _timed(work: Callable[[], int]) -> tuple[int, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


@pytest.mark.slow
def test_a_crowd_is_shown_soon_and_whole(pooler: Pooler, many_files: None, size: int) -> None:
    pooler.run_with(max_client_conn=size + 50, log_connections=False, log_disconnections=False, listen_backlog=20_000)
    clients = [pooler.client() for _ in range(size)]
    console = pooler.connect(dbname="pgbouncer", user="boss").pgconn
    asked = {
        "SHOW CLIENTS": size + 1,
        "SHOW SOCKETS": size + 1,
        "SELECT * FROM clients WHERE database = 'app' ORDER BY connect_time": size,
        "SELECT id FROM clients WHERE state = 'idle' AND database = 'app'": size,
        "SELECT state, count(*) FROM clients GROUP BY state": 2,
        "SHOW DATABASES": 3,
        "SHOW POOLS": 2,
        "SHOW LISTS": 14,
    }
    process = psutil.Process(pooler.pid)
    for sql, least in asked.items():
        before = sum(process.cpu_times()[:2])
        found = [_timed(lambda sql=sql: console.exec_(sql.encode()).ntuples) for _ in range(5)]  # type: ignore[misc]
        seconds = statistics.median(seconds for _, seconds in found)
        cpu = (sum(process.cpu_times()[:2]) - before) / len(found)
        print(f"{sql}: {1000 * seconds:.0f} ms, of which {1000 * cpu:.0f} ms of the pooler's CPU")
        assert all(count >= least for count, _ in found)
        assert seconds < WITHIN_S or size < FULL_CROWD
    for client in clients:
        client.vanish()


def test_who_comes_and_goes_while_all_are_looked_at_disturbs_nothing(pooler: Pooler) -> None:
    """A worker looks at some of its clients in one turn, at the next ones in another."""
    pooler.run_with(workers=2, max_client_conn=2000, log_connections=False, log_disconnections=False)
    staying = [pooler.client() for _ in range(600)]
    ids = {row["id"] for row in pooler.admin("SHOW CLIENTS") if row["database"] == "app"}
    assert len(ids) == len(staying)

    def come_and_go() -> None:
        for number in range(150):
            passing = [pooler.client() for _ in range(5)]
            assert passing[0].query("SELECT 1").value == "1"
            for client in passing:
                client.send(wire.terminate()) if number % 2 else client.vanish()

    passers = Background(come_and_go)
    looks = 0
    while not passers.is_done or looks < 10:
        rows = [row["id"] for row in pooler.admin("SHOW CLIENTS")]
        assert ids <= set(rows)
        assert len(rows) == len(set(rows))
        looks += 1
    passers.wait()
