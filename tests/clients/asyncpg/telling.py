"""How a story is told with asyncpg: binary protocol, every statement prepared under a name and kept in a cache."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.clients.cases import SHOP
from tests.kit.story import DATABASE, Both, Side

Connection = Any
Story = Callable[[Side, Connection], Awaitable[None]]


@asynccontextmanager
async def connected(side: Side, **settings: Any) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database=DATABASE, **side.parameters, **settings)
    try:
        yield connection
    finally:
        await connection.close()


def tell(both: Both, story: Story, **settings: Any) -> None:
    """The story with one connection, on both sides."""

    async def told(side: Side) -> None:
        async with connected(side, **settings) as connection:
            await story(side, connection)

    for side in both:
        asyncio.run(told(side))


async def open_shop(connection: Connection) -> None:
    for statement in SHOP:
        await connection.execute(statement)


async def locate(side: Side, connection: Connection, name: str = "one") -> None:
    side.serves(name, await connection.fetchval("SELECT pg_backend_pid()"))


async def attempt(work: Awaitable[Any]) -> str:
    try:
        await work
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return "no error"
