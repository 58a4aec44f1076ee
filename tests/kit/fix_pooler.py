"""Fixtures: a pooler of the test's own, the worker's shared one, and "the server" (PostgreSQL or howdah)."""

import contextlib
from collections.abc import Iterator
from typing import Protocol, TypeVar

import pytest

from bench.pgbouncer import installed
from tests.kit.client import Client, close_all
from tests.kit.drop_in import DropIn, PgBouncer
from tests.kit.paranoid import PARANOID
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

Kept = TypeVar("Kept", bound=Pooler)

#: Poolers alive now: their logs are shown when a test fails.
_alive: list[Pooler] = []


class Server(Protocol):
    """What PostgreSQL and the pooler before it have in common: tests run on both, PostgreSQL is the oracle."""

    @property
    def address(self) -> tuple[str, int]: ...
    @property
    def socket_path(self) -> str: ...
    def client(self, user: str = ..., database: str = ..., **parameters: str) -> Client: ...


@contextlib.contextmanager
def alive(pooler: Pooler) -> Iterator[None]:
    """While this lasts, a failing test shows the pooler's log."""
    _alive.append(pooler)
    try:
        yield
    finally:
        _alive.remove(pooler)


def _pooler(postgres: Postgres) -> Iterator[Pooler]:
    yield from _kept(Pooler(postgres))


def _kept(pooler: Kept) -> Iterator[Kept]:
    with alive(pooler):
        yield pooler
        pooler.remove()


@pytest.fixture
def drop_in(postgres: Postgres) -> Iterator[DropIn]:
    """howdah-pgbouncer, to be started by the test."""
    postgres.count_from_now()
    yield from _kept(DropIn(postgres))


@pytest.fixture(params=["howdah", "pgbouncer"])
def either(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[DropIn]:
    """howdah-pgbouncer, then PgBouncer itself: the same test must pass on both."""
    program = installed()
    if request.param == "pgbouncer" and program is None:
        pytest.skip("PgBouncer 1.24 or newer is not installed (`make bench` builds one)")
    yield from _kept(DropIn(postgres) if program is None or request.param == "howdah" else PgBouncer(postgres, program))


@pytest.fixture(autouse=True)
def _no_client_is_left() -> Iterator[None]:
    """A failing test leaves its clients to us, so that the next one does not suffer for it."""
    yield
    close_all()


@pytest.fixture
def pooler(postgres: Postgres) -> Iterator[Pooler]:
    """A pooler of this test's own, to be started by the test: ``pooler.run_with(...)``."""
    postgres.count_from_now()
    yield from _pooler(postgres)


@pytest.fixture(scope="session")
def _shared_pooler(cluster: Postgres) -> Iterator[Pooler]:
    yield from _pooler(cluster)


@pytest.fixture
def howdah(_shared_pooler: Pooler, postgres: Postgres) -> Iterator[Pooler]:
    """The worker's shared pooler with default settings, running and idle; for tests that change nothing in it."""
    if not _shared_pooler.is_running:
        _shared_pooler.process = None
        _shared_pooler.run()
    _shared_pooler.forget_log()
    pid = _shared_pooler.pid
    yield _shared_pooler
    _shared_pooler.close_sessions()
    assert _shared_pooler.is_running, f"the pooler (pid {pid}) ended during the test:\n{_shared_pooler.log_tail}"
    _shared_pooler.check_log()


@pytest.fixture(params=["direct", "howdah"])
def server(request: pytest.FixtureRequest) -> Server:
    """PostgreSQL itself, then howdah before it: the same test must pass on both."""
    fixture: Server = request.getfixturevalue("postgres" if request.param == "direct" else "howdah")
    return fixture


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of all poolers alive when a test fails."""
    report: pytest.TestReport = yield  # type: ignore[misc,assignment,unused-ignore]
    if report.failed:
        report.sections.extend((f"log of the pooler on port {pooler.port}", pooler.log_tail) for pooler in _alive)
    return report  # type: ignore[return-value,unused-ignore]


@pytest.fixture
def paranoid(pooler: Pooler) -> None:
    """Every server that comes out of the pool is asked whether it still holds something of a client's."""
    pooler.settings |= PARANOID
