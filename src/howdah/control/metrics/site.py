"""The HTTP listener: /metrics, /healthz, /readyz.

It has a thread and an event loop of its own, so that a long scrape delays no login that the control plane answers, and
so that it goes on answering while clients are drained.  starlette and uvicorn are imported here and nowhere else: who
does not ask for a listener does not pay for them.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import h11
import uvicorn
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from howdah.control.config import StartError
from howdah.control.listen import tcp_addresses, tcp_socket
from howdah.control.metrics.families import Sample, families
from howdah.control.metrics.health import Answer, Health

_BACKLOG = 64
#: Scrapes and probes at a time; more are told 503.
_MOST_AT_ONCE = 64
#: Connections, as long as there is one that asks for nothing, and could go.
_MOST_CONNECTIONS = 48
_GRACE_S = 1
_LARGEST_HEAD_BYTES = 16384


class _Collector:
    def __init__(self, take: Callable[[], Sample]) -> None:
        self._take = take

    def collect(self) -> Iterator[Metric]:
        return families(self._take())


class _Connection(H11Protocol):
    """One that comes when there are many has the oldest go that asks for nothing: who only holds connections open must
    not keep probes away.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.since = self.loop.time()
        if len(self.connections) > _MOST_CONNECTIONS:
            others = [each for each in self.connections if isinstance(each, _Connection) and each is not self]
            idle = [each for each in others if each.conn.our_state is h11.IDLE and not each.transport.is_closing()]
            if idle:
                min(idle, key=lambda each: each.since).transport.close()


class Site:
    """Answers on these listening sockets from `open` to `close`, which closes them."""

    def __init__(self, sockets: Sequence[socket.socket], take: Callable[[], Sample], health: Health) -> None:
        self._sockets = sockets
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(take))
        ProcessCollector(registry=self._registry)
        self._registry.register(PLATFORM_COLLECTOR)
        self._registry.register(GC_COLLECTOR)
        self._health = health
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=self._routes()),
                log_config=None, access_log=False, lifespan="off", ws="none", http=_Connection, loop="asyncio",
                server_header=False, limit_concurrency=_MOST_AT_ONCE, timeout_graceful_shutdown=_GRACE_S,
                h11_max_incomplete_event_size=_LARGEST_HEAD_BYTES,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._server.run, args=(self._sockets,), name="http", daemon=True)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """What it listens on."""
        return self._sockets

    @property
    def names(self) -> list[str]:
        """As URLs."""
        urls = []
        for each in self._sockets:
            host, port = each.getsockname()[:2]
            urls.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        return urls

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_GRACE_S + 1)
        for each in self._sockets:
            each.close()

    def _routes(self) -> list[Route]:
        # Plain functions: starlette runs them on a thread, and a probe is not kept waiting by a scrape.
        return [
            Route("/metrics", self._metrics),
            Route("/healthz", lambda _: _told(self._health.alive())),
            Route("/readyz", lambda _: _told(self._health.ready())),
            Route("/", lambda _: PlainTextResponse("howdah: /metrics, /healthz, /readyz\n")),
        ]

    def _metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": content_type})


def _told(answer: Answer) -> Response:
    return PlainTextResponse(answer.text + "\n", status_code=200 if answer.good else 503)


def listen_for_http(addresses: Sequence[str], port: int, *, alone: bool) -> list[socket.socket]:
    """`alone`: where another process has the port already, it is not shared."""
    bound: list[socket.socket] = []
    with contextlib.ExitStack() as opened:  # closed again, unless it comes to all of them
        for address in addresses:
            try:
                for family, place in tcp_addresses(address, port, "http_addr"):
                    bound.append(opened.enter_context(tcp_socket(family, place, alone=alone)))
                    bound[-1].listen(_BACKLOG)
            except OSError as failure:
                raise StartError(
                    f"cannot listen for HTTP on {address}:{port}: {failure.strerror or failure}; "
                    "choose another http_port, or set http_addr to an address of this machine"
                ) from None
        opened.pop_all()
    return bound
