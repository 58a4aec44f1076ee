"""psycopg2: libpq's simple protocol, parameters written into the statement."""

import io

import psycopg2

from tests.clients.cancels import CancelStories
from tests.clients.cases import ROUNDS
from tests.clients.dbapi import Connection, DbApiStories
from tests.kit.story import DATABASE, Both, Side


class TestPsycopg2(DbApiStories, CancelStories):
    def connect(self, side: Side) -> Connection:
        return side.lend(psycopg2.connect(dbname=DATABASE, **side.parameters))

    def sqlstate(self, error: Exception) -> str:
        return str(getattr(error, "pgcode", error))

    def cancel(self, connection: Connection) -> None:
        connection.cancel()

    def test_rows_of_a_large_result_through_a_named_cursor(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            for n in range(ROUNDS):
                with connection, connection.cursor("portal") as cursor:
                    cursor.itersize = 100
                    cursor.execute("SELECT i FROM generate_series(1, %s) i", (350 + n,))
                    side.note("first", cursor.fetchmany(3))
                    side.note("others", sum(row[0] for row in cursor))
                self.locate(side, {"one": connection})

    def test_copy_in_and_out(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            for start in range(0, 50 * ROUNDS, 50):
                rows = "".join(f"{n}\townér {n}\t{n}\n" for n in range(start, start + 50))
                with connection, connection.cursor() as cursor:
                    cursor.copy_expert("COPY account (id, owner, balance) FROM STDIN", io.StringIO(rows))
                    out = io.StringIO()
                    cursor.copy_expert(f"COPY (SELECT * FROM account WHERE id >= {start} ORDER BY id) TO STDOUT", out)
                    side.note("out", out.getvalue())
                self.locate(side, {"one": connection})
