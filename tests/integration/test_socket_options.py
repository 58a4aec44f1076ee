"""What the kernel is told about TCP connections, on both sides: the engine runs in this process, so it can be asked."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from howdah.control.auth.access import read_access
from howdah.control.config import Config, DatabaseSettings, GlobalSettings
from howdah.control.input_files import InputFiles
from howdah.control.intake import Intake
from howdah.control.plan import build_plan
from howdah.control.tls_files import TlsPlans
from howdah.dataplane.engine import Engine
from howdah.dataplane.plan import Plan, TlsPlan
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.postgres import Postgres

Address = tuple[str, int]
TCP = socket.IPPROTO_TCP


def _sockets() -> Iterator[socket.socket]:
    """Each TCP connection of this process, by another descriptor."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # not there any more
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                with socket.socket(fileno=os.dup(int(entry.name))) as found:
                    if (found.family, found.type) == (socket.AF_INET, socket.SOCK_STREAM):
                        yield found


def _option(own: Address, peer: Address, level: int, option: int) -> int:
    """Of the end whose own address and peer these are."""
    for found in _sockets():
        try:
            ends = found.getsockname(), found.getpeername()
        except OSError:  # one that listens
            continue
        if ends == (own, peer):
            return found.getsockopt(level, option)
    raise AssertionError(f"no connection from {own} to {peer}")


class Here:
    """An engine in this process, and connections through it to PostgreSQL."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._engine = Engine([[self._listening.fileno()]])
        self._version = 0

    def start(self, **settings: object) -> None:
        self._engine.start(self._plan(settings))

    def change(self, **settings: object) -> None:
        self._engine.publish(self._plan(settings))

    def close(self) -> None:
        self._engine.stop()
        self._listening.close()

    def both_ends(self, level: int, option: int) -> tuple[int, int]:
        """The option as it is towards a client that comes now, and towards PostgreSQL."""
        with Client(self._listening.getsockname()) as client:
            client.log_in(user="alice", database="app")
            port = int(client.query("SELECT inet_client_port()").value or 0)
            towards_client = _option(self._listening.getsockname(), client.socket.getsockname(), level, option)
            return towards_client, _option((self._postgres.host, port), self._postgres.address, level, option)

    def _plan(self, settings: dict[str, object]) -> Plan:
        self._version += 1
        database = DatabaseSettings(host=(self._postgres.host,), port=self._postgres.port)
        general = GlobalSettings.model_validate({"auth_type": "trust", **settings})
        config = Config(settings=general, databases={"app": database})
        intake = Intake(read_access(config, InputFiles()), TlsPlans(TlsPlan(), TlsPlan()))
        return build_plan(config, intake, {}, self._version)


@pytest.fixture
def here(postgres: Postgres) -> Iterator[Here]:
    here = Here(postgres)
    yield here
    here.close()


OPTIONS = [
    ("tcp_keepalive", True, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ("tcp_keepalive", False, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
    ("tcp_keepidle", 77, TCP, socket.TCP_KEEPIDLE, 77),
    ("tcp_keepintvl", 33, TCP, socket.TCP_KEEPINTVL, 33),
    ("tcp_keepcnt", 4, TCP, socket.TCP_KEEPCNT, 4),
    ("tcp_user_timeout", "12345ms", TCP, socket.TCP_USER_TIMEOUT, 12345),
]


@pytest.mark.parametrize("name, value, level, option, expected", OPTIONS)
def test_both_ends_are_told(here: Here, name: str, value: object, level: int, option: int, expected: int) -> None:
    """A client's, too, that comes before the worker has been at its listening socket."""
    here.start(**{name: value})
    assert here.both_ends(level, option) == (expected, expected)


@pytest.mark.parametrize("name, value, level, option, expected", OPTIONS[1:])
def test_what_is_not_set_any_more_is_as_before(
    here: Here, name: str, value: object, level: int, option: int, expected: int
) -> None:
    here.start()
    (before, _) = here.both_ends(level, option)
    here.change(**{name: value})
    wait_until(lambda: here.both_ends(level, option)[0] == expected, "the option to be set")
    here.change()
    wait_until(lambda: here.both_ends(level, option)[0] == before, "the option to be as before")
