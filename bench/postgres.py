"""A PostgreSQL of our own, data in memory, nothing synced, so that the disk is no part of a result.

It is the embedded one; where TLS towards it is asked for, which that cannot, Debian's.
"""

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import pgbench
from bench.credentials import install
from bench.places import postgres_bin, scratch, tls_postgres_bin, unprivileged
from bench.processes import Server
from bench.wire import Connection, free_port

#: Local trust, loopback only; nothing written before it must be; room for what the scenarios want.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}


class Postgres:
    """A server with the superuser and database `bench`; a context manager that leaves nothing behind."""

    def __init__(self, *, max_connections: int = 800, tls: bool = False) -> None:
        self.port, self.tls = free_port(), tls
        self._bin = tls_postgres_bin() if tls else postgres_bin()
        self.max_connections = max_connections
        self._user = unprivileged()
        self._home = scratch("postgres")
        self._server: Server | None = None

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self._server is not None
        return self._server.pid

    def __enter__(self) -> Self:
        try:
            self._create()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create(self) -> None:
        if self._user is not None:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)
        subprocess.run(
            [
                *(self._bin / "initdb", "-D", self._home / "data", "-U", "bench", "-A", "trust"),
                *("-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
            extra_groups=[] if self._user else None,
        )

    def _start(self) -> None:
        settings = {
            **SETTINGS,
            "max_connections": str(self.max_connections),
            "unix_socket_directories": str(self._home),
        }
        if self.tls:
            files = install(self._home, "ecdsa", self._user)
            settings |= {"ssl": "on", "ssl_cert_file": str(files.certificate), "ssl_key_file": str(files.key)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        program, data = self._bin / "postgres", self._home / "data"
        command: list[str | Path] = [program, "-D", data, "-p", str(self.port), *options]
        self._server = Server(
            command, port=self.port, log=self._home / "log", user=self._user, stop_signal=signal.SIGINT
        )
        self._server.wait_ready(database="postgres")
        with Connection(self.port, database="postgres") as connection:
            connection.run("CREATE DATABASE bench")

    def stop(self) -> None:
        """End it and remove its data."""
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class Databases:
    """A PostgreSQL of each kind, filled for pgbench, started when first asked for; a context manager that ends them."""

    def __init__(self, scale: int) -> None:
        self._scale, self._stack = scale, ExitStack()
        self._running: dict[bool, Postgres] = {}

    def of(self, *, tls: bool) -> Postgres:
        """The one with TLS, or the embedded one without."""
        if tls not in self._running:
            self._running[tls] = self._stack.enter_context(Postgres(tls=tls))
            pgbench.fill(self._running[tls].port, self._scale)
        return self._running[tls]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
