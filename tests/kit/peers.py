"""Several poolers that pass cancel requests on to each other, and a peer that only takes them."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler


def introduce(poolers: Sequence[Pooler]) -> None:
    """Number them from 1 on, and let each know all, itself among them, by their Unix sockets."""
    for number, pooler in enumerate(poolers, 1):
        pooler.settings["peer_id"] = number
        pooler.peers = {str(n): {"host": str(peer.folder), "port": peer.port} for n, peer in enumerate(poolers, 1)}


def share_a_port(poolers: Sequence[Pooler]) -> None:
    """That of the first: the kernel gives each connection to one of them.  They are introduced, too."""
    for pooler in poolers:
        pooler.port = poolers[0].port
        pooler.settings |= {"listen_port": pooler.port, "so_reuseport": True}
    introduce(poolers)


def ask_at(pooler: Pooler, client: Client, key: bytes = b"") -> None:
    """Ask this pooler to cancel what `client` runs, wherever that is; returns when it has closed the request."""
    with Client(pooler.socket_path) as request:
        request.send(wire.cancel_request(client.process_id, key or client.secret_key))
        assert request.read_to_end() == []


def peer_pools(pooler: Pooler) -> dict[int, dict[str, int]]:
    """Rows of SHOW PEER_POOLS by peer."""
    return {row.pop("peer_id"): row for row in pooler.admin("SHOW PEER_POOLS")}


class SilentPeer:
    """A context manager: takes cancel requests and keeps them open until told otherwise."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._held:
            connection.close()

    def _take(self) -> None:
        with contextlib.suppress(OSError):  # the listener has been shut
            while True:
                connection, _ = self._listener.accept()
                self._held.append(connection)
                self.requests.append(connection.recv(1000))

    def let_go(self) -> None:
        """Of the one that it has held longest."""
        self._held.pop(0).close()

    @property
    def held(self) -> int:
        return len(self._held)


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """The port of a socket whose line is full, so that who connects to it waits."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        while True:
            queued = open_sockets.enter_context(socket.socket())
            queued.settimeout(0.3)
            try:
                queued.connect(address)
            except TimeoutError:
                break
        yield address[1]
