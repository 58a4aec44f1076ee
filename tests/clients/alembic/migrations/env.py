"""Alembic's environment: a tenant's schema is brought up or down, over a connection that is given or one of its own.

`-x tenant=NAME` or the attribute `tenant` says whose; `-x lock=yes` keeps others out by an advisory lock, as
applications do that migrate when they start.
"""

import os

import sqlalchemy as sa
from alembic import context

config = context.config
_given = context.get_x_argument(as_dictionary=True)
TENANT: str = config.attributes.get("tenant") or _given["tenant"]
LOCK = 20240229


def migrate(connection: sa.Connection) -> None:
    connection.execute(sa.text(f'SET search_path = "{TENANT}"'))
    connection.execute(sa.text("SET lock_timeout = '15s'"))
    connection.commit()
    # Else Alembic would look for its own table in what was the default schema when it connected.
    connection.dialect.default_schema_name = TENANT
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def migrate_under_lock(connection: sa.Connection) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_lock(LOCK)))
    connection.commit()
    try:
        migrate(connection)
    finally:
        connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK)))
        connection.commit()


def main() -> None:
    given = config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    url = sa.URL.create("postgresql+psycopg", database=os.environ["PGDATABASE"])  # libpq reads the rest
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        (migrate_under_lock if _given.get("lock") else migrate)(connection)


main()
