"""asyncpg: transactions, errors, time-outs and a pool."""

import asyncio

import asyncpg
import pytest

from tests.clients.asyncpg.telling import Connection, attempt, locate, open_shop, tell
from tests.clients.cases import ROUNDS
from tests.kit.story import DATABASE, Both, Side


def test_transactions_within_transactions(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        await open_shop(connection)
        insert = "INSERT INTO account (id, owner, balance) VALUES ($1, $2, 1)"
        for n in range(0, 3 * ROUNDS, 3):
            async with connection.transaction(isolation="serializable"):
                await connection.execute(insert, n, f"outer {n}")
                savepoint = connection.transaction()
                await savepoint.start()
                await connection.execute(insert, n + 1, f"taken back {n}")
                side.note("refused", await attempt(connection.execute(insert, n, "twice")))
                await savepoint.rollback()
                async with connection.transaction():
                    await connection.execute(insert, n + 2, f"inner {n}")
            await locate(side, connection)
        side.note("left", list(map(tuple, await connection.fetch("SELECT id, owner FROM account ORDER BY id"))))

    tell(both, story)


def test_errors_leave_a_connection_usable(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        wrong = ("SELECT 1 / $1::int", "SELEKT $1::int", "SELECT * FROM nowhere WHERE id = $1::int")
        for n in range(ROUNDS):
            side.note("error", await attempt(connection.fetch(wrong[n % 3], 0)))
            async with connection.transaction():
                side.note("inside", await attempt(connection.fetch(wrong[n % 3], 0)))
                side.note("failed", await attempt(connection.fetch("SELECT 1")))
            side.note("usable", await connection.fetchval("SELECT $1::int", n))
            await locate(side, connection)

    tell(both, story)


def test_a_query_that_takes_too_long(both: Both) -> None:
    """A time-out of the driver's own: it sends a cancel request and waits for its effect."""

    async def story(side: Side, connection: Connection) -> None:
        for n in range(3):
            with pytest.raises(TimeoutError):
                await connection.execute("SELECT pg_sleep(600)", timeout=0.3)
            side.note("usable", await connection.fetchval("SELECT $1::int", n))
        for _ in range(ROUNDS):
            await locate(side, connection)

    tell(both, story)


def test_a_pool_over_the_pool(both: Both) -> None:
    """The driver's pool resets each connection that comes back: RESET ALL, CLOSE ALL, UNLISTEN and unlocking."""

    async def story(side: Side) -> None:
        names: dict[int, str] = {}
        async with asyncpg.create_pool(database=DATABASE, min_size=4, max_size=4, **side.parameters) as pool:
            await open_shop(pool)

            async def request(number: int) -> int:
                async with pool.acquire() as connection:
                    await connection.execute(
                        "INSERT INTO account (id, owner, balance) VALUES ($1, $2, 1)", number, f"owner {number}"
                    )
                    pid = connection.get_server_pid()
                    name = names.setdefault(pid, f"connection {len(names)}")
                    await locate(side, connection, name)
                    return int(await connection.fetchval("SELECT id FROM account WHERE owner = $1", f"owner {number}"))

            for start in range(0, 8 * ROUNDS, 12):
                found = await asyncio.gather(*(request(number) for number in range(start, start + 12)))
                side.note("found", found)

    for side in both:
        asyncio.run(story(side))
