"""Many clients at the same moment: each logs in, runs one transaction and stays connected until the crowd goes home.

Staying is what applications do: each of their processes keeps its connections open.  The crowd is spread over a few
processes, each with one epoll; results are times and outcomes a client.
"""

import multiprocessing
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from multiprocessing.connection import Connection as Pipe
from multiprocessing.sharedctypes import SynchronizedArray
from typing import cast

from bench.wire import error_fields, messages, query, startup


class Outcome(IntEnum):
    """How it ended for a client.  The order is that of the shared counters."""

    SERVED = 0
    REFUSED = 1  # an ErrorResponse came
    LOST = 2  # the connection broke without a word
    UNANSWERED = 3  # nothing until the deadline


@dataclass(frozen=True, slots=True)
class Ending:
    """One client's end: seconds after the start, and what PostgreSQL said if it refused."""

    outcome: Outcome
    at: float
    text: str = ""


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    number: int
    logged_in: bool = False
    greeted: bool = False
    buffer: bytearray = field(default_factory=bytearray)


class _Crew:
    """The clients of one process."""

    def __init__(self, port: int, numbers: range, sql: str, deadline: float, counts: "SynchronizedArray[int]") -> None:
        self._address, self._sql, self._deadline, self._counts = ("127.0.0.1", port), sql, deadline, counts
        self._packet = startup("bench", "bench")
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._numbers = numbers
        self.endings: list[Ending] = []
        self.staying: list[socket.socket] = []

    def run(self) -> None:
        """Until each has ended."""
        self._began = time.monotonic()
        for number in self._numbers:
            self._connect(number)
        while self._clients and time.monotonic() < self._deadline:
            for fd, _ in self._poll.poll(0.1):
                self._serve(self._clients[fd])
        for client in list(self._clients.values()):
            self._end(client, Outcome.UNANSWERED)

    def _connect(self, number: int) -> None:
        client = _Client(socket.socket(), number)
        client.socket.setblocking(False)
        self._clients[client.socket.fileno()] = client
        client.socket.connect_ex(self._address)
        self._poll.register(client.socket.fileno(), select.EPOLLOUT)

    def _serve(self, client: _Client) -> None:
        try:
            if not client.greeted:
                client.socket.sendall(self._packet)
                client.greeted = True
                self._poll.modify(client.socket.fileno(), select.EPOLLIN)
                return
            data = client.socket.recv(16384)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(client, Outcome.LOST, os.strerror(error.errno or 0))
            return
        if not data:
            self._end(client, Outcome.LOST, "closed")
            return
        client.buffer += data
        for kind, body in messages(client.buffer):
            if kind == "E":
                self._end(client, Outcome.REFUSED, error_fields(body).get("M", ""))
                return
            if kind == "Z":
                self._ready(client)

    def _ready(self, client: _Client) -> None:
        if client.logged_in:
            self._end(client, Outcome.SERVED)
        else:
            client.logged_in = True
            client.socket.sendall(query(self._sql.format(number=client.number)))

    def _end(self, client: _Client, outcome: Outcome, text: str = "") -> None:
        self.endings.append(Ending(outcome, time.monotonic() - self._began, text))
        with self._counts.get_lock():
            self._counts[outcome] += 1
        fd = client.socket.fileno()
        self._poll.unregister(fd)
        del self._clients[fd]
        if outcome is Outcome.SERVED:
            self.staying.append(client.socket)
        else:
            # nothing of ours is to linger in PostgreSQL's backlog
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()


def _crew(pipe: Pipe, port: int, numbers: range, sql: str, seconds: float, counts: "SynchronizedArray[int]") -> None:
    """A process of the crowd: ready, go, endings, home."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    pipe.send("ready")
    start_at = cast("float", pipe.recv())
    time.sleep(max(0.0, start_at - time.monotonic()))
    crew = _Crew(port, numbers, sql, start_at + seconds, counts)
    crew.run()
    pipe.send(crew.endings)
    pipe.recv()
    for client in crew.staying:
        client.close()


class Crowd:
    """`count` clients of `port`, each to run `sql` ({number} is its own number)."""

    def __init__(self, port: int, count: int, sql: str, seconds: float = 30.0) -> None:
        context = multiprocessing.get_context("fork")
        self.count = count
        self.counts: SynchronizedArray[int] = context.Array("i", len(Outcome))
        crews = max(2, min(4, os.cpu_count() or 1))
        shares = [range(first, count, crews) for first in range(crews)]
        pairs = [context.Pipe() for _ in shares]
        self._pipes = [ours for ours, _ in pairs]
        self._processes = [
            context.Process(target=_crew, args=(theirs, port, share, sql, seconds, self.counts), daemon=True)
            for (_, theirs), share in zip(pairs, shares, strict=True)
        ]

    def run(self, watch: Callable[[float], None]) -> list[Ending]:
        """Let them all go at the same moment; `watch` is called every 20 ms or so with the seconds since."""
        for process in self._processes:
            process.start()
        for pipe in self._pipes:
            pipe.recv()
        start_at = time.monotonic() + 0.1
        for pipe in self._pipes:
            pipe.send(start_at)
        endings: list[Ending] = []
        waiting = list(self._pipes)
        while waiting:
            for pipe in [pipe for pipe in waiting if pipe.poll(0.02 / len(waiting))]:
                endings += cast("list[Ending]", pipe.recv())
                waiting.remove(pipe)
            watch(time.monotonic() - start_at)
        return endings

    def so_far(self) -> list[int]:
        """How many ended, by outcome."""
        return self.counts[:]

    def go_home(self) -> None:
        """Close all connections."""
        for pipe in self._pipes:
            pipe.send("home")
        for process in self._processes:
            process.join()
