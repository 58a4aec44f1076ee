"""The Unix socket beside the one for clients at which a successor asks.

Only root and the user who runs howdah get an answer, whatever the file's permissions.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from howdah.control.listen import inode_of
from howdah.control.process.identity import Identity

_BACKLOG = 4
_PEER = struct.Struct("3i")  # process, user, group


def doorstep_name(socket_dir: str, port: int) -> str:
    """Its path, abstract ones with "@" in front; "" where there is none."""
    return f"{socket_dir.rstrip('/')}/.s.howdah.{port}" if socket_dir else ""


def may_take_over(sock: socket.socket) -> bool:
    """Is the other side of a Unix socket root, or who we are?"""
    return peer_of(sock)[1] in (0, os.geteuid())


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Its process and its user."""
    pid, uid, _ = _PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid


def call(name: str) -> socket.socket | None:
    """Connect to whoever listens there; None: nobody."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(_address(name))
    except (ConnectionRefusedError, FileNotFoundError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock


class Doorstep:
    """Listens from `open` or `take` to `close`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ours = True  # the file is, and goes with us
        self._socket: socket.socket | None = None
        self._inode = 0

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def open(self, owner: Identity | None) -> str:
        """What is to be said where it cannot be opened: then nobody can take over, and all else is as ever."""
        if not self.name:
            return ""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind(sock, owner)
        except OSError as failure:
            sock.close()
            return f"cannot listen on {self.name}, where a new process would ask to take over: {failure.strerror}"
        self._socket = sock
        return ""

    def _bind(self, sock: socket.socket, owner: Identity | None) -> None:
        sock.setblocking(False)
        path = None if self.name.startswith("@") else Path(self.name)
        if path is not None:
            if (somebody := call(self.name)) is not None:
                somebody.close()
                raise OSError(errno.EADDRINUSE, "another process listens there")
            path.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            sock.bind(_address(self.name))
        finally:
            os.umask(umask)
        if path is not None and owner is not None:
            # Whoever may write to the folder may have put a link in its place.
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
        self._inode = inode_of(path) if path is not None else 0
        sock.listen(_BACKLOG)

    def take(self, fd: int) -> None:
        """The predecessor's; the file stays its until `ours` is set."""
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self.ours = False
        if not self.name.startswith("@"):
            self._inode = inode_of(Path(self.name))

    def answer_with(self, greet: Callable[[socket.socket], None]) -> None:
        """From now on, whoever may take over."""
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, greet)

    def ignore(self) -> None:
        """Whoever comes is the successor's visitor."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)

    def close(self) -> None:
        if self._socket is None:
            return
        self.ignore()
        self._socket.close()
        self._socket = None
        if self.ours and self._inode and inode_of(Path(self.name)) == self._inode:
            Path(self.name).unlink(missing_ok=True)

    def _accept(self, greet: Callable[[socket.socket], None]) -> None:
        try:
            sock, _ = self._socket.accept() if self._socket is not None else (None, None)
        except OSError:
            return  # it has gone again, or somebody else has answered
        if sock is None:
            return
        if may_take_over(sock):
            greet(sock)
        else:
            sock.close()


def _address(name: str) -> str:
    return "\0" + name[1:] if name.startswith("@") else name
