"""``python -m bench.idle_clients PORT COUNT``: log COUNT clients in, say "ready", keep them until standard input ends.

A process of its own, and plain blocking sockets: what it costs is not to show in anything measured.
"""

import socket
import subprocess
import sys
from types import TracebackType
from typing import Self

from bench.places import ROOT
from bench.wire import startup

BATCH = 100  # logins under way at a time: fewer than any listen backlog


def log_in(port: int, count: int) -> list[socket.socket]:
    """`count` clients that have got their ReadyForQuery."""
    packet = startup("bench", "bench")
    clients: list[socket.socket] = []
    while len(clients) < count:
        batch = [
            socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(min(BATCH, count - len(clients)))
        ]
        for client in batch:
            client.sendall(packet)
        for client in batch:
            await_ready(client)
        clients += batch
    return clients


def await_ready(client: socket.socket) -> None:
    """Read until ReadyForQuery, which is the last of a login's messages."""
    tail = b""
    while not tail.endswith(b"Z\0\0\0\x05I"):
        data = client.recv(4096)
        if not data:
            raise ConnectionError(f"refused: {tail!r}")
        tail = (tail + data)[-64:]


class IdleClients:
    """`count` idle clients of `port` in a process of their own, for as long as the context lasts."""

    def __init__(self, port: int, count: int) -> None:
        self._count = count
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.idle_clients", str(port), str(count)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"{self._count} idle clients could not log in")
        return self

    def close(self) -> None:
        self._process.communicate()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


if __name__ == "__main__":
    kept = log_in(int(sys.argv[1]), int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
