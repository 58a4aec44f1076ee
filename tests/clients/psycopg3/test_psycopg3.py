"""psycopg 3: the extended protocol, statements prepared by the driver itself once they come often enough."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import psycopg
import pytest

from tests.clients.cancels import CancelStories
from tests.clients.cases import ROUNDS
from tests.clients.dbapi import Connection, DbApiStories
from tests.kit.story import DATABASE, Both, Side


class Psycopg(DbApiStories, CancelStories):
    """A connection's settings are what the classes below differ in."""

    settings: ClassVar[Mapping[str, Any]]

    def connect(self, side: Side) -> Connection:
        return side.lend(psycopg.connect(dbname=DATABASE, **side.parameters, **self.settings))

    def sqlstate(self, error: Exception) -> str:
        return str(getattr(error, "sqlstate", error))

    def cancel(self, connection: Connection) -> None:
        connection.cancel_safe()

    def test_rows_of_a_large_result_through_a_named_cursor(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            for n in range(ROUNDS):
                with connection.transaction(), connection.cursor(name="portal", scrollable=True) as cursor:
                    cursor.itersize = 100
                    cursor.execute("SELECT i, repeat('x', i) FROM generate_series(1, %s) i", (350 + n,))
                    side.note("first", cursor.fetchmany(2))
                    cursor.scroll(-1)
                    side.note("again", cursor.fetchone())
                    side.note("all others", sum(row[0] for row in cursor))
                self.locate(side, {"one": connection})

    def test_copy_in_and_out(self, both: Both) -> None:
        rows = [(n, f"tab\tand ünïcødé {n}", n * 2) for n in range(500)]
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            for start in range(0, 500, 50):
                with connection.cursor() as cursor:
                    with cursor.copy("COPY account (id, owner, balance) FROM STDIN") as copy:
                        for row in rows[start : start + 50]:
                            copy.write_row(row)
                    with cursor.copy(
                        "COPY (SELECT * FROM account WHERE id >= %s ORDER BY id) TO STDOUT", (start,)
                    ) as copy:
                        side.note("out", b"".join(map(bytes, copy)))
                connection.commit()
                self.locate(side, {"one": connection})
            side.note("refused", self.copy_wrong(connection))
            for _ in range(ROUNDS):
                self.locate(side, {"one": connection})

    def copy_wrong(self, connection: Connection) -> str:
        try:
            with connection.cursor() as cursor, cursor.copy("COPY account FROM STDIN") as copy:
                copy.write(b"no number\n")
        except psycopg.Error as error:
            connection.rollback()
            return self.sqlstate(error)
        return "no error"

    def test_binary_copy(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            with connection.cursor() as cursor, cursor.copy("COPY document FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text", "bytea"])
                for n in range(20):
                    copy.write_row((n, "ü" * 30_000, bytes(range(256)) * 200))
            connection.commit()
            side.note(
                "there", self.do(connection, "SELECT count(*), sum(length(body)), sum(length(scan)) FROM document")
            )
            for _ in range(ROUNDS):
                self.locate(side, {"one": connection})


class TestPreparedAtOnce(Psycopg):
    settings = MappingProxyType({"prepare_threshold": 0})

    def test_more_statements_than_the_driver_keeps(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            connection.prepared_max = 10
            for n in range(4 * ROUNDS):
                number = n * 7 % 15  # some are kept, some have been thrown out since
                side.note("sum", self.do(connection, f"SELECT {number} + %s::int", (n,)))
                self.locate(side, {"one": connection})

    def test_nested_transactions(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            insert = "INSERT INTO account (id, owner, balance) VALUES (%s, %s, 1)"
            for n in range(0, 2 * ROUNDS, 2):
                with connection.transaction():
                    connection.execute(insert, (n, f"outer {n}"))
                    with connection.transaction(force_rollback=n % 4 == 0):
                        connection.execute(insert, (n + 1, f"inner {n}"))
                self.locate(side, {"one": connection})
            side.note("left", self.do(connection, "SELECT id, owner FROM account ORDER BY id"))


@pytest.mark.all_clients
class TestPreparedAfterFiveTimes(Psycopg):
    """As psycopg comes."""

    settings = MappingProxyType({})


@pytest.mark.all_clients
class TestParametersInTheText(Psycopg):
    """Client-side binding, as Django has it."""

    settings = MappingProxyType({"cursor_factory": psycopg.ClientCursor})


@pytest.mark.parametrize("threshold", [0, 5])
def test_a_pipeline(both: Both, threshold: int) -> None:
    for side in both:
        with psycopg.connect(
            dbname=DATABASE, autocommit=True, prepare_threshold=threshold, **side.parameters
        ) as connection:
            connection.execute("CREATE TABLE account (id int PRIMARY KEY, owner text)")
            for start in range(0, ROUNDS * 10, 10):
                with connection.pipeline() as pipeline:
                    for n in range(start, start + 10):
                        connection.execute("INSERT INTO account VALUES (%s, %s)", (n, f"owner {n}"))
                    pipeline.sync()
                    found = connection.execute("SELECT owner FROM account WHERE id = %s", (start,))
                    where = connection.execute("SELECT pg_backend_pid()")
                    side.note("found", found.fetchall())
                    ((pid,),) = where.fetchall()
                    side.serves("one", pid)
            side.note("count", connection.execute("SELECT count(*), sum(id) FROM account").fetchall())


@pytest.mark.parametrize("threshold", [0, 5])
def test_errors_in_a_pipeline(both: Both, threshold: int) -> None:
    for side in both:
        with psycopg.connect(
            dbname=DATABASE, autocommit=True, prepare_threshold=threshold, **side.parameters
        ) as connection:
            connection.execute("CREATE TABLE account (id int PRIMARY KEY, owner text)")
            for n in range(ROUNDS):
                side.note("failed", fail_in_pipeline(connection, n))
                side.note("left", connection.execute("SELECT count(*) FROM account WHERE id >= %s", (n,)).fetchall())
                ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
                side.serves("one", pid)


def fail_in_pipeline(connection: psycopg.Connection[Any], n: int) -> str | None:
    """One statement that must stay, one that must not for an error after it, one that is never run."""
    try:
        with connection.pipeline() as pipeline:
            connection.execute("INSERT INTO account VALUES (%s, 'before')", (n,))
            pipeline.sync()
            connection.execute("INSERT INTO account VALUES (%s, 'with it')", (n + 100_000,))
            connection.execute("SELECT 1 / %s::int", (0,))
            connection.execute("INSERT INTO account VALUES (%s, 'after')", (n + 200_000,))
    except psycopg.Error as error:
        return error.sqlstate
    return "no error"


def test_parameters_on_both_sides_of_the_wire(both: Both) -> None:
    """Server-side binding, client-side binding and plain texts by turns on one connection."""
    for side in both:
        with psycopg.connect(dbname=DATABASE, autocommit=True, prepare_threshold=2, **side.parameters) as connection:
            cursors = (psycopg.Cursor(connection), psycopg.ClientCursor(connection), psycopg.RawCursor(connection))
            for n in range(2 * ROUNDS):
                for cursor in cursors:
                    sql = (
                        "SELECT $1::int, pg_backend_pid()"
                        if isinstance(cursor, psycopg.RawCursor)
                        else "SELECT %s::int, pg_backend_pid()"
                    )
                    ((value, pid),) = cursor.execute(sql, (n,)).fetchall()
                    side.note("value", value)
                    side.serves("one", pid)


def test_binary_results(both: Both) -> None:
    for side in both:
        with psycopg.connect(dbname=DATABASE, autocommit=True, prepare_threshold=0, **side.parameters) as connection:
            cursor = connection.cursor(binary=True)
            for n in range(ROUNDS):
                ((*values, pid),) = cursor.execute(
                    "SELECT %b::int8, %b::text, %b::bytea, now() - now(), pg_backend_pid()", (n, f"ü{n}", b"\0" * n)
                )
                side.note("row", values)
                side.serves("one", pid)


def test_several_statements_in_one_query(both: Both) -> None:
    for side in both:
        with psycopg.connect(dbname=DATABASE, autocommit=True, **side.parameters) as connection:
            for n in range(ROUNDS):
                cursor = connection.execute(f"SELECT {n}; SELECT 'two'; SELECT pg_backend_pid()")
                side.note("first", cursor.fetchall())
                cursor.nextset()
                side.note("second", cursor.fetchall())
                cursor.nextset()
                ((pid,),) = cursor.fetchall()
                side.serves("one", pid)
