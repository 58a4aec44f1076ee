"""howdah under systemd: what it tells the manager, and sockets that the manager hands over."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.client import Client
from tests.kit.crowd import Background
from tests.kit.fix_pooler import alive
from tests.kit.pooler import Pooler, environment, toml
from tests.kit.postgres import Postgres

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"

#: What systemd does between fork and exec: its sockets from number 3 on, and the number of the process.
_LAUNCH = """
import fcntl, os, sys
given = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",") if fd]
for at, fd in enumerate(given):
    os.dup2(fd, 3 + at)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
os.execv(sys.executable, [sys.executable, "-m", "howdah", *sys.argv[2:]])
"""


class Managed(Pooler):
    """A pooler that systemd starts."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres)
        self.sockets: list[socket.socket] = []
        self.heard: dict[str, str] = {}
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.folder / "notify"))
        self.manager.settimeout(30)

    def start(self, *options: str) -> None:
        self.config.write_text(toml(self._tables()))
        fds = [sock.fileno() for sock in self.sockets]
        more = {"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "400000"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, ",".join(map(str, fds)), "run", self.config, "--json-logs", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=environment(**more),
                pass_fds=fds, start_new_session=True,
            )  # fmt: skip

    def hears(self, name: str) -> dict[str, str]:
        """The next notice that is about `name`."""
        while True:
            notice = dict(line.split("=", 1) for line in self.manager.recv(4096).decode().splitlines())
            self.heard |= notice
            if name in notice:
                return notice


@pytest.fixture
def managed(postgres: Postgres) -> Iterator[Managed]:
    pooler = Managed(postgres)
    with alive(pooler), pooler.manager:
        yield pooler
        pooler.remove()
        for sock in pooler.sockets:
            sock.close()


def test_the_manager_hears_of_start_reload_and_stop(managed: Managed) -> None:
    managed.run()
    assert managed.hears("READY")["MAINPID"] == str(managed.pid)
    managed.signal(signal.SIGHUP)
    assert int(managed.hears("RELOADING")["MONOTONIC_USEC"]) > 0
    managed.hears("READY")
    managed.hears("WATCHDOG")
    managed.signal(signal.SIGTERM)
    managed.hears("STOPPING")


def test_a_reload_that_fails_is_over_too(managed: Managed) -> None:
    managed.run()
    managed.hears("READY")
    managed.config.write_text("what is this")
    managed.signal(signal.SIGHUP)
    managed.hears("RELOADING")
    managed.hears("READY")
    assert managed.log_contains("not reloaded")


def test_clients_come_in_by_sockets_that_were_handed_over(managed: Managed) -> None:
    path = str(managed.folder / "handed")
    tcp, unix = socket.create_server((managed.host, managed.port)), socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    managed.sockets = [tcp, unix]
    managed.start()
    managed.hears("READY")
    for address in (managed.address, path):
        with Client(address) as client:
            client.log_in(user="alice", database="app")
            assert client.query("SELECT 1").value == "1"
    assert not list(managed.folder.glob(".s.PGSQL*"))  # its own would be a second set


def test_clients_that_come_during_a_restart_wait_for_the_next_process(managed: Managed) -> None:
    managed.sockets = [socket.create_server((managed.host, managed.port))]
    managed.start()
    managed.hears("READY")
    managed.signal(signal.SIGTERM)
    assert managed.wait_for_exit() == 0
    with Client(managed.address) as client:
        managed.start()
        client.log_in(user="alice", database="app")
        assert client.query("SELECT 1").value == "1"


def test_a_process_that_takes_over_is_the_managers_main_one(managed: Managed) -> None:
    managed.sockets = [socket.create_server((managed.host, managed.port))]
    managed.start()
    managed.hears("READY")
    with Client(managed.address) as client:
        client.log_in(user="alice", database="app")
        for sock in managed.sockets:
            sock.close()
        managed.sockets = []  # the process before has them, and gives them to the next
        taking = Background(managed.take_over)
        main = managed.hears("MAINPID")["MAINPID"]
        assert taking.result().wait(20) == 0
        assert main == str(managed.pid)
        assert client.query("SELECT 1").value == "1"
    managed.hears("WATCHDOG")
    assert "STOPPING" not in managed.heard
    with Client(managed.address) as newcomer:
        newcomer.log_in(user="alice", database="app")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_our_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        # The programs may not be installed where the units look for them.
        (tmp_path / unit.name).write_text(re.sub(r"/usr/bin/howdah[-a-z]*", "/bin/true", unit.read_text()))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["howdah.service", "howdah.socket", "pgbouncer.service"]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
