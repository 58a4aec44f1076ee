"""The commands of operators, given to PgBouncer and to howdah: they answer the same, word for word."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import pgbouncer
from tests.kit.console import Console
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.ports import take_port

COMMANDS = (
    "PAUSE", "PAUSE", "PAUSE app", "KILL app", "SUSPEND", "RESUME app", "RESUME", "RESUME",
    "PAUSE app", "PAUSE app", "PAUSE", "RESUME", "SUSPEND", "RESUME app", "RESUME app",
    "SUSPEND", "SUSPEND", "PAUSE", "RESUME", "SUSPEND app", "RESUME nope", "PAUSE nope", "PAUSE pgbouncer",
    "DISABLE", "DISABLE app", "DISABLE app", "DISABLE nope", "DISABLE pgbouncer",
    "ENABLE", "ENABLE app", "ENABLE app", "ENABLE nope", "ENABLE pgbouncer",
    "KILL app", "KILL app", "KILL nope", "KILL pgbouncer", "RESUME app",
    "RECONNECT", "RECONNECT app", "RECONNECT nope", "RECONNECT pgbouncer",
    "WAIT_CLOSE", "WAIT_CLOSE app", "WAIT_CLOSE nope", "WAIT_CLOSE pgbouncer",
    "KILL_CLIENT 12345", "KILL_CLIENT", "KILL_CLIENT x",
    "SHUTDOWN foo", "PAUSE a b", 'pause "app"', "resume app;",
    "SHUTDOWN WAIT_FOR_CLIENTS", "RESUME",
)  # fmt: skip


@pytest.fixture
def original() -> Iterator[Console]:
    """The console of a PgBouncer with the same databases."""
    program = pgbouncer.installed()
    if program is None:
        pytest.skip("PgBouncer 1.24 or later is not installed; `make bench` builds it")
    port = take_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-t-") as name:
        folder = Path(name)
        ini, users = folder / "pgbouncer.ini", folder / "users.txt"
        users.write_text('"pgbouncer" ""\n')
        ini.write_text(
            f"[databases]\napp = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_port = {port}\n"
            f"unix_socket_dir = {folder}\nauth_type = trust\nauth_file = {users}\nadmin_users = pgbouncer\n"
        )
        with running(Path(shutil.copy2(program, folder)), ini):
            socket_path = folder / f".s.PGSQL.{port}"
            wait_until(socket_path.exists, "PgBouncer to listen")
            yield Console(str(socket_path))


@contextlib.contextmanager
def running(program: Path, ini: Path) -> Iterator[None]:
    """It does not run as root."""
    nobody = 65534 if os.geteuid() == 0 else None
    if nobody is not None:
        os.chown(ini.parent, nobody, -1)
    with subprocess.Popen([program, "-q", ini], user=nobody, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def test_the_answers_are_the_same(pooler: Pooler, original: Console) -> None:
    pooler.databases = {"app": pooler.databases["app"]}
    pooler.run()
    with pooler.client() as stays:  # so that neither ends with SHUTDOWN WAIT_FOR_CLIENTS before it was asked again
        stays.query("SELECT 1")
        ours, theirs = pooler.console(), original
        for command in COMMANDS:
            assert (command, ours.run(command)) == (command, theirs.run(command))
