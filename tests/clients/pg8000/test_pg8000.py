"""pg8000: the protocol in plain Python, no libpq; an unnamed statement each time."""

import io

import pg8000.dbapi
import pg8000.native

from tests.clients.cases import ROUNDS
from tests.clients.dbapi import Connection, DbApiStories
from tests.kit.story import DATABASE, Both, Side


class TestPg8000(DbApiStories):
    def connect(self, side: Side) -> Connection:
        return side.lend(pg8000.dbapi.connect(database=DATABASE, **side.parameters))

    def sqlstate(self, error: Exception) -> str:
        details = error.args[0] if error.args else None
        return str(details.get("C", error) if isinstance(details, dict) else error)

    def test_copy_in_and_out(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            cursor = connection.cursor()
            for start in range(0, 50 * ROUNDS, 50):
                rows = "".join(f"{n}\townér {n}\t{n}\n" for n in range(start, start + 50))
                cursor.execute("COPY account (id, owner, balance) FROM STDIN", stream=io.BytesIO(rows.encode()))
                out = io.BytesIO()
                cursor.execute(f"COPY (SELECT * FROM account WHERE id >= {start} ORDER BY id) TO STDOUT", stream=out)
                side.note("out", out.getvalue())
                connection.commit()
                self.locate(side, {"one": connection})


def test_prepared_statements(both: Both) -> None:
    """The native interface's, which have names; several at once, used by turns, closed and made again."""
    for side in both:
        connection = side.lend(pg8000.native.Connection(database=DATABASE, **side.parameters))
        for generation in range(3):
            statements = [connection.prepare(f"SELECT :v::int + {n}, pg_backend_pid()") for n in range(5)]
            for n in range(2 * ROUNDS):
                ((total, pid),) = statements[n % 5].run(v=generation)
                side.note("sum", total)
                side.serves("one", pid)
            for statement in statements:
                statement.close()
