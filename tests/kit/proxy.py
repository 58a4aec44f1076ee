"""A network that can fail: a TCP proxy between two parties, obedient to the test.

``network.cut()`` resets what is connected, ``refuse()`` closes the door, ``blackhole()`` swallows every byte,
``delay(0.1)`` and ``throttle(10_000)`` slow things down, ``cut_after(1000)`` breaks off inside a message, and
``heal()`` ends all of it.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.kit.deadline import wait_until
from tests.kit.ports import take_port

CHUNK = 65536


@dataclass
class _Weather:
    """What happens to bytes now; read by every pump before each chunk."""

    delay: float = 0.0
    rate: float = 0.0  # bytes a second, 0 for no limit
    swallow: bool = False
    cut_after: int | None = None  # bytes towards the client until all is cut
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Network:
    """Use as a context manager.  `address` is where to connect; everything goes on to `target`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.host, self.port = "127.0.0.1", take_port()
        self.connections_seen = 0
        self.bytes_to_client = 0
        self._weather = _Weather()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # what a test says

    def cut(self) -> None:
        """Reset every connection there is; new ones are let through."""
        self._call(self._reset_all())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._call(self._shut())

    def blackhole(self) -> None:
        """Connections stay and are accepted, but no byte arrives anywhere any more."""
        self._call(self._change(swallow=True))

    def delay(self, seconds: float) -> None:
        """Each chunk in either direction waits this long."""
        self._call(self._change(delay=seconds))

    def throttle(self, bytes_per_second: float) -> None:
        """Each direction of each connection carries no more than this."""
        self._call(self._change(rate=bytes_per_second))

    def cut_after(self, count: int) -> None:
        """Reset everything when `count` more bytes have gone towards the client."""
        self._call(self._change(cut_after=count))

    def heal(self) -> None:
        """Back to fair weather; what was swallowed is lost."""
        self._call(self._open())
        self._call(self._change(delay=0.0, rate=0.0, swallow=False, cut_after=None))

    def wait_for_connections(self, count: int, within: float = 15.0) -> None:
        wait_until(lambda: self.connections == count, f"{count} connections through the proxy", within)

    # inner: everything below runs on the loop's thread

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _change(self, **weather: float | bool | None) -> None:
        for name, value in weather.items():
            setattr(self._weather, name, value)
        self._weather.changed.set()
        self._weather.changed = asyncio.Event()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port, backlog=1024)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset_all()

    async def _finish(self) -> None:
        await self._change(delay=0.0, rate=0.0)
        await self._shut()
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=10)

    async def _reset_all(self) -> None:
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)
        self._pairs.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_seen += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        pumps = (self._pump(reader, far_writer, False), self._pump(far_reader, writer, True))
        try:
            await asyncio.gather(*pumps)
        finally:
            self._pairs.discard(pair)
            for side in pair:
                side.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self._chunk()):
                await self._suffer(len(data))
                if self._weather.swallow:
                    continue
                if to_client:
                    data, cut = self._count(data)
                    if cut:
                        writer.write(data)
                        await self._reset_all()
                        return
                writer.write(data)
                await writer.drain()
        if not self._weather.swallow:
            writer.close()

    def _chunk(self) -> int:
        return int(min(CHUNK, max(self._weather.rate / 10, 1))) if self._weather.rate else CHUNK

    async def _suffer(self, count: int) -> None:
        """Wait as long as the weather says; a change of weather ends the wait."""
        pause = self._weather.delay + (count / self._weather.rate if self._weather.rate else 0.0)
        if pause:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._weather.changed.wait(), pause)

    def _count(self, data: bytes) -> tuple[bytes, bool]:
        left = self._weather.cut_after
        if left is not None:
            if len(data) >= left:
                self._weather.cut_after = None
                return data[:left], True
            self._weather.cut_after = left - len(data)
        self.bytes_to_client += len(data)
        return data, False


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset instead of an orderly end."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
