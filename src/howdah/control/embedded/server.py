"""Start and stop of the embedded PostgreSQL server."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from howdah.control.config.errors import StartError
from howdah.control.embedded.cluster import SUPERUSER, ClusterLock, end_leftovers, ensure_cluster
from howdah.control.embedded.lifeline import die_with_parent
from howdah.control.embedded.password import give_password, known_password
from howdah.control.embedded.place import MAJOR, Place, default_home, find_programs, prepare

#: Only names the socket file: the server does not listen on TCP.
PORT = 5432
_POLL_S = 0.01
_TELL_AFTER_S = 5.0
_LONGEST_START_S = 600.0  # recovery after a crash replays the log
_LOG_KEPT_BYTES = 1 << 20
#: Fast shutdown, then immediate, then what cannot be refused; seconds each may take.
_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))


class EmbeddedPostgres:
    """One server: `start`, `stop`, and `ended` for those who must know when it ends by itself.

    `start` must run on the main thread: the server ends with the thread that started it.
    """

    user = SUPERUSER
    port = PORT

    def __init__(
        self,
        home: str | Path = "",
        account: str = "",
        parameters: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`home`: where it lives, "" for `default_home`; `account`: system user to drop to from root; `parameters`:
        more settings of the server; `tell` gets progress for people.
        """
        self.home = Path(home).expanduser().absolute() if home else default_home()
        self._account = account
        self._parameters = {"max_connections": "100", **(parameters or {})}
        self._tell = tell
        self.password = ""  # of `user`; known after `start`
        self._lock: ClusterLock | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def socket_dir(self) -> Path:
        return self.home / "socket"

    @property
    def password_file(self) -> Path:
        return self.home / "password"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def version(self) -> str:
        return MAJOR

    @property
    def pid(self) -> int:
        """The postmaster's; 0 when it is not running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def start(self) -> None:
        """Return when it accepts connections; on any failure nothing is left running."""
        place = prepare(self.home, self._account)
        _check_length(place)
        programs = find_programs(place)
        try:
            self._lock = self._lock or ClusterLock(place)
            await end_leftovers(place)
            await ensure_cluster(place, programs, self._tell)
            began = _open_log(place)
            await self._launch(place, programs)
            await self._wait_until_ready(place, began)
            self.password = known_password(place) or await give_password(place, self.user, self.port)
        except OSError as failure:
            await self.stop()
            raise StartError(f"embedded PostgreSQL: {failure}") from failure
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is safe.  Idempotent."""
        process = self._process
        for number, seconds in _STOP:
            if process is None or process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), seconds)
        self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def ended(self) -> int:
        """Wait until the server has ended, for whatever reason; its exit status."""
        return await self._process.wait() if self._process is not None else 0

    async def _launch(self, place: Place, programs: Path) -> None:
        parameters = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(place.socket_dir),
            "unix_socket_permissions": "0700",
            "logging_collector": "off",
            "cluster_name": "howdah",
            **self._parameters,
        }
        settings = [part for name, value in parameters.items() for part in ("-c", f"{name}={value}")]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        log = os.open(place.log, flags, 0o600)
        try:
            place.own(place.log)
            self._process = await asyncio.create_subprocess_exec(
                programs / "postgres",
                *("-D", str(place.data), *settings),
                stdout=log,
                stderr=log,
                **place.process_options(die_with_parent(signal.SIGINT)),
            )
        finally:
            os.close(log)

    async def _wait_until_ready(self, place: Place, log_began: int) -> None:
        """The eighth line of postmaster.pid says so, as pg_ctl reads it too."""
        process = self._process
        assert process is not None  # noqa: S101  # just launched
        waited = 0.0
        while not _is_ready(place.data / "postmaster.pid", process.pid):
            if process.returncode is not None:
                raise StartError(f"embedded PostgreSQL did not start: {_complaint(place, log_began)}")
            if waited <= _TELL_AFTER_S < waited + _POLL_S:
                self._tell(f"waiting for PostgreSQL to recover; its log is {place.log}")
            if waited > _LONGEST_START_S:
                raise StartError(f"embedded PostgreSQL is not ready after {waited:.0f} s; its log is {place.log}")
            await asyncio.sleep(_POLL_S)
            waited += _POLL_S


def _check_length(place: Place) -> None:
    longest = 107
    path = f"{place.socket_dir}/.s.PGSQL.{PORT}"
    if len(os.fsencode(path)) > longest:
        raise StartError(
            f"embedded PostgreSQL: {path} is longer than the {longest} bytes a Unix socket may have; "
            "choose a directory with a shorter path"
        )


def _open_log(place: Place) -> int:
    """Keep the log from growing without end; where this run's part of it begins."""
    try:
        size = place.log.stat().st_size
    except FileNotFoundError:
        return 0
    if size <= _LOG_KEPT_BYTES:
        return size
    place.log.rename(place.log.with_name("log.old"))
    return 0


def _is_ready(pid_file: Path, pid: int) -> bool:
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _complaint(place: Place, began: int) -> str:
    """What the server said last, in one line."""
    said = place.log.read_bytes()[began:].decode(errors="replace")
    fatal = [line for line in said.splitlines() if "FATAL:" in line or "PANIC:" in line]
    last = fatal[-1] if fatal else (said.strip().splitlines() or ["it ended without a word"])[-1]
    return f"{last.strip()} (its log is {place.log})"
