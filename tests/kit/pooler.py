"""The pooler under test, as a real process: ``howdah run howdah.toml`` with a generated file.

``pooler.run_with(default_pool_size=2)`` starts it; ``finish`` ends it and checks that it left nothing behind.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from tests.kit import wire
from tests.kit.client import Client, close_all
from tests.kit.console import Console
from tests.kit.deadline import wait_until
from tests.kit.fork_server import ForkServer, Process
from tests.kit.paranoid import FAILED, PARANOID
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres

Value = str | int | float | bool | list[str]
Table = Mapping[str, Value]

#: Lines no log may hold, whatever the test is about.
ALARMS = re.compile(
    r"Sanitizer|runtime error:|^Traceback|Segmentation fault|Fatal Python error|Assertion .* failed"
    r"|worker_failed|illegal move",
    re.MULTILINE,
)


def toml(tables: Mapping[str, Table]) -> str:
    """The configuration as text.  JSON's strings, numbers, booleans and lists are TOML's too."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def environment(**more: str) -> dict[str, str]:
    """What a pooler started as a process of its own gets to see."""
    # HOWDAH_* and DATABASE_URL would be settings: those of the shell that runs the tests are not meant for it.
    seen = {name: value for name, value in os.environ.items() if not name.startswith(("HOWDAH_", "DATABASE_"))}
    preload = os.environ.get("HOWDAH_TEST_PRELOAD")  # a sanitizer's runtime, for the pooler alone
    return seen | {"PYTHONUNBUFFERED": "1"} | ({"LD_PRELOAD": preload} if preload else {}) | more


@functools.cache
def fork_server() -> ForkServer:
    """The one that all poolers of this process come from."""
    return ForkServer(environment())


