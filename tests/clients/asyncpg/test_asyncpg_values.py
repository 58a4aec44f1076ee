"""asyncpg: values of all types, and many rows."""

import hashlib
import io

from tests.clients.asyncpg.telling import Connection, attempt, connected, locate, open_shop, tell
from tests.clients.cases import ROUNDS, VALUES
from tests.kit.story import Both, Side


def test_values_of_all_types(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        for type_name, literal in VALUES:
            value = await connection.fetchval(f"SELECT $1::text::{type_name}", literal)
            side.note(type_name, repr(value))
            side.note("sent back", await connection.fetchval(f"SELECT $1::{type_name}::text", value))
            await locate(side, connection)

    tell(both, story)


def test_enums_and_composite_types(both: Both) -> None:
    """The driver asks PostgreSQL about types it does not know, in statements of its own."""

    async def story(side: Side, connection: Connection) -> None:
        await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        await connection.execute("CREATE TYPE pair AS (a int, b mood)")
        await connection.execute("CREATE DOMAIN small AS int CHECK (value < 10)")
        for n in range(ROUNDS):
            row = await connection.fetchrow(
                "SELECT $1::mood, $2::pair, ARRAY[$2::pair], $3::small", "ok", (n, "sad"), 3
            )
            side.note("row", repr(row))
            await locate(side, connection)
        async with connected(side) as other:
            side.note("elsewhere", repr(await other.fetchval("SELECT ROW(1, 'ok')::pair")))

    tell(both, story)


def test_values_of_some_megabytes(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        await open_shop(connection)
        for n in range(3):
            body, scan = f"ü{n}" * 700_000, bytes((n, 0, 255)) * 700_000
            await connection.execute("INSERT INTO document VALUES ($1, $2, $3)", n, body, scan)
            text, data = await connection.fetchrow("SELECT body, scan FROM document WHERE id = $1", n)
            side.note("text", (len(text), hashlib.sha256(text.encode()).hexdigest()))
            side.note("bytes", (len(data), hashlib.sha256(data).hexdigest()))
        for _ in range(ROUNDS):
            await locate(side, connection)

    tell(both, story)


def test_a_thousand_rows_by_executemany(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        await open_shop(connection)
        insert = "INSERT INTO account (id, owner, balance) VALUES ($1, $2, $3)"
        for start in range(0, 5000, 1000):
            await connection.executemany(insert, [(n, f"owner {n}", n) for n in range(start, start + 1000)])
            twice = [(n, f"again {n}", n) for n in (start + 5000, start)]
            side.note("all or none", await attempt(connection.executemany(insert, twice)))
            side.note("there", tuple(await connection.fetchrow("SELECT count(*), sum(balance) FROM account")))
        for _ in range(ROUNDS):
            await locate(side, connection)

    tell(both, story)


def test_copy_in_and_out(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        await open_shop(connection)
        columns = ("id", "owner", "balance")
        for start in range(0, 2000, 500):
            rows = [(n, f"tab\tand ünïcødé {n}", n) for n in range(start, start + 500)]
            side.note("in", await connection.copy_records_to_table("account", records=rows, columns=columns))
            out = io.BytesIO()
            side.note("out", await connection.copy_from_query(
                "SELECT id, owner FROM account WHERE id >= $1 ORDER BY id", start, output=out, format="csv"
            ))  # fmt: skip
            side.note("text", out.getvalue())
            side.note(
                "twice", await attempt(connection.copy_records_to_table("account", records=rows, columns=columns))
            )
        for _ in range(ROUNDS):
            await locate(side, connection)

    tell(both, story)


def test_cursors_in_a_transaction(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        for n in range(ROUNDS):
            async with connection.transaction():
                rows = connection.cursor("SELECT i FROM generate_series(1, $1::int) i", 300 + n, prefetch=70)
                side.note("all", [row[0] async for row in rows])
                cursor = await connection.cursor("SELECT i FROM generate_series(1, $1::int) i", 10)
                await cursor.forward(3)
                side.note("some", [tuple(row) for row in await cursor.fetch(2)])
            await locate(side, connection)

    tell(both, story)
