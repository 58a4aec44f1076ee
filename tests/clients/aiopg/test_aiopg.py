"""aiopg: psycopg2 on asyncio, with a pool of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiopg
import psycopg2

from tests.clients.cases import ROUNDS, SHOP
from tests.kit.story import DATABASE, Both, Side


def tell(both: Both, story: Callable[[Side, aiopg.Pool], Awaitable[None]]) -> None:
    """The story with a pool of four connections and an open shop."""

    async def told(side: Side) -> None:
        async with aiopg.create_pool(database=DATABASE, minsize=4, maxsize=4, **side.parameters) as pool:
            with await pool.cursor() as cursor:
                for statement in SHOP:
                    await cursor.execute(statement)
            await story(side, pool)

    for side in both:
        asyncio.run(told(side))


def test_transactions_of_many_tasks(both: Both) -> None:
    async def story(side: Side, pool: aiopg.Pool) -> None:
        names: dict[int, str] = {}

        async def request(n: int) -> Any:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                async with cursor.begin():
                    await cursor.execute(
                        "INSERT INTO account (id, owner, balance) VALUES (%s, %s, 1)", (n, f"owner {n}")
                    )
                    async with cursor.begin_nested() as _:
                        await cursor.execute("UPDATE account SET balance = balance + %s WHERE id = %s", (n, n))
                await cursor.execute("SELECT balance, pg_backend_pid() FROM account WHERE id = %s", (n,))
                balance, pid = await cursor.fetchone()
                side.serves(names.setdefault(id(connection.raw), f"connection {len(names)}"), pid)
                return balance

        for start in range(0, 6 * ROUNDS, 12):
            side.note("balances", await asyncio.gather(*(request(n) for n in range(start, start + 12))))

    tell(both, story)


def test_errors_leave_a_connection_usable(both: Both) -> None:
    async def story(side: Side, pool: aiopg.Pool) -> None:
        async with pool.acquire() as connection, connection.cursor() as cursor:
            for n in range(ROUNDS):
                side.note("error", await attempt(cursor.execute("SELECT 1 / %s", (0,))))
                await cursor.execute("SELECT %s, pg_backend_pid()", (n,))
                value, pid = await cursor.fetchone()
                side.note("usable", value)
                side.serves("one", pid)

    tell(both, story)


async def attempt(work: Awaitable[Any]) -> str:
    try:
        await work
    except psycopg2.Error as error:
        return str(error.pgcode)
    return "no error"
