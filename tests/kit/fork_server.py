"""Starts poolers quickly: a process that has imported all of howdah forks for each.

Importing takes most of the second that ``python -m howdah run`` needs, and the tests start thousands.  ``Process`` is
the part of ``subprocess.Popen`` that they use; this file, run as a program, is the server.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.kit.readiness import readable

CHANNEL = 0  # the server's file descriptor for requests
LARGEST = 1 << 20  # bytes of a request: the environment is in it


class ForkServer:
    """Lives as long as the process that uses it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=theirs.fileno(), env=dict(environment), start_new_session=True
            )

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> "Process":
        """``howdah`` with these arguments in a session of its own; its output is added to `log`."""
        order = {"arguments": arguments, "folder": str(folder), "environment": environment, "log": str(log)}
        return Process(self, self._ask(order))

    def reap(self, pid: int) -> int:
        """The exit status, negative for a signal, of one that has ended."""
        return self._ask({"reap": pid})

    def _ask(self, request: Mapping[str, Any]) -> int:
        self._socket.send(json.dumps(request).encode())
        answer = self._socket.recv(LARGEST)
        assert answer, f"the fork server ended with status {self._process.wait()}"
        return int(answer)


class Process:
    """One that was forked: the names and meanings are those of ``subprocess.Popen``."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not readable(self._handle, timeout):
                raise subprocess.TimeoutExpired("howdah", timeout or 0)
            self.returncode = self._server.reap(self.pid)
            os.close(self._handle)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve() -> list[str] | None:
    """Answer requests; returns in each child, with its arguments, and at the end without."""
    with socket.socket(fileno=CHANNEL) as channel:
        while request := channel.recv(LARGEST):
            order = json.loads(request)
            if "reap" in order:
                _, status = os.waitpid(order["reap"], 0)
                channel.send(b"%d" % os.waitstatus_to_exitcode(status))
                continue
            child = os.fork()
            if child == 0:
                channel.close()
                become(order)
                arguments: list[str] = order["arguments"]
                return arguments
            channel.send(b"%d" % child)
    return None


def become(order: Mapping[str, Any]) -> None:
    """What ``subprocess`` would do between fork and exec."""
    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    assert nothing == CHANNEL, "the requests were read from there"
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    import howdah.control.config.load
    import howdah.control.supervisor  # noqa: F401
    from howdah.cli import main

    gc.freeze()  # what all share need not be looked through, and copied by that, at the end of each
    given = serve()
    if given is not None:
        sys.argv = ["howdah", *given]
        main()
