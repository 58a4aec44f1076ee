"""The data directory: one howdah at a time, made whole or not at all, freed of what a crash has left."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from howdah.control.config.errors import StartError
from howdah.control.embedded.lifeline import die_with_parent
from howdah.control.embedded.place import MAJOR, Place

SUPERUSER = "postgres"
#: How long the processes of a howdah that was killed may take to end, in seconds, before each stronger signal.
_PATIENCE = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


class ClusterLock:
    """Held with flock, so it ends with the process however that ends.  The file stays: removing it would race."""

    def __init__(self, place: Place) -> None:
        path = place.home / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode(errors="replace").strip() or "?"
            os.close(self._fd)
            raise StartError(
                f"embedded PostgreSQL: {place.home} is in use by another howdah (process {holder}); "
                "stop that one or choose another directory"
            ) from None
        os.ftruncate(self._fd, 0)
        place.own(path)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


async def end_leftovers(place: Place) -> None:
    """End the server of a howdah that was killed, then remove its pid file and sockets.

    Called with the lock held, so any process of this cluster is nobody's.  PostgreSQL would only refuse to start.
    """
    for number, seconds in _PATIENCE:
        processes = _processes(place.data)
        if not processes:
            break
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        # Not our children: there is nothing to wait on but /proc.
        while _processes(place.data) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    if processes := _processes(place.data):
        raise StartError(
            f"embedded PostgreSQL: processes of an earlier run do not end: {', '.join(map(str, processes))}; kill them"
        )
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    for path in place.socket_dir.iterdir():
        path.unlink(missing_ok=True)


def _processes(data: Path) -> list[int]:
    """PostgreSQL processes that work in `data`: each keeps it as its current directory."""
    found = []
    where = str(data.resolve())
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == Path(where) and (entry / "exe").readlink().name == "postgres":
                    found.append(int(entry.name))
            except OSError:
                pass  # gone meanwhile, or another user's
    return found


async def ensure_cluster(place: Place, programs: Path, tell: Callable[[str], None]) -> None:
    """Make the data directory if there is none.  initdb works beside it: a half-made one never gets its name."""
    version = place.data / "PG_VERSION"
    if version.exists():
        if (found := version.read_text().strip()) != MAJOR:
            raise StartError(
                f"embedded PostgreSQL: {place.data} is of PostgreSQL {found}, this is {MAJOR}; move it away"
            )
        return
    if place.data.exists():
        raise StartError(f"embedded PostgreSQL: {place.data} exists but is no PostgreSQL data directory; move it away")
    tell(f"making a new PostgreSQL {MAJOR} in {place.home} (once, takes a few seconds)")
    unfinished = place.home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    await _initdb(place, programs, unfinished)
    unfinished.rename(place.data)


async def _initdb(place: Place, programs: Path, target: Path) -> None:
    command = (
        *(programs / "initdb", "--pgdata", target, "--username", SUPERUSER, "--auth", "trust", "--no-instructions"),
        # PostgreSQL's own UTF-8 rules: the same on every machine, whatever locales it has.
        *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        **place.process_options(die_with_parent(signal.SIGTERM)),
    )
    try:
        _, stderr = await process.communicate()
    except BaseException:  # asked to stop meanwhile
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if process.returncode != 0:
        lines = [line for line in stderr.decode(errors="replace").splitlines() if "error:" in line]
        raise StartError(f"embedded PostgreSQL: initdb failed: {lines[0] if lines else process.returncode}")
