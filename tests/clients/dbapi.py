"""Stories that any DB-API 2 driver can tell; a suite makes a class of its own of them, with its `connect`.

Statements have %s for parameters, which psycopg, psycopg2 and pg8000 read alike.  No connection is in autocommit unless
it says so: a story ends its transactions, as applications do.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.clients.cases import ROUNDS, SHOP, VALUES
from tests.kit.story import Both, Side

Connection = Any


class DbApi:
    """What a suite says of its driver, and the verbs of the stories."""

    def connect(self, side: Side) -> Connection:
        """Not in autocommit; the story's (`side.lend`)."""
        raise NotImplementedError

    def sqlstate(self, error: Exception) -> str:
        raise NotImplementedError

    def run(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows, or nothing for a statement without any; inside the transaction that is open or begins."""
        cursor = connection.cursor()
        cursor.execute(sql, values)
        rows = [list(row) for row in cursor.fetchall()] if cursor.description else []
        cursor.close()
        return rows

    def do(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """One statement in a transaction of its own."""
        rows = self.run(connection, sql, values)
        connection.commit()
        return rows

    def open_shop(self, connection: Connection) -> None:
        for statement in SHOP:
            self.run(connection, statement)
        connection.commit()

    def locate(self, side: Side, clients: dict[str, Connection]) -> None:
        """Which backends serve these clients, in a transaction of its own each."""
        for name, connection in clients.items():
            ((pid,),) = self.do(connection, "SELECT pg_backend_pid()")
            side.serves(name, pid)

    def attempt(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> str:
        """A statement that fails: its SQLSTATE."""
        try:
            self.run(connection, sql, values)
        except Exception as error:  # each driver has its own
            return self.sqlstate(error)
        return "no error"


class DbApiStories(DbApi):
    """The stories; each test of a suite's class is one of them."""

    def test_rows_come_and_go_over_three_connections(self, both: Both) -> None:
        for side in both:
            clients = {name: self.connect(side) for name in ("one", "two", "three")}
            one, two, three = clients.values()
            self.open_shop(one)
            for n in range(ROUNDS):
                row = (n, f"owner {n}", Decimal(n) / 4)
                self.do(one, "INSERT INTO account (id, owner, balance) VALUES (%s, %s, %s)", row)
                side.note("read", self.do(two, "SELECT id, owner, balance FROM account WHERE id = %s", (n,)))
                self.do(three, "UPDATE account SET balance = balance + %s WHERE id = %s", (n, n))
                if n % 3 == 0:
                    self.do(one, "DELETE FROM account WHERE id = %s", (n - 3,))
                self.locate(side, clients)
            side.note("left", self.do(two, "SELECT id, owner, balance FROM account ORDER BY id"))

    def test_values_of_all_types(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            for type_name, literal in VALUES:
                ((value,),) = self.do(connection, f"SELECT %s::text::{type_name}", (literal,))
                side.note(type_name, shown(value))
                side.note(f"{type_name} sent back", self.echo(connection, type_name, value))
                self.locate(side, {"one": connection})

    def echo(self, connection: Connection, type_name: str, value: Any) -> Any:
        """The driver's own value, as PostgreSQL reads it; or how the driver says that it does not send such values."""
        try:
            return self.do(connection, f"SELECT (%s::{type_name})::text", (value,))
        except Exception as error:  # each driver has its own
            connection.rollback()
            return type(error).__name__

    def test_commit_rollback_and_savepoints(self, both: Both) -> None:
        for side in both:
            clients = {"one": self.connect(side), "two": self.connect(side)}
            one, two = clients.values()
            self.open_shop(one)
            insert = "INSERT INTO account (id, owner, balance) VALUES (%s, %s, 10)"
            for n in range(0, 4 * ROUNDS, 4):
                self.run(one, insert, (n, f"kept {n}"))
                self.run(one, "SAVEPOINT before")
                self.run(one, insert, (n + 1, f"taken back {n}"))
                side.note("refused", self.attempt(one, insert, (n, "twice")))
                self.run(one, "ROLLBACK TO SAVEPOINT before")
                side.note("seen by others", self.do(two, "SELECT count(*) FROM account WHERE id >= %s", (n,)))
                self.run(one, insert, (n + 2, f"kept, too {n}"))
                one.commit()
                self.run(one, insert, (n + 3, f"never there {n}"))
                one.rollback()
                self.locate(side, clients)
            side.note("left", self.do(two, "SELECT id, owner FROM account ORDER BY id"))

    def test_errors_leave_a_connection_usable(self, both: Both) -> None:
        wrong = (
            ("INSERT INTO account VALUES (%s, 'a', 1)", (1,)),  # a key twice
            ("INSERT INTO account VALUES (%s, 'b', -1)", (2,)),  # a check
            ("INSERT INTO transfer (payer, payee, amount) VALUES (1, %s, 1)", (99,)),  # a reference
            ("SELECT 1 / %s::int", (0,)),
            ("SELEKT %s", (1,)),
            ("SELECT * FROM nowhere WHERE id = %s", (1,)),
            ("SELECT %s::text::int", ("many",)),
        )
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            self.do(connection, "INSERT INTO account VALUES (%s, 'first', 1)", (1,))
            for n in range(ROUNDS):
                sql, values = wrong[n % len(wrong)]
                side.note(sql, self.attempt(connection, sql, values))
                side.note("still failed", self.attempt(connection, "SELECT 1"))
                connection.rollback()
                side.note("usable", self.do(connection, "SELECT owner FROM account WHERE id = %s", (1,)))
                self.locate(side, {"one": connection})

    def test_transactions_of_two_clients_do_not_mix(self, both: Both) -> None:
        for side in both:
            clients = {"one": self.connect(side), "two": self.connect(side)}
            one, two = clients.values()
            self.open_shop(one)
            for n in range(ROUNDS):
                for client, key in ((one, 2 * n), (two, 2 * n + 1)):
                    self.run(client, "INSERT INTO account (id, owner, balance) VALUES (%s, %s, 1)", (key, str(key)))
                for client in (one, two):
                    side.note("its own alone", self.run(client, "SELECT id FROM account WHERE id >= %s", (2 * n,)))
                one.commit()
                two.rollback()
                self.locate(side, clients)
            side.note("left", self.do(two, "SELECT count(*), sum(id) FROM account"))

    def test_a_statement_goes_on_after_the_table_has_changed(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            self.do(connection, "INSERT INTO account VALUES (1, 'first', 1)")
            for n in range(6):
                for _ in range(ROUNDS // 3):
                    side.note("row", shown(self.do(connection, "SELECT * FROM account WHERE id = %s", (1,))))
                    self.locate(side, {"one": connection})
                self.do(connection, f"ALTER TABLE account ADD COLUMN extra_{n} int DEFAULT {n}")

    def test_many_rows_at_once(self, both: Both) -> None:
        rows = [(n, f"owner {n}", n) for n in range(300)]
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            for start in range(0, 300, 10):
                cursor = connection.cursor()
                cursor.executemany(
                    "INSERT INTO account (id, owner, balance) VALUES (%s, %s, %s)", rows[start : start + 10]
                )
                side.note("inserted", cursor.rowcount)
                cursor.close()
                connection.commit()
                self.locate(side, {"one": connection})
            side.note("there", self.do(connection, "SELECT count(*), sum(balance), max(owner) FROM account"))

    def test_values_of_some_megabytes(self, both: Both) -> None:
        for side in both:
            connection = self.connect(side)
            self.open_shop(connection)
            for n in range(3):
                body, scan = f"ü{n}" * 700_000, bytes((n, 0, 255)) * 700_000
                self.do(connection, "INSERT INTO document VALUES (%s, %s, %s)", (n, body, scan))
                ((text, data),) = self.do(connection, "SELECT body, scan FROM document WHERE id = %s", (n,))
                side.note("text", (len(text), hashlib.sha256(text.encode()).hexdigest()))
                side.note("bytes", (len(data), hashlib.sha256(data).hexdigest()))
            for _ in range(ROUNDS):
                self.locate(side, {"one": connection})


def shown(value: Any) -> str:
    """A value in a form that shows its type: equal values of different types or time zones are not the same."""
    return f"bytes {bytes(value)!r}" if isinstance(value, memoryview) else repr(value)
