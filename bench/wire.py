"""As much of a PostgreSQL client as the benches need: log in by trust, run a query, copy in, wait for a port."""

import socket
import struct
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self


class Refused(Exception):
    """The server answered with an ErrorResponse."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(f"{fields.get('S')} {fields.get('C')}: {fields.get('M')}")
        self.sqlstate = fields.get("C", "")
        self.text = fields.get("M", "")


def free_port() -> int:
    """A TCP port of the loopback address nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def startup(user: str, database: str) -> bytes:
    """A StartupMessage of protocol 3.0."""
    body = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database)) + b"\0"
    return struct.pack("!II", len(body) + 8, 0x30000) + body


def query(sql: str) -> bytes:
    """A Query message."""
    return b"Q" + struct.pack("!I", len(sql.encode()) + 5) + sql.encode() + b"\0"


def parse(name: str, sql: bytes) -> bytes:
    """A Parse message that leaves the types of parameters to PostgreSQL."""
    body = name.encode() + b"\0" + sql + b"\0\0\0"
    return b"P" + struct.pack("!I", len(body) + 4) + body


def copy_data(data: bytes) -> bytes:
    """A CopyData message."""
    return b"d" + struct.pack("!I", len(data) + 4) + data


SYNC = b"S\0\0\0\x04"
COPY_DONE = b"c\0\0\0\x04"
TERMINATE = b"X\0\0\0\x04"


def error_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse by their letter."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def messages(buffer: bytearray) -> list[tuple[str, bytes]]:
    """Take the complete backend messages off the front of `buffer`."""
    found = []
    while len(buffer) >= 5:
        end = 1 + int.from_bytes(buffer[1:5])
        if len(buffer) < end:
            break
        found.append((chr(buffer[0]), bytes(buffer[5:end])))
        del buffer[:end]
    return found


class Connection:
    """A blocking connection that has logged in; `greeting` is all PostgreSQL sent until it was ready."""

    def __init__(self, port: int, user: str = "bench", database: str = "bench", timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.greeting = b""
        self._buffer = bytearray()
        try:
            self.socket.sendall(startup(user, database))
            self._until_ready()
        except BaseException:
            self.socket.close()
            raise

    def run(self, sql: str) -> list[list[str | None]]:
        """The rows of a simple query, as text."""
        self.socket.sendall(query(sql))
        return [_row(body) for kind, body in self._until_ready() if kind == "D"]

    def copy_in(self, sql: str, messages: Iterable[bytes]) -> str:
        """The tag of a COPY FROM STDIN that takes all the CopyData messages."""
        self.socket.sendall(query(sql))
        self._until("G")
        for some in messages:
            self.socket.sendall(some)
        self.socket.sendall(COPY_DONE)
        return next(body[:-1].decode() for kind, body in self._until("Z") if kind == "C")

    def _until_ready(self) -> list[tuple[str, bytes]]:
        return self._until("Z")

    def _until(self, last: str) -> list[tuple[str, bytes]]:
        seen: list[tuple[str, bytes]] = []
        while not seen or seen[-1][0] != last:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the connection was closed")
            self.greeting += data
            self._buffer += data
            seen += messages(self._buffer)
            for kind, body in seen:
                if kind == "E":
                    raise Refused(error_fields(body))
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def _row(body: bytes) -> list[str | None]:
    (count,) = struct.unpack_from("!H", body)
    at, row = 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        row.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return row


def ask_for_tls(port: int) -> bool:
    """Send an SSLRequest and hang up; whether the server would have gone on with TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(struct.pack("!II", 8, 80877103))
        answer = client.recv(1)
    if answer not in {b"S", b"N"}:
        raise ConnectionError(f"the answer to an SSLRequest was {answer!r}")
    return answer == b"S"


def wait_for_login(
    port: int,
    *,
    seconds: float = 30.0,
    pause: float = 0.05,
    user: str = "bench",
    database: str = "bench",
    secured: bool = False,
    alive: Callable[[], bool] = lambda: True,
) -> None:
    """Return when a client can log in on `port`; the last error after `seconds` or when no longer `alive`.

    A `secured` server is there when it answers the question for TLS, with yes or with no.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if secured:
                ask_for_tls(port)
                return
            with Connection(port, user, database) as connection:
                connection.socket.sendall(TERMINATE)
                return
        except (OSError, Refused):
            if time.monotonic() > deadline or not alive():
                raise
        time.sleep(pause)
