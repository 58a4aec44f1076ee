"""asyncpg: cached and prepared statements, also over changes of what they are about."""

import pytest

from tests.clients.asyncpg.telling import Connection, connected, locate, open_shop, tell
from tests.clients.cases import ROUNDS
from tests.kit.story import Both, Side


@pytest.mark.parametrize("cache", [100, 3, 0], ids=["cache", "small cache", "no cache"])
def test_rows_come_and_go_over_three_connections(both: Both, cache: int) -> None:
    async def story(side: Side, one: Connection) -> None:
        async with connected(side, statement_cache_size=cache) as two, connected(side) as three:
            await open_shop(one)
            for n in range(ROUNDS):
                await one.execute("INSERT INTO account (id, owner, balance) VALUES ($1, $2, $3)", n, f"owner {n}", n)
                side.note("read", tuple(await two.fetchrow("SELECT id, owner, balance FROM account WHERE id = $1", n)))
                side.note("tag", await three.execute("UPDATE account SET balance = balance + $1 WHERE id = $2", n, n))
                if n % 3 == 0:
                    await two.execute("DELETE FROM account WHERE id = $1", n - 3)
                for name, connection in (("one", one), ("two", two), ("three", three)):
                    await locate(side, connection, name)
            side.note("left", list(map(tuple, await two.fetch("SELECT id, owner, balance FROM account ORDER BY id"))))

    tell(both, story, statement_cache_size=cache)


def test_a_prepared_statement_outlives_many_transactions(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        add = await connection.prepare("SELECT $1::int + $2::int, pg_backend_pid()")
        side.note("parameters", [kind.name for kind in add.get_parameters()])
        side.note("attributes", [attribute.name for attribute in add.get_attributes()])
        for n in range(3 * ROUNDS):
            total, pid = await add.fetchrow(n, 1)
            side.note("sum", total)
            side.serves("one", pid)

    tell(both, story)


def test_more_statements_than_the_cache_holds(both: Both) -> None:
    async def story(side: Side, connection: Connection) -> None:
        for n in range(6 * ROUNDS):
            side.note("sum", await connection.fetchval(f"SELECT {n * 7 % 15} + $1::int", n))
            await locate(side, connection)

    tell(both, story, statement_cache_size=10)


def test_a_statement_goes_on_after_the_table_has_changed(both: Both) -> None:
    """The driver prepares anew by itself when PostgreSQL says that a cached plan's result has changed."""

    async def story(side: Side, connection: Connection) -> None:
        await open_shop(connection)
        await connection.execute("INSERT INTO account VALUES (1, 'first', 1)")
        async with connected(side) as other:
            for n in range(6):
                for _ in range(ROUNDS // 3):
                    side.note("row", tuple(await connection.fetchrow("SELECT * FROM account WHERE id = $1", 1)))
                    await locate(side, connection)
                await other.execute(f"ALTER TABLE account ADD COLUMN extra_{n} int DEFAULT {n}")

    tell(both, story)


def test_a_client_that_comes_after_the_change_of_a_column_type(both: Both) -> None:
    """The same text has other parameter and result types now; who prepares it for the first time sees only those."""

    async def story(side: Side, connection: Connection) -> None:
        sql = "INSERT INTO thing VALUES ($1, $2) RETURNING *"
        await connection.execute("CREATE TABLE thing (id int, size int)")
        for n in range(ROUNDS):
            side.note("int", tuple(await connection.fetchrow(sql, n, n)))
            await locate(side, connection)
        await connection.execute("ALTER TABLE thing ALTER COLUMN size TYPE text")
        async with connected(side) as late:
            for n in range(ROUNDS):
                side.note("text", tuple(await late.fetchrow(sql, n, f"size {n}")))
                await locate(side, late, "late")

    tell(both, story)
