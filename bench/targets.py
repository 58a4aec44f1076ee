"""What is measured, each started the same way: PostgreSQL itself, the bare relay, PgBouncer, howdah."""

import os
import pwd
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import bare_relay, howdah_config, pgbouncer
from bench.compiled import compiled
from bench.credentials import Certificate, install
from bench.needs import Needs
from bench.places import ROOT, NotHere, scratch, unprivileged
from bench.postgres import Postgres
from bench.processes import Server
from bench.wire import free_port

NAMES = ("direct", "relay", "pgbouncer", "howdah")
POOL_SIZE = 20


class Target:
    """One of `NAMES` in front of `postgres`; a context manager around its process."""

    def __init__(self, name: str, postgres: Postgres, needs: Needs) -> None:
        self.name, self._postgres, self._needs = name, postgres, needs
        self.port = postgres.port if name == "direct" else free_port()
        self._home: Path | None = None
        self._server: Server | None = None

    @property
    def tls(self) -> bool:
        """Whether clients must come with TLS."""
        return self._needs.client_tls is not None

    @property
    def pid(self) -> int | None:
        """Of the process between clients and PostgreSQL, if there is one."""
        return None if self._server is None else self._server.pid

    def __enter__(self) -> Self:
        try:
            self.launch()
            if self._server is not None:
                self._server.wait_ready(secured=self.tls or self._needs.scram)
        except BaseException:
            self.stop()
            raise
        return self

    def launch(self) -> None:
        """Start the process, without waiting for it."""
        if self.name == "direct":
            return
        home = self._home = scratch(self.name)
        user = None
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH") or str(ROOT / "src")])}
        if self.name == "relay":
            command = [
                sys.executable,
                "-m",
                "bench.bare_relay",
                str(self.port),
                str(self._postgres.port),
                str(POOL_SIZE),
            ]
        elif self.name == "pgbouncer":
            user = unprivileged()  # it refuses to run as root
            config = pgbouncer.write_config(
                home, self.port, self._postgres.port, POOL_SIZE, self._needs, self._certificate(home, user)
            )
            command = [str(_runnable(home)), str(config)]
            home.chmod(0o755)
        else:
            config = howdah_config.write(
                home, self.port, self._postgres.port, POOL_SIZE, self._needs, self._certificate(home)
            )
            command = [sys.executable, "-m", "howdah", "run", str(config)]
        self._server = Server(command, port=self.port, log=home / "log", user=user, environment=environment)

    def _certificate(self, home: Path, owner: pwd.struct_passwd | None = None) -> Certificate | None:
        kind = self._needs.client_tls
        return None if kind is None else install(home, kind, owner)

    def stop(self) -> None:
        """End the process and remove its files."""
        if self._server is not None:
            self._server.stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _runnable(home: Path) -> Path:
    """PgBouncer's program where the user it runs as can reach it."""
    copy = home / "pgbouncer"
    shutil.copy2(pgbouncer.program(), copy)
    copy.chmod(0o755)
    return copy


def missing(name: str) -> str:
    """Why `name` cannot be measured here, or ""; builds what can be built."""
    try:
        if name == "pgbouncer":
            pgbouncer.program()
        elif name == "relay":
            compiled(bare_relay.SOURCE)
        elif name == "howdah" and not _engine_built():
            return "howdah's data plane is not compiled: run `make run` or `python setup.py build_ext --inplace` first"
    except NotHere as error:
        return str(error)
    return ""


def _engine_built() -> bool:
    try:
        return find_spec("howdah.dataplane.engine") is not None
    except ModuleNotFoundError:
        return False
