"""A server that knows one user, SCRAM-SHA-256, one answer, prepared statements and COPY FROM STDIN.

Python's own ssl and hashlib judge what comes, and a dictionary a client what it has prepared.
"""

import base64
import hashlib
import hmac
import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Self

READY = b"Z\0\0\0\x05I"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


class FakePostgres:
    """Serves until the context ends.  `secret` is a SCRAM secret as PostgreSQL stores it; "" lets everybody in."""

    def __init__(self, secret: str = "", tls: ssl.SSLContext | None = None, answer: bytes = b"") -> None:
        self._secret, self._tls, self._answer = secret, tls, answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self.port: int = self._listener.getsockname()[1]
        self.resumed = 0
        self.parsed: list[bytes] = []  # texts
        self.executed: list[bytes] = []
        self.copied = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(20)
                if self._tls is None:
                    self._talk(client)
                    return
                assert self._read_startup(client) == struct.pack("!I", 80877103)
                client.sendall(b"S")
                with self._tls.wrap_socket(client, server_side=True) as secured:
                    self.resumed += bool(secured.session_reused)
                    self._talk(secured)
        except OSError:
            pass  # the client hung up

    def _talk(self, client: socket.socket) -> None:
        assert b"user\0bench\0database\0bench\0" in self._read_startup(client)
        if self._secret and not self._scram(client):
            fields = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"
            client.sendall(message(b"E", fields))
            return
        client.sendall(message(b"R", struct.pack("!I", 0)) + message(b"S", b"TimeZone\0UTC\0") + READY)
        statements: dict[bytes, bytes] = {}
        while (taken := self._read(client))[0] != b"X":
            self._answer_to(client, *taken, statements)

    def _answer_to(self, client: socket.socket, kind: bytes, body: bytes, statements: dict[bytes, bytes]) -> None:
        if kind == b"Q" and b"FROM STDIN" in body:
            client.sendall(message(b"G", b"\0\0\0"))
            while (taken := self._read(client))[0] == b"d":
                self.copied += taken[1]
            client.sendall(message(b"C", b"COPY %d\0" % self.copied.count(b"\n")) + READY)
        elif kind == b"Q":
            client.sendall((self._answer or message(b"C", b"SELECT 1\0")) + READY)
        elif kind == b"P":
            name, text = body.split(b"\0")[:2]
            statements[name] = text
            self.parsed.append(text)
            client.sendall(message(b"1", b""))
        elif kind == b"B":
            self.executed.append(statements[body.split(b"\0")[1]])
            client.sendall(message(b"2", b""))
        elif kind == b"E":
            client.sendall(message(b"C", b"SELECT 0\0"))
        elif kind == b"S":
            client.sendall(READY)

    def _scram(self, client: socket.socket) -> bool:
        iterations, salt, stored, server = self._parts()
        client.sendall(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
        first = self._read(client)[1].partition(b"n,,")[2].decode()
        nonce = first.partition("r=")[2] + "fromtheserver"
        challenge = f"r={nonce},s={salt},i={iterations}"
        client.sendall(message(b"R", struct.pack("!I", 11) + challenge.encode()))
        final, _, proof = self._read(client)[1].decode().rpartition(",p=")
        said = f"{first},{challenge},{final}".encode()
        mask = hmac.digest(stored, said, "sha256")
        key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), mask, strict=True))
        if hashlib.sha256(key).digest() != stored or final != f"c=biws,r={nonce}":
            return False
        signature = base64.b64encode(hmac.digest(server, said, "sha256"))
        client.sendall(message(b"R", struct.pack("!I", 12) + b"v=" + signature))
        return True

    def _parts(self) -> tuple[int, str, bytes, bytes]:
        _, counted, keys = self._secret.split("$")
        iterations, salt = counted.split(":")
        stored, server = keys.split(":")
        return int(iterations), salt, base64.b64decode(stored), base64.b64decode(server)

    def _read_startup(self, client: socket.socket) -> bytes:
        (length,) = struct.unpack("!I", self._take(client, 4))
        return self._take(client, length - 4)

    def _read(self, client: socket.socket) -> tuple[bytes, bytes]:
        kind, length = struct.unpack("!cI", self._take(client, 5))
        return kind, self._take(client, length - 4)

    @staticmethod
    def _take(client: socket.socket, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            some = client.recv(count - len(taken))
            if not some:
                raise ConnectionResetError
            taken += some
        return taken
