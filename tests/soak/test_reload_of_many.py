"""RELOAD of thousands of databases: how long it takes, and what clients notice of it.

tools/under release python -m pytest -s tests/soak/test_reload_of_many.py --reload-databases=2000 --soak-seconds=60

The numbers are of a quiet machine; smaller configurations and other builds are held to none.
"""

import statistics
import time
from collections.abc import Mapping
from threading import Event

import pytest

from bench.pgbench import Load, Outcome, run
from tests.kit.crowd import Background
from tests.kit.deadline import wait_until
from tests.kit.drop_in import ini
from tests.kit.pooler import Pooler, toml

#: What a reload may take on the release build.
WITHIN_S = 1.0
#: The size this is asked for.
ALL = 2000
#: How much slower the slowest hundredth of transactions may become.
P99_MAY_GROW_BY = 1.1
PAUSE_S = 2.0  # between two reloads
TURNS = 3

Table = Mapping[str, object]


@pytest.fixture
def size(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--reload-databases"))


class Crowded:
    """A pooler whose file holds very many databases, and what pgbench connects to."""

    def __init__(self, pooler: Pooler, kind: str, size: int) -> None:
        self.pooler, self.kind, self.size = pooler, kind, size
        self.file = pooler.folder / ("pgbouncer.ini" if kind == "ini" else "howdah.toml")
        self.round = 0
        self.write()
        pooler.spawn("run", str(self.file), "--json-logs")
        wait_until(lambda: pooler.log_contains("howdah is ready"), "the start", within=60)
        self.console = pooler.connect(host=str(pooler.folder), dbname="pgbouncer", user="pgbouncer").pgconn

    def write(self) -> None:
        """Each time something is different in one database of a hundred."""
        self.round += 1
        upstream = {"host": self.pooler.postgres.host, "port": self.pooler.postgres.port}
        databases: dict[str, Table] = {"bench": {**upstream, "dbname": "app", "user": "alice"}}
        for number in range(self.size):
            changed = {"pool_size": 10 + self.round} if number % 100 == 0 else {"pool_size": 5}
            databases[f"tenant_{number:05}"] = {**upstream, "dbname": "app", **changed}
        settings = {
            key: value for key, value in self.pooler.settings.items() if self.kind == "toml" or key != "workers"
        }
        if self.kind == "toml":
            tables = {f'databases."{name}"': table for name, table in databases.items()}
            self.file.write_text(toml({"howdah": settings, **tables}))  # type: ignore[dict-item]
        else:
            (self.pooler.folder / "users.txt").write_text('"alice" "pw"\n')
            pairs = {
                name: " ".join(f"{key}={value}" for key, value in table.items()) for name, table in databases.items()
            }
            settings["auth_file"] = str(self.pooler.folder / "users.txt")
            self.file.write_text(ini({"databases": pairs, "pgbouncer": settings}))

    def reload(self) -> float:
        """How long the console had to wait for it."""
        self.write()
        began = time.perf_counter()
        answer = self.console.exec_(b"RELOAD")
        taken = time.perf_counter() - began
        assert answer.command_status == b"RELOAD", answer.error_message
        return taken


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ini", "toml"])
def test_a_reload_of_many_databases_is_over_soon(pooler: Pooler, size: int, kind: str) -> None:
    crowded = Crowded(pooler, kind, size)
    taken = [crowded.reload() for _ in range(5)]
    print(f"RELOAD of {size} databases ({kind}): {', '.join(f'{1000 * each:.0f}' for each in taken)} ms")
    assert statistics.median(taken) < WITHIN_S or size < ALL
    shown = {row["name"]: row["pool_size"] for row in pooler.admin("SHOW DATABASES")}
    assert (shown["tenant_00000"], shown["tenant_00001"], len(shown)) == (10 + crowded.round, 5, size + 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["ini", "toml"])
def test_clients_do_not_notice_it(pooler: Pooler, size: int, kind: str, request: pytest.FixtureRequest) -> None:
    """The same load without and with reloads, in turn; the median of how they compare."""
    crowded = Crowded(pooler, kind, size)
    seconds = max(int(request.config.getoption("--soak-seconds") / (2 * TURNS)), 1)
    load = Load("one", "simple", clients=4, text="SELECT 1;\n")
    run(load, pooler.port, 1)
    grown = []
    for _ in range(TURNS):
        alone, among = run(load, pooler.port, seconds), _among_reloads(crowded, load, seconds)
        print(f"{kind}: p99 {alone.p99_us:.0f} us alone, {among.p99_us:.0f} us among reloads")
        assert alone.failed == among.failed == 0
        grown.append(among.p99_us / alone.p99_us)
    assert statistics.median(grown) < P99_MAY_GROW_BY or size < ALL


def _among_reloads(crowded: Crowded, load: Load, seconds: int) -> Outcome:
    over = Event()

    def reload_again_and_again() -> None:
        crowded.reload()
        while not over.wait(PAUSE_S):
            crowded.reload()

    reloads = Background(reload_again_and_again)
    try:
        return run(load, crowded.pooler.port, seconds)
    finally:
        over.set()
        reloads.wait()
