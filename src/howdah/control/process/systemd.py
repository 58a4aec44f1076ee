"""systemd's side of the process: what it is told of our state, and the sockets it hands us.

The protocol is a datagram to the socket named by NOTIFY_SOCKET.  Without that variable nothing is said.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping

from howdah.control.config.errors import StartError

#: The first of the handed file descriptors.
_FIRST_FD = 3
_MICROSECONDS = 1_000_000


class Notifier:
    """Tells the service manager."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ) if self._address else 0.0
        self._silent = False

    def ready(self) -> None:
        """The start, or a reload, is over."""
        self._say("READY=1", f"MAINPID={os.getpid()}")

    def is_succeeded(self, succeeded: bool) -> None:
        """Another process speaks for the service from now on; or we do again."""
        self._silent = succeeded
        if not succeeded:
            self.ready()

    def reloading(self) -> None:
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    async def keep_watchdog(self, is_well: Callable[[], object]) -> None:
        """Say twice in each period that we live, until cancelled; `is_well` raises or hangs where we do not."""
        while self.watchdog_s:
            is_well()
            self._say("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _say(self, *lines: str) -> None:
        if not self._address or self._silent:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(lines).encode(), name)
            except OSError:
                pass  # the manager is gone or does not listen: queries matter more


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """0: nobody watches, or somebody else is watched."""
    text = environ.get("WATCHDOG_USEC", "")
    if not text.isdigit() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    return int(text) / _MICROSECONDS


def handed_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd opened for us; none where it did not."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    handed = []
    for fd in range(_FIRST_FD, _FIRST_FD + int(environ.get("LISTEN_FDS", "0"))):
        try:
            sock = socket.socket(fileno=fd)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as failure:
            raise StartError(f"LISTEN_FDS: file descriptor {fd} is no socket: {failure.strerror}") from None
        if not listens or sock.type != socket.SOCK_STREAM:
            raise StartError(f"LISTEN_FDS: file descriptor {fd} does not listen; howdah takes ListenStream= alone")
        sock.set_inheritable(False)
        sock.setblocking(False)
        handed.append(sock)
    return handed
