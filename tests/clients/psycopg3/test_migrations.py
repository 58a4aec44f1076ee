"""Migrations as Rails does them, statement by statement: under an advisory lock, which must be held from end to end."""

from typing import Any

import psycopg
import pytest

from tests.clients.cases import ROUNDS
from tests.kit.postgres import Postgres
from tests.kit.story import DATABASE, Both, Side

LOCK = 2053462845 * 77
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
SCHEMA = "north"

#: What its sessions begin with.
CONFIGURE = (
    "SET client_min_messages TO 'warning'", "SET standard_conforming_strings = on",
    "SET SESSION timezone TO 'UTC'", "SET intervalstyle = iso_8601", f"SET search_path TO {SCHEMA}",
)  # fmt: skip
#: Version, and what is done in a transaction of its own.
MIGRATIONS = {
    "20240101": ("CREATE TABLE customers (id bigserial PRIMARY KEY, name character varying)",),
    "20240202": (
        "SET lock_timeout TO '10s'", "SET statement_timeout TO '1h'",
        "CREATE TEMPORARY TABLE wanted AS SELECT 'customer ' || n AS name FROM generate_series(1, 9) n",
        "INSERT INTO customers (name) SELECT name FROM wanted", "DROP TABLE wanted",
        "SET LOCAL search_path TO public", "CREATE TABLE shared (id int)", "DROP TABLE shared",
    ),
    "20240303": ("ALTER TABLE customers ADD COLUMN note text DEFAULT ''", "SET lock_timeout TO DEFAULT"),
}  # fmt: skip
SETTINGS = ("search_path", "TimeZone", "IntervalStyle", "client_min_messages", "lock_timeout", "statement_timeout")


class Migrator:
    """One connection."""

    def __init__(self, side: Side, postgres: Postgres, threshold: int | None) -> None:
        self._side = side
        self._postgres = postgres
        self._connection = side.lend(
            psycopg.connect(dbname=DATABASE, autocommit=True, prepare_threshold=threshold, **side.parameters)
        )

    def ask(self, sql: str, *values: Any) -> list[Any]:
        cursor = self._connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []

    def holders(self) -> list[tuple[Any, ...]]:
        """Who has the lock, as another session of PostgreSQL's own sees it."""
        return self._postgres.sql_in(DATABASE, f"{HOLDERS} AND objid::bigint = {LOCK & 0xFFFFFFFF}")

    def do(self, *statements: str) -> None:
        """The lock is held before and after each, by the session that it was taken in."""
        for statement in statements:
            ((holder,),) = self.holders()
            self.ask(statement)
            assert self.holders() == [(holder,)] == self.ask("SELECT pg_backend_pid()"), statement

    def migrate(self) -> None:
        self._side.note("taken", self.ask("SELECT pg_try_advisory_lock(%s)", LOCK))
        self.do("CREATE TABLE IF NOT EXISTS schema_migrations (version character varying NOT NULL PRIMARY KEY)")
        for version, statements in MIGRATIONS.items():
            self.do("BEGIN", *statements)
            self._side.note(
                "noted", self.ask(f"INSERT INTO {SCHEMA}.schema_migrations VALUES (%s) RETURNING version", version)
            )
            self.do("COMMIT")
        self.do("CREATE INDEX CONCURRENTLY by_name ON customers (name)")
        self._side.note("given back", self.ask("SELECT pg_advisory_unlock(%s)", LOCK))
        assert self.holders() == []

    def locate(self, name: str) -> None:
        for _ in range(ROUNDS):
            ((pid,),) = self.ask("SELECT pg_backend_pid()")
            self._side.serves(name, pid)


@pytest.mark.parametrize("threshold", [None, 0], ids=["unnamed", "prepared"])
def test_a_migration_holds_its_lock_from_end_to_end(both: Both, postgres: Postgres, threshold: int | None) -> None:
    for side in both:
        one, other = (Migrator(side, postgres, threshold) for _ in range(2))
        one.ask(f"CREATE SCHEMA {SCHEMA}")
        for statement in CONFIGURE:
            one.ask(statement)
        one.locate("before")
        one.migrate()
        side.note("settings", [one.ask(f"SHOW {name}") for name in SETTINGS])
        side.note("rows", one.ask("SELECT * FROM customers ORDER BY 1"))
        side.note("done", one.ask("SELECT version FROM schema_migrations ORDER BY 1"))
        one.locate("after")
        side.note("taken by the other", other.ask("SELECT pg_try_advisory_lock(%s)", LOCK))
        side.note("refused", one.ask("SELECT pg_try_advisory_lock(%s)", LOCK))
        side.note("given back", other.ask("SELECT pg_advisory_unlock(%s)", LOCK))
        assert one.holders() == []
        side.note("defaults", [other.ask(f"SHOW {name}") for name in SETTINGS])
        other.locate("other")
