"""SQLAlchemy's migrations by Alembic, on psycopg 3: a schema for each tenant, up and down again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable

from tests.clients.cases import ROUNDS
from tests.kit.crowd import crowd
from tests.kit.deadline import wait_until
from tests.kit.story import DATABASE, PASSWORD, USER, Both, Side

CONFIG = Path(__file__).with_name("alembic.ini")
TENANTS = ("north", "south")
SETTINGS = ("search_path", "lock_timeout", "statement_timeout")


@contextmanager
def connected(side: Side) -> Iterator[sa.Connection]:
    url = sa.URL.create("postgresql+psycopg", USER, PASSWORD, side.host, side.port, DATABASE)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def rows(connection: sa.Connection, sql: str) -> list[tuple[Any, ...]]:
    found = [tuple(row) for row in connection.execute(sa.text(sql))]
    connection.commit()
    return found


def do(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(sa.text(statement))
        connection.commit()


def locate(side: Side, connection: sa.Connection, name: str = "one") -> None:
    for _ in range(ROUNDS):
        ((pid,),) = rows(connection, "SELECT pg_backend_pid()")
        side.serves(name, pid)


def config(tenant: str, connection: sa.Connection) -> Config:
    made = Config(CONFIG)
    made.attributes.update(tenant=tenant, connection=connection)
    return made


def note_all(side: Side, connection: sa.Connection) -> None:
    """The session's settings, and what there is in the tenants' schemas, as SQLAlchemy reads it back."""
    for setting in SETTINGS:
        side.note(setting, rows(connection, f"SHOW {setting}"))
    for tenant in TENANTS:
        metadata = sa.MetaData()
        metadata.reflect(connection, schema=tenant)
        connection.commit()
        for table in metadata.sorted_tables:
            side.note("table", sorted(str(CreateTable(table).compile(connection)).splitlines()))
            side.note("indexes", sorted(str(CreateIndex(index).compile(connection)) for index in table.indexes))
            side.note("rows", rows(connection, f"SELECT * FROM {table.fullname} ORDER BY 1"))


def fill(connection: sa.Connection) -> None:
    for tenant in TENANTS:
        do(
            connection,
            f"INSERT INTO {tenant}.customer (id, name) SELECT n, 'of {tenant} ' || n % 3 FROM generate_series(1, 4) n",
            f"INSERT INTO {tenant}.purchase SELECT n, 1 + n % 4, 'item ' || n FROM generate_series(1, 11) n",
        )


def open_schemas(connection: sa.Connection) -> None:
    do(connection, *(f"CREATE SCHEMA {tenant}" for tenant in TENANTS))


def failed(side: Side, tenant: str, connection: sa.Connection) -> None:
    """The last migration, for which the rows are not ready."""
    try:
        command.upgrade(config(tenant, connection), "head")
        side.note("failed", "no")
    except DBAPIError as error:
        side.note("failed", getattr(error.orig, "sqlstate", None))
        connection.rollback()


def test_tenants_by_turns_up_and_down(both: Both) -> None:
    """Migration by migration, first one tenant's and then the other's, on a connection each."""
    for side in both:
        with connected(side) as north, connected(side) as south:
            connections = dict(zip(TENANTS, (north, south), strict=True))
            open_schemas(north)
            for target in ("1", "2", "3", "4"):
                for tenant, connection in connections.items():
                    command.upgrade(config(tenant, connection), target)
                    side.note("its own", rows(connection, "SELECT current_schema(), to_regclass('counted')"))
                if target == "1":
                    fill(north)
            note_all(side, south)
            for tenant, connection in connections.items():
                failed(side, tenant, connection)
                note_all(side, connection)
                do(connection, "UPDATE customer SET name = name || id")
                command.upgrade(config(tenant, connection), "head")
                locate(side, connection, tenant)
            note_all(side, north)
            for target in ("4", "2", "base"):
                for tenant, connection in connections.items():
                    command.downgrade(config(tenant, connection), target)
                note_all(side, south)


def test_its_program_for_tenants_at_once(both: Both) -> None:
    """Two processes, one after the other by an advisory lock; the temporary table of each goes with its session."""
    left = "SELECT count(*) FROM pg_class WHERE relname = 'counted'"
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    for side in both:

        def run(number: int, *order: str, side: Side = side) -> None:
            program = (sys.executable, "-m", "alembic", "-c", CONFIG)
            side.run(*program, "-x", f"tenant={TENANTS[number]}", "-x", "lock=yes", *order)

        with connected(side) as connection:
            open_schemas(connection)
            for order in (("upgrade", "2"), ("downgrade", "base")):
                crowd(2, lambda number, run=run, order=order: run(number, *order))  # type: ignore[misc]
                for ends in (left, held):
                    wait_until(lambda ends=ends: rows(connection, ends) == [(0,)], ends)  # type: ignore[misc]
                note_all(side, connection)
            locate(side, connection)