class Pooler:
    """One pooler before one PostgreSQL.  Not running until `run_with` or `run`."""

    take_over_switch = "--take-over"

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.host, self.port = "127.0.0.1", take_port()
        self.folder = Path(tempfile.mkdtemp(prefix="howdah-t-"))
        self.config, self.log = self.folder / "howdah.toml", self.folder / "log"
        self.settings: dict[str, Value] = {
            "listen_addr": self.host,
            "listen_port": self.port,
            "unix_socket_dir": str(self.folder),
            "auth_type": "trust",
            "pool_mode": "transaction",
            "workers": 2,
            "log_connections": True,
            "log_disconnections": True,
        }
        upstream: dict[str, Value] = {"host": postgres.host, "port": postgres.port}
        self.databases: dict[str, dict[str, Value]] = {"app": dict(upstream), "other": dict(upstream)}
        self.users: dict[str, dict[str, Value]] = {}
        self.peers: dict[str, dict[str, Value]] = {}
        self.process: Process | subprocess.Popen[bytes] | None = None
        self._backends_before: set[int] = set()
        self._log_from = 0
        self._before: list[Process | subprocess.Popen[bytes]] = []  # processes that others have taken over from
        self._sessions: list[psycopg.Connection[Any]] = []

    # life

    def run(self) -> None:
        self.run_with()

    def run_with(self, **settings: Value) -> None:
        """Start, or start anew, with these [howdah] settings on top of the earlier ones."""
        if self.process is not None:
            self.finish()
        self.settings |= settings
        self._backends_before = self.postgres.backends() if self.postgres.is_running else set()
        self.start()
        wait_until(self._listens, f"the pooler to listen; its log:\n{self.log_text}", within=20)

    def reload_with(self, **settings: Value) -> None:
        """Put changed databases and users and these [howdah] settings into effect; the log seen begins here."""
        self.settings |= settings
        self.forget_log()
        self.config.write_text(toml(self._tables()))
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.log_contains("configuration reloaded"), "the reload")

    def start_on_unix_socket_alone(self) -> None:
        """Start without TCP: only an attempt shows when it listens."""
        self.settings["listen_addr"] = ""
        self.start()

        def answers() -> bool:
            try:
                Client(self.socket_path).vanish()
            except OSError:
                return False
            return True

        wait_until(answers, "the pooler to listen on its Unix socket")

    def start(self, *options: str) -> None:
        """Start the process on the written configuration without waiting for anything."""
        self.config.write_text(toml(self._tables()))
        given = ["run", str(self.config), "--json-logs", *options]
        self.process = fork_server().start(given, self.folder, environment(NO_COLOR="1"), self.log)

    def take_over(self, *options: str) -> "Process | subprocess.Popen[bytes]":
        """Start a process that takes over, and wait until it is up.

        Gives the one before, which ends when it has no clients left.
        """
        before, self.process = self.process, None
        assert before is not None
        self._before.append(before)
        self.forget_log()
        self.start(self.take_over_switch, *options)
        self.wait_until_taken_over()
        return before

    def wait_until_taken_over(self) -> None:
        def is_up() -> bool:
            assert self.is_running, f"the new process has ended:\n{self.log_tail}"
            return self.log_contains("handing over: no new clients")

        wait_until(is_up, "the new process to take over", within=30)

    def _tables(self) -> dict[str, Table]:
        tables: dict[str, Table] = {"howdah": self.settings}
        tables |= {f'databases."{name}"': table for name, table in self.databases.items()}
        tables |= {f'users."{name}"': table for name, table in self.users.items()}
        return tables | {f"peers.{number}": table for number, table in self.peers.items()}

    def spawn(self, *arguments: str) -> None:
        """Start ``howdah`` with these arguments as a program of its own; its output goes to the log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "howdah", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=environment(NO_COLOR="1"), start_new_session=True,
            )  # fmt: skip

    def finish(self, within: float = 20.0) -> None:
        """End it as an operator does, and check its exit status, its log and what it leaves behind."""
        if self.process is None:
            return
        self.close_sessions()
        process, self.process = self.process, None
        own = self._own_backends(process.pid)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            status = process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the pooler did not end within {within} s of SIGTERM and SIGINT") from None
        self.check_log()
        assert status == 0, f"the pooler ended with status {status}"
        self.check_nothing_is_left(own)

    def remove(self) -> None:
        """End it, check, and delete its folder.  Its clients go first, else it would wait for them."""
        close_all(self.address, self.socket_path)
        try:
            self.finish()
        finally:
            for process in (self.process, *self._before):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_for_exit(self, within: float = 20.0) -> int:
        """Its exit status."""
        assert self.process is not None
        status = self.process.wait(within)
        self.process = None
        return status

    # checks at the end

    def check_log(self) -> None:
        alarm = ALARMS.search(self.log_text)
        assert alarm is None, f"the pooler's log holds {alarm[0]!r}:\n{self.log_tail}"
        if self.settings.get("server_check_query") == PARANOID["server_check_query"]:
            assert FAILED not in self.log_text, f"a server was reused with something left in it:\n{self.log_tail}"

    def _own_backends(self, pid: int) -> set[int]:
        """PostgreSQL's side of its connections: other poolers may have theirs at the same cluster."""
        if not self.postgres.is_running:
            return set()
        try:
            ports = {end.laddr.port for end in psutil.Process(pid).net_connections("tcp") if end.laddr}
        except psutil.NoSuchProcess:
            return self.postgres.backends() - self._backends_before
        return self.postgres.backends(f"client_port IN ({', '.join(map(str, ports or {0}))})")

    def check_nothing_is_left(self, own: set[int] | None = None) -> None:
        """`own`: its backends, while it ran; None: all there are that were not there before it."""
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(".s.PGSQL")]
        assert not left, f"the pooler left {left}"
        if self.postgres.is_running:
            own = self.postgres.backends() - self._backends_before if own is None else own
            wait_until(lambda: not self.postgres.backends() & own, "the pooler's PostgreSQL sessions to end")

    # clients

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def socket_path(self) -> str:
        return f"{self.folder}/.s.PGSQL.{self.port}"

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        """A psycopg session in autocommit that prepares nothing by itself."""
        settings = {"host": self.host, "port": self.port, "user": "alice", "dbname": "app", "autocommit": True,
                    "prepare_threshold": None, "connect_timeout": 20}  # fmt: skip
        session = psycopg.connect(**{**settings, **parameters})
        self._sessions.append(session)
        return session

    def close_sessions(self) -> None:
        """Close what `connect` has opened."""
        while self._sessions:
            self._sessions.pop().close()

    @contextlib.contextmanager
    def cur(self, **parameters: Any) -> Iterator[psycopg.Cursor[Any]]:
        with self.connect(**parameters) as connection, connection.cursor() as cursor:
            yield cursor

    def stranger(self) -> Client:
        """A wire client that has said nothing yet."""
        return Client(self.address)

    def client(self, user: str = "alice", database: str = "app", **parameters: str) -> Client:
        """A logged-in wire client."""
        client = Client(self.address)
        client.log_in(wire.PROTOCOL_3_0, user=user, database=database, **parameters)
        return client

    def value(self, query: str, **parameters: Any) -> Any:
        """The only column of the only row, asked on a connection of its own."""
        with self.cur(**parameters) as cursor:
            row = cursor.execute(query).fetchone()
        assert row is not None, f"no row for {query!r}"
        return row[0]

    # the console

    def admin(self, command: str) -> list[dict[str, Any]]:
        """A command to the console database, its rows by column name."""
        # Over the Unix socket, where the console needs neither a rule nor a password for who runs the pooler.
        host = str(self.settings["unix_socket_dir"]) or self.host
        with self.connect(host=host, dbname="pgbouncer", user="pgbouncer", row_factory=dict_row) as console:
            cursor = psycopg.ClientCursor(console, row_factory=dict_row)
            cursor.execute(command)
            return cursor.fetchall() if cursor.description else []

    def console(self) -> Console:
        """A session of the console, for commands that take their time."""
        return Console(self.socket_path)

    def pool(self, database: str = "app", user: str = "alice") -> dict[str, Any]:
        """This pool's row of SHOW POOLS; empty when there is no such pool yet."""
        rows = [row for row in self.admin("SHOW POOLS") if (row["database"], row["user"]) == (database, user)]
        return rows[0] if rows else {}

    def wait_for_pool(self, database: str = "app", user: str = "alice", within: float = 15.0, **columns: int) -> None:
        """Wait until the pool's row shows these values: ``wait_for_pool(cl_waiting=3)``."""

        def matches() -> bool:
            row = self.pool(database, user)
            return bool(row) and all(int(row[name]) == value for name, value in columns.items())

        wait_until(matches, f"SHOW POOLS to show {columns} for {database}/{user}", within)

    def wait_until_idle(self, within: float = 15.0) -> None:
        """Wait until no server is in use and no client waits."""
        busy = ("cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active", "sv_active_cancel",
                "sv_being_canceled", "sv_tested", "sv_login")  # fmt: skip

        def is_idle() -> bool:
            return all(
                not int(row[name])
                for row in self.admin("SHOW POOLS")
                for name in busy
                if row["database"] != "pgbouncer"
            )

        wait_until(is_idle, "every server to be idle and no client waiting", within)

    # the log

    def forget_log(self) -> None:
        """From now on `events`, `logged` and `log_contains` see only what is written later."""
        self._log_from = self.log.stat().st_size

    @property
    def log_text(self) -> str:
        return self.log.read_bytes()[self._log_from :].decode(errors="replace") if self.log.exists() else ""

    @property
    def log_tail(self) -> str:
        return "\n".join(self.log_text.splitlines()[-80:])

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log's lines that are JSON objects."""
        return [json.loads(line) for line in self.log_text.splitlines() if line.startswith("{") and line.endswith("}")]

    def log_contains(self, pattern: str) -> bool:
        return re.search(pattern, self.log_text) is not None

    def logged(self, reason: str) -> list[dict[str, Any]]:
        """The log lines with this reason code."""
        return [event for event in self.events if event.get("reason") == reason]

    def wait_for_log(self, reason: str, count: int = 1, within: float = 10.0) -> list[dict[str, Any]]:
        """Wait for that many log lines with this reason code, and see that there are no more."""
        wait_until(lambda: len(self.logged(reason)) >= count, f"{count} log lines with reason {reason}", within)
        lines = self.logged(reason)
        assert len(lines) == count, f"{len(lines)} log lines with reason {reason}, wanted {count}"
        return lines

    # the process

    @property
    def pid(self) -> int:
        assert self.process is not None, "the pooler is not running"
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def resident_bytes(self) -> int:
        """Its resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def open_files(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _listens(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            status, self.process = self.process.returncode, None
            raise AssertionError(f"the pooler ended with status {status}; its log:\n{self.log_tail}")
        # Looked up, not tried: a connection just to see would leave its line in the log.
        listening = re.compile(rf"^ *\d+: [0-9A-F]+:{self.port:04X} [0-9A-F]+:0000 0A ", re.MULTILINE)
        on_tcp = any(listening.search(Path(f"/proc/net/{table}").read_text()) for table in ("tcp", "tcp6"))
        return on_tcp and (self.settings["unix_socket_dir"] != str(self.folder) or self._listens_on_unix_socket())

    def _listens_on_unix_socket(self) -> bool:
        accepts = re.compile(rf" 00010000 0001 01 +\d+ {re.escape(self.socket_path)}$", re.MULTILINE)
        return accepts.search(Path("/proc/net/unix").read_text()) is not None
