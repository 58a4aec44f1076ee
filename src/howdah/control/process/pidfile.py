"""The pid file: who runs, for scripts; and a guard against two on the same configuration.

`claim` before the sockets are opened, `write` when they are.  A file that names no living process is replaced.
"""

import os
from pathlib import Path

from howdah.control.config.errors import StartError
from howdah.control.process.identity import Identity


class PidFile:
    """Its path is "" where there is to be none."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._inode = 0

    def claim(self) -> str:
        """StartError where somebody alive has it; else what is to be said of a stale one, "" for nothing."""
        if self._path is None:
            return ""
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as failure:
            raise StartError(f"could not open pidfile '{self._path}': {failure.strerror}") from None
        if _may_be_alive(text):
            raise StartError(f"pidfile '{self._path}' exists, another instance running?")
        try:
            self._path.unlink(missing_ok=True)
        except OSError as failure:
            raise StartError(f"could not remove stale pidfile: {failure.strerror}") from None
        return "stale pidfile, removing"

    def write(self, owner: Identity | None) -> None:
        """Make it, as `owner`'s where we are to become somebody else."""
        if self._path is None:
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as failure:
            raise StartError(f"could not open pidfile '{self._path}': {failure.strerror}") from None
        try:
            os.write(fd, f"{os.getpid()}\n".encode())
            if owner is not None:
                os.fchown(fd, owner.uid, owner.gid)
            self._inode = os.fstat(fd).st_ino
        except OSError as failure:
            raise StartError(f"could not write pidfile '{self._path}': {failure.strerror}") from None
        finally:
            os.close(fd)

    def take(self) -> str:
        """Name us in the file that the process before us has left, or make one; what is to be said where we cannot.

        Written over and not replaced: the folder may be one that only root may write to.
        """
        if self._path is None:
            return ""
        text = f"{os.getpid()}\n".encode()
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                os.pwrite(fd, text, 0)
                os.ftruncate(fd, len(text))
                self._inode = os.fstat(fd).st_ino
            finally:
                os.close(fd)
        except OSError as failure:
            return f"could not write pidfile '{self._path}': {failure.strerror}"
        return ""

    def remove(self) -> None:
        """If it is ours still, and names us.

        A folder that we may not write to any more keeps it: the next start finds it stale.
        """
        if self._path is None or not self._inode:
            return
        try:
            ours = self._path.stat().st_ino == self._inode
            if ours and self._path.read_text().strip() == str(os.getpid()):
                self._path.unlink()
        except OSError:
            pass
        self._inode = 0


def _may_be_alive(text: str) -> bool:
    """Empty or unreadable, it is being written just now, for all we know."""
    words = text.split()
    number = int(words[0]) if words and words[0].isascii() and words[0].isdigit() else 0
    if number <= 0 or number == os.getpid():  # (a container's first process has the same number each time)
        return number <= 0
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except OSError:
        pass  # somebody else's: alive
    return True
