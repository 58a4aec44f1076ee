"""Replication as its clients do it: by hand, message by message, and with PostgreSQL's own programs."""

import os
import signal
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import PATIENCE
from tests.kit.fix_pooler import Server
from tests.kit.postgres import REPLICATOR, Postgres

PHYSICAL, LOGICAL = "true", "database"


def replicator(server: Server, kind: str, database: str = "app", **parameters: str) -> Client:
    """A logged-in replication client."""
    return server.client(REPLICATOR, database, replication=kind, **parameters)


def number_of(lsn: str) -> int:
    """A log sequence number, "0/16B3748", as the messages have it."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def stream(client: Client, slot: str = "") -> str:
    """Begin a stream of physical replication at the current end of the log, which is returned."""
    position = client.query("IDENTIFY_SYSTEM").rows[0][2]
    assert position is not None
    client.send(wire.query(f"START_REPLICATION {f'SLOT {slot}' if slot else ''} PHYSICAL {position}"))
    assert client.read().tag == "W"
    return position


def status_update(lsn: int, *, answer: bool = False) -> bytes:
    """Standby status update: written, flushed and applied up to there; `answer` asks for a keepalive."""
    return wire.copy_data(struct.pack("!cQQQQB", b"r", lsn, lsn, lsn, 0, answer))


def read_log(client: Client, up_to: int) -> None:
    """Read what is streamed until the log has come up to that position."""
    while True:
        reply = client.read()
        assert reply.tag == "d", reply
        if reply.body[:1] == b"w":
            (start,) = struct.unpack_from("!Q", reply.body, 1)
            if start + len(reply.body) - 25 >= up_to:
                return


class Program:
    """One of PostgreSQL's programs, at work between `with` and its end."""

    def __init__(self, postgres: Postgres, server: Server, name: str, *arguments: str | Path) -> None:
        host, port = server.address
        environment = {**os.environ, "PGHOST": host, "PGPORT": str(port), "PGUSER": REPLICATOR}
        self.name = name
        self.process = subprocess.Popen(
            [postgres.binaries / name, *arguments], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def succeed(self, within: float = 60.0) -> str:
        """Wait for its end: what it said."""
        said, _ = self.process.communicate(timeout=within * PATIENCE)
        assert self.process.returncode == 0, f"{self.name} ended with {self.process.returncode}: {said}"
        return said

    def interrupt(self) -> str:
        """Ctrl-C, by which those that stream end well."""
        self.process.send_signal(signal.SIGINT)
        return self.succeed()


def run(postgres: Postgres, server: Server, name: str, *arguments: str | Path) -> str:
    """Run one to its end."""
    with Program(postgres, server, name, *arguments) as program:
        return program.succeed()
