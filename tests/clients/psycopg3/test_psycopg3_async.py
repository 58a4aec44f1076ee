"""psycopg 3 on asyncio: many connections at once, and psycopg's own pool over howdah's."""

import asyncio
from typing import Any

import psycopg
import psycopg_pool

from tests.clients.cases import ROUNDS, SHOP
from tests.kit.story import DATABASE, Both, Side

CLIENTS = 8
#: Of both accounts together, whatever is moved between them.
MONEY = 1000


async def connect(side: Side, **settings: Any) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(dbname=DATABASE, prepare_threshold=2, **side.parameters, **settings)


async def open_shop(side: Side) -> None:
    async with await connect(side) as connection:
        for statement in SHOP:
            await connection.execute(statement)
        await connection.execute("INSERT INTO account VALUES (1, 'payer', %s), (2, 'payee', 0)", (MONEY,))


async def transfer(connection: psycopg.AsyncConnection[Any], memo: str) -> int:
    """Move one unit as one transaction; the backend that served it."""
    async with connection.transaction():
        cursor = await connection.execute("SELECT balance, pg_backend_pid() FROM account WHERE id = 1 FOR UPDATE")
        row = await cursor.fetchone()
        assert row is not None
        await connection.execute("UPDATE account SET balance = %s WHERE id = 1", (row[0] - 1,))
        await connection.execute("UPDATE account SET balance = balance + 1 WHERE id = 2")
        await connection.execute(
            "INSERT INTO transfer (payer, payee, amount, memo) VALUES (1, 2, 1, jsonb_build_object('by', %s::text))",
            (memo,),
        )
        return int(row[1])


async def books(side: Side) -> list[Any]:
    async with await connect(side) as connection:
        cursor = await connection.execute("SELECT id, balance FROM account ORDER BY id")
        memos = await connection.execute("SELECT memo ->> 'by', count(*) FROM transfer GROUP BY 1 ORDER BY 1")
        return [await cursor.fetchall(), await memos.fetchall()]


def test_many_connections_at_once(both: Both) -> None:
    async def client(side: Side, number: int) -> None:
        async with await connect(side, autocommit=True) as connection:
            for _ in range(ROUNDS):
                side.serves(number, await transfer(connection, f"client {number}"))

    async def story(side: Side) -> None:
        await open_shop(side)
        await asyncio.gather(*(client(side, number) for number in range(CLIENTS)))
        side.note("books", await books(side))

    for side in both:
        asyncio.run(story(side))


def test_a_pool_over_the_pool(both: Both) -> None:
    async def story(side: Side) -> None:
        await open_shop(side)
        address = psycopg.conninfo.make_conninfo("", dbname=DATABASE, **side.parameters)
        async with psycopg_pool.AsyncConnectionPool(address, min_size=4, max_size=4) as pool:
            names: dict[int, str] = {}

            async def request(number: int) -> None:
                async with pool.connection() as connection:
                    pid = await transfer(connection, f"request {number % 5}")
                    side.serves(names.setdefault(id(connection), f"connection {len(names)}"), pid)

            for start in range(0, 8 * ROUNDS, 12):
                await asyncio.gather(*(request(number) for number in range(start, start + 12)))
        side.note("books", await books(side))

    for side in both:
        asyncio.run(story(side))


def test_a_task_that_is_cancelled(both: Both) -> None:
    """The driver sends a cancel request for the query the task was waiting for, and the connection goes on."""

    async def story(side: Side) -> None:
        async with await connect(side, autocommit=True) as connection, await connect(side, autocommit=True) as observer:
            for n in range(3):
                task = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
                while not await is_asleep(observer):
                    pass
                task.cancel()
                side.note("cancelled", (await asyncio.gather(task, return_exceptions=True))[0].__class__.__name__)
                side.note("usable", await (await connection.execute("SELECT %s::int", (n,))).fetchall())
            for _ in range(ROUNDS):
                row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
                assert row is not None
                side.serves("one", row[0])

    for side in both:
        asyncio.run(story(side))


async def is_asleep(observer: psycopg.AsyncConnection[Any]) -> bool:
    cursor = await observer.execute(
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'"
    )
    return bool(await cursor.fetchall())
