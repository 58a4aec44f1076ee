"""``python -m bench.drivers DRIVER PORT SECONDS``: Python's drivers at work, some connections in one process.

It gets ready, waits for a line on standard input, runs, and prints what it did: see `bench.poised`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Literal

import asyncpg
import psycopg

from bench.pgbench import percentile
from bench.poised import Done

Name = Literal["asyncpg executemany", "psycopg pipeline"]
#: Runs some statements on its connection and gives their number.
Batch = Callable[[], Awaitable[int]]

CONNECTIONS = 4
ROWS = 1000  # of one executemany
STATEMENTS = 100  # of one pipeline
SELECT = "SELECT abalance FROM pgbench_accounts WHERE aid = %s"
INSERT = "INSERT INTO executed VALUES ($1, $2)"


async def asyncpg_executemany(port: int, stack: AsyncExitStack) -> list[Batch]:
    """INSERT of ROWS rows by one executemany, which is one Parse ever, and Binds and Executes up to one Sync."""
    connections = [
        await asyncpg.connect(host="127.0.0.1", port=port, user="bench", database="bench", ssl=False)
        for _ in range(CONNECTIONS)
    ]
    for connection in connections:
        stack.push_async_callback(connection.close)
    await connections[0].execute("CREATE UNLOGGED TABLE IF NOT EXISTS executed (number int, word text)")
    await connections[0].execute("TRUNCATE executed")
    rows = [(number, "word") for number in range(ROWS)]

    def batch_of(connection: asyncpg.Connection) -> Batch:
        async def batch() -> int:
            await connection.executemany(INSERT, rows)
            return len(rows)

        return batch

    return [batch_of(connection) for connection in connections]


async def psycopg_pipeline(port: int, stack: AsyncExitStack) -> list[Batch]:
    """STATEMENTS times the same prepared SELECT in one pipeline."""
    where = f"host=127.0.0.1 port={port} user=bench dbname=bench sslmode=disable"
    connections = [await psycopg.AsyncConnection.connect(where, autocommit=True) for _ in range(CONNECTIONS)]
    for connection in connections:
        stack.push_async_callback(connection.close)

    def batch_of(connection: psycopg.AsyncConnection) -> Batch:
        async def batch() -> int:
            async with connection.pipeline():
                cursors = [await connection.execute(SELECT, (aid,), prepare=True) for aid in range(1, STATEMENTS + 1)]
            return sum([len(await cursor.fetchall()) for cursor in cursors])

        return batch

    return [batch_of(connection) for connection in connections]


DRIVERS: dict[Name, Callable[[int, AsyncExitStack], Awaitable[list[Batch]]]] = {
    "asyncpg executemany": asyncpg_executemany,
    "psycopg pipeline": psycopg_pipeline,
}


async def repeat(batch: Batch, end: float, took: list[float]) -> int:
    """One batch after the other until the clock shows `end`; the statements of all of them."""
    statements = 0
    while (began := time.monotonic()) < end:
        statements += await batch()
        took.append(time.monotonic() - began)
    return statements


async def run(batches: list[Batch], seconds: float) -> Done:
    """All connections at once."""
    began, used, took = time.monotonic(), time.process_time(), list[float]()
    statements = sum(await asyncio.gather(*(repeat(batch, began + seconds, took) for batch in batches)))
    wall, cpu_s = time.monotonic() - began, time.process_time() - used
    p50, p95, p99 = (1e6 * percentile(sorted(took), share) for share in (0.50, 0.95, 0.99))
    return Done(statements, wall, cpu_s, p50, p95, p99)


async def main(name: Name, port: int, seconds: float) -> None:
    async with AsyncExitStack() as stack:
        batches = await DRIVERS[name](port, stack)
        for batch in batches:
            await batch()  # prepares
        print("ready", flush=True)
        if sys.stdin.readline():
            print(json.dumps(asdict(await run(batches, seconds))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))  # type: ignore[arg-type]
