"""What systemd is told, and the sockets it hands over."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from howdah.control.process.systemd import Notifier, handed_sockets


class Manager:
    """systemd's end."""

    def __init__(self, name: str) -> None:
        self.environ = {"NOTIFY_SOCKET": name.replace("\0", "@")}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(name)

    def hears(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"\0howdah-test-{os.getpid()}"
    manager = Manager(name)
    yield manager
    manager.socket.close()


def test_it_is_told_of_start_reload_and_stop(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready()
    assert manager.hears() == {"READY": "1", "MAINPID": str(os.getpid())}
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    told = manager.hears()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    notifier.stopping()
    assert manager.hears() == {"STOPPING": "1"}


def test_the_watchdog_hears_of_us_twice_in_each_period(manager: Manager) -> None:
    notifier = Notifier(manager.environ | {"WATCHDOG_USEC": "40000", "WATCHDOG_PID": str(os.getpid())})
    asked = 0

    def is_well() -> None:
        nonlocal asked
        asked += 1

    async def story() -> None:
        task = asyncio.ensure_future(notifier.keep_watchdog(is_well))
        for _ in range(3):
            assert await asyncio.to_thread(manager.hears) == {"WATCHDOG": "1"}
        task.cancel()
        await asyncio.wait((task,))

    begun = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - begun >= 0.04  # three of them are two halves apart
    assert asked >= 3


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_nobody_is_told(manager: Manager, environ: dict[str, str]) -> None:
    assert Notifier(manager.environ | environ).watchdog_s == 0


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


_CHILD = """
import os, sys
from howdah.control.process.systemd import handed_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
for sock in handed_sockets(os.environ):
    print(sock.getsockname(), sock.get_inheritable(), sock.getblocking())
"""


def _child(*sockets: socket.socket) -> str:
    """A process that gets them as systemd passes them: from number 3 on."""
    duplicates = [sock.fileno() for sock in sockets]
    # (Numbers are moved out of the way first: one that is given may stand where another belongs.)
    program = f"import os\nkept=[os.dup(fd) for fd in {duplicates}]\n"
    program += "".join(f"os.dup2(kept[{at}], {3 + at})\n" for at in range(len(duplicates)))
    done = subprocess.run(
        [sys.executable, "-c", program + _CHILD], pass_fds=duplicates, capture_output=True, text=True, check=False,
        env=os.environ | {"LISTEN_FDS": str(len(sockets))},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_sockets_are_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        told = _child(tcp, unix).splitlines()
        assert told == [f"{tcp.getsockname()} False False", f"{path} False False"]


def test_what_does_not_listen_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "d"))
        assert "does not listen" in _child(sock)


def test_sockets_meant_for_another_process_are_not_ours() -> None:
    assert handed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "2"}) == []
    assert handed_sockets({"LISTEN_FDS": "2"}) == []
