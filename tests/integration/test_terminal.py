"""`howdah run` at a terminal: the greeting, the live line, Ctrl-C."""

import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.kit.deadline import PATIENCE, wait_until
from tests.kit.pooler import environment
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres
from tests.kit.readiness import readable


class Terminal:
    """A process with a terminal of its own, and all that it has shown."""

    def __init__(self, *arguments: str) -> None:
        self.port = take_port()
        self._main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "howdah", *arguments, "--port", str(self.port)], stdin=end, stdout=end, stderr=end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no threads here
            env=environment(TERM="xterm"),
        )  # fmt: skip
        os.close(end)
        self.shown = ""

    def wait_for(self, pattern: str, within: float = 20.0) -> re.Match[str]:
        deadline = time.monotonic() + within * PATIENCE
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < deadline, f"waited for {pattern!r}; shown so far:\n{self.shown}"
            self._read()
        return found

    def press(self, key: bytes) -> None:
        os.write(self._main, key)

    def wait_for_exit(self) -> int:
        def ended() -> bool:
            self._read()
            return self.process.poll() is not None

        wait_until(ended, "the process to end", 20)
        return self.process.returncode

    def _read(self) -> None:
        if readable(self._main, 0.05):
            try:
                self.shown += os.read(self._main, 65536).decode()
            except OSError:
                pass  # the other end is closed: the process has ended

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._main)


@contextmanager
def _howdah(postgres: Postgres, *options: str) -> Iterator[Terminal]:
    where = f"postgresql://alice@{postgres.host}:{postgres.port}/app"
    terminal = Terminal("run", where, "--set", "unix_socket_dir=", *options)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_person_is_told_how_to_connect_and_sees_what_goes_on(postgres: Postgres) -> None:
    with _howdah(postgres) as terminal:
        terminal.wait_for(r"howdah \S+ is ready after")
        url = terminal.wait_for(r"psql '(postgresql://[^']+/app)'")[1]
        terminal.wait_for(r"stop\s+Ctrl-C")
        terminal.wait_for(r"clients 0   waiting 0   servers 0 active, 0 idle")
        with psycopg.connect(url, user="alice", autocommit=True) as connection:
            connection.execute("SELECT 1")
            terminal.wait_for(r"clients 1   waiting 0   servers 0 active, 1 idle")
        terminal.press(b"\x03")
        assert terminal.wait_for_exit() == 0
        assert "howdah has stopped" in terminal.shown
        assert "Traceback" not in terminal.shown


def test_the_embedded_postgresql_is_shown_with_its_password() -> None:
    folder = Path(tempfile.mkdtemp(prefix="howdah-e-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as somebody else, who must get in
    terminal = Terminal("run", "--set", "unix_socket_dir=", "--set", f"embedded_data_dir={folder / 'postgres'}")
    try:
        url = terminal.wait_for(r"psql '(postgresql://postgres:[^@']+@[^']+/postgres)'", 60)[1]
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("postgres",)
        console = terminal.wait_for(r"psql '(postgresql://postgres:[^@']+@[^']+/pgbouncer)'")[1]
        with psycopg.connect(console, autocommit=True) as connection:
            assert psycopg.ClientCursor(connection).execute("SHOW VERSION").fetchone()
        terminal.press(b"\x03")
        assert terminal.wait_for_exit() == 0
    finally:
        terminal.close()
        shutil.rmtree(folder)


def test_quiet_says_nothing(postgres: Postgres) -> None:
    with _howdah(postgres, "--quiet") as terminal:
        wait_until(lambda: _listens(terminal.port), "it to listen")
        terminal.press(b"\x03")
        assert terminal.wait_for_exit() == 0
        assert terminal.shown.replace("^C", "").strip() == ""


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_without_the_live_line(postgres: Postgres) -> None:
    with _howdah(postgres, "--set", "live_line=false") as terminal:
        url = terminal.wait_for(r"psql '(postgresql://[^']+/app)'")[1]
        with psycopg.connect(url, user="alice", autocommit=True) as connection:
            connection.execute("SELECT 1")
        terminal.press(b"\x03")
        assert terminal.wait_for_exit() == 0
        assert "howdah has stopped" in terminal.shown
        assert "waiting 0" not in terminal.shown
