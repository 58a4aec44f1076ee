"""A server that plays a part: what PostgreSQL never says, or what somebody between us might.

``with Impostor(part) as impostor`` runs `part` for each connection on a thread of its own.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.kit import wire
from tests.kit.certs import Pair
from tests.kit.ports import take_port
from tests.kit.tls_client import ALPN

Part = Callable[["Peer"], None]


class Peer:
    """One connection, seen from the server.  Reads end with `OSError` when the other side has gone."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.startup: bytes = b""

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def read_bytes(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            piece = self.socket.recv(count - len(got))
            if not piece:
                raise ConnectionResetError("the other side has gone")
            got += piece
        return bytes(got)

    def read_packet(self) -> bytes:
        """A first packet's body: what follows its length."""
        (length,) = struct.unpack("!i", self.read_bytes(4))
        return self.read_bytes(length - 4)

    def read_message(self) -> tuple[bytes, bytes]:
        """Type and body."""
        tag = self.read_bytes(1)
        return tag, self.read_packet()

    def read_startup(self, tls: bytes = b"N") -> bytes:
        """The startup packet; SSLRequests before it are answered."""
        while (packet := self.read_packet()) == wire.SSL_REQUEST_CODE.to_bytes(4):
            self.send(tls)
        self.startup = packet
        return packet

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def wait_for_end(self) -> None:
        """Until the other side closes; what it sends is thrown away."""
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass

    def log_in(self) -> None:
        """Everything up to the first ReadyForQuery, as a server that trusts everybody."""
        settings = {"server_version": "15.0", "client_encoding": "UTF8", "standard_conforming_strings": "on"}
        told = [wire.message(b"S", wire.cstring(name) + wire.cstring(value)) for name, value in settings.items()]
        key = wire.message(b"K", struct.pack("!ii", 1, 1))
        self.send(wire.authentication(wire.AUTHENTICATION_OK), *told, key, wire.message(b"Z", b"I"))

    def relay(self, address: tuple[str, int]) -> None:
        """From now on, be a wire to somebody else."""
        with socket.create_connection(address) as far:
            back = threading.Thread(target=pump, args=(far, self.socket), daemon=True)
            back.start()
            pump(self.socket, far)
            back.join(10)


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way until either side has gone."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class Impostor:
    """Use as a context manager.  A part that fails fails the test; one that is hung up on does not."""

    def __init__(self, part: Part) -> None:
        self.host, self.port = "127.0.0.1", take_port()
        self.connections = 0
        self._part = part
        self._errors: list[Exception] = []
        self._listening = socket.create_server((self.host, self.port), backlog=128)
        self._open: list[Peer] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        if self._errors and error is None:
            raise self._errors[0]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._play, args=(Peer(connected),), daemon=True).start()

    def _play(self, peer: Peer) -> None:
        self._open.append(peer)
        try:
            self._part(peer)
        except OSError:
            pass  # hung up on
        except Exception as error:  # handed to the test's thread
            self._errors.append(error)
        finally:
            peer.socket.close()


def server_context(pair: Pair, *, alpn: bool = True) -> ssl.SSLContext:
    """TLS as a server offers it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if alpn:
        context.set_alpn_protocols([ALPN])
    return context
