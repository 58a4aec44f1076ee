"""Measurements of a process that has just been started: when it answers, and what clients add to its memory."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from socket import socket

from bench import cpu
from bench.idle_clients import IdleClients, await_ready, log_in
from bench.meter import Metrics
from bench.targets import POOL_SIZE, Target
from bench.wire import SYNC, TERMINATE, Connection, parse


def memory_of(count: int) -> Callable[[Target, int], Metrics]:
    """What `count` idle clients add to the memory of a fresh process."""

    def measure(target: Target, seconds: int) -> Metrics:
        del seconds
        with target:
            assert target.pid is not None
            with Connection(target.port) as connection:
                connection.run("SELECT 1")
            empty = cpu.memory(target.pid)
            with IdleClients(target.port, count):
                full = cpu.memory(target.pid)
        return {
            "empty_rss_kib": float(empty.rss_kib),
            "empty_pss_kib": float(empty.pss_kib),
            "full_rss_kib": float(full.rss_kib),
            "client_kib": (full.rss_kib - empty.rss_kib) / count,
        }

    return measure


def statements_of(count: int, size: int) -> list[bytes]:
    """`count` statements of `size` bytes, no two the same, that cost PostgreSQL next to nothing."""
    texts = [f"SELECT {number} + $1::int -- " for number in range(count)]
    return [(text + "x" * (size - len(text))).encode() for text in texts]


def preparation(statements: list[bytes], first: int = 0) -> bytes:
    """One pipeline that prepares all of them from the `first` on, named in order as psycopg does."""
    in_order = statements[first:] + statements[:first]
    return b"".join(parse(f"_pg3_{number}", text) for number, text in enumerate(in_order)) + SYNC


def memory_of_statements(clients: int, count: int, size: int, *, same_order: bool) -> Callable[[Target, int], Metrics]:
    """What it adds to the memory of `clients` idle clients when each prepares the same `count` statements.

    In the same order a name means the same to all of them; else the clients begin at different statements.
    """
    statements = statements_of(count, size)

    def prepare(client: socket, number: int) -> None:
        client.sendall(preparation(statements, 0 if same_order else number % count))
        await_ready(client)

    def measure(target: Target, seconds: int) -> Metrics:
        del seconds
        with target:
            assert target.pid is not None
            crowd = log_in(target.port, clients)
            idle = cpu.memory(target.pid)
            with ThreadPoolExecutor(POOL_SIZE) as pool:  # as many at a time as there are servers: all get some
                list(pool.map(prepare, crowd, range(clients)))
            full = cpu.memory(target.pid)
            for client in crowd:
                client.close()
        return {
            "idle_rss_kib": float(idle.rss_kib),
            "full_rss_kib": float(full.rss_kib),
            "grown_kib": float(full.rss_kib - idle.rss_kib),
        }

    return measure


def first_query(target: Target, seconds: int) -> Metrics:
    """From starting the process to the answer of the first query."""
    began = time.perf_counter()
    target.launch()
    try:
        while True:
            try:
                with Connection(target.port) as connection:
                    connection.run("SELECT 1")
                    taken = time.perf_counter() - began
                    connection.socket.sendall(TERMINATE)
                return {"first_query_ms": taken * 1000}
            except ConnectionRefusedError:
                if time.perf_counter() - began > 10 + seconds:
                    raise
            time.sleep(0.002)
    finally:
        target.stop()
