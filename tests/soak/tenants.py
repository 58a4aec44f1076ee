"""Four tenants told apart by search_path, by role and by a setting, and what one connection must see of them.

The rows of each say whose they are, so that one question shows whose schema, role and setting a server really has.
"""

from dataclasses import dataclass, fields, replace

from tests.kit.postgres import Postgres

TENANTS = ("red", "green", "blue", "gold")
#: Whose rows are seen by a connection that has chosen nobody's.
NOBODY = "nobody"
DATABASE, USER = "tenants", "alice"

_TABLE = "(tenant text, author int, PRIMARY KEY (tenant, author))"
#: Whom the setting names; once set, it can be emptied but not removed.
_NAMED = f"coalesce(nullif(current_setting('app.tenant', true), ''), '{NOBODY}')"
_POLICIES = {"by_role": "current_user", "by_setting": _NAMED}

#: One row: the three settings, whose rows each table shows, and who answers.
READ = (
    f"SELECT current_setting('search_path'), current_user, {_NAMED},"
    " (SELECT string_agg(DISTINCT tenant, ' ') FROM note),"
    " (SELECT string_agg(DISTINCT tenant, ' ') FROM everybody.by_role),"
    " (SELECT string_agg(DISTINCT tenant, ' ') FROM everybody.by_setting), pg_backend_pid()"
)


@dataclass(frozen=True)
class Choice:
    """Which tenant a connection has chosen, in each of the three ways; nothing: none."""

    path: str = ""
    role: str = ""
    setting: str = ""

    @property
    def schema(self) -> str:
        """Whose `note` it is: the path that has not been set begins with the role's own schema."""
        return self.path or self.role or NOBODY

    @property
    def row(self) -> tuple[str, ...]:
        """What READ must give, but for the backend."""
        named = self.setting or NOBODY
        return (self.path or '"$user", public', self.role or USER, named, self.schema, self.role or USER, named)

    def with_(self, way: str, tenant: str) -> "Choice":
        return replace(self, **{way: tenant})


NONE = Choice()
WAYS = tuple(field.name for field in fields(Choice))


def own_rows(choice: Choice, author: int) -> str:
    """Writes a row for whom it has chosen into each table, unless this author's is there."""
    tables = (("note", choice.schema), ("everybody.by_role", choice.role or USER),
              ("everybody.by_setting", choice.setting or NOBODY))  # fmt: skip
    return "; ".join(
        f"INSERT INTO {table} VALUES ('{whose}', {author}) ON CONFLICT DO NOTHING" for table, whose in tables
    )


def create(postgres: Postgres) -> None:
    """The database, with a row for each tenant, and for nobody, in all tables."""
    remove(postgres)
    postgres.sql(f"CREATE DATABASE {DATABASE}")
    for tenant in TENANTS:
        postgres.sql(f"CREATE ROLE {tenant}")
        postgres.sql(f"GRANT {tenant} TO {USER}")
    with postgres.connect(dbname=DATABASE) as connection:
        connection.execute("CREATE SCHEMA everybody")
        for schema, whose in [("public", NOBODY), *((tenant, tenant) for tenant in TENANTS)]:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"CREATE TABLE {schema}.note {_TABLE}")
            connection.execute(f"INSERT INTO {schema}.note VALUES (%s, -1)", (whose,))
        for table, whom in _POLICIES.items():
            connection.execute(f"CREATE TABLE everybody.{table} {_TABLE}")
            connection.execute(
                f"INSERT INTO everybody.{table} SELECT unnest(%s::text[]), -1", ([NOBODY, USER, *TENANTS],)
            )
            connection.execute(f"ALTER TABLE everybody.{table} ENABLE ROW LEVEL SECURITY")
            connection.execute(f"CREATE POLICY own ON everybody.{table} USING (tenant = {whom})")
        for schema in ("public", "everybody", *TENANTS):
            connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC")
            connection.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO PUBLIC")


def remove(postgres: Postgres) -> None:
    postgres.sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    for tenant in TENANTS:
        postgres.sql(f"DROP ROLE IF EXISTS {tenant}")


def strays(postgres: Postgres) -> list[tuple[object, ...]]:
    """Rows that stand in another tenant's schema."""
    found = []
    for schema, whose in [("public", NOBODY), *((tenant, tenant) for tenant in TENANTS)]:
        found += postgres.sql_in(DATABASE, f"SELECT '{schema}', * FROM {schema}.note WHERE tenant <> '{whose}'")
    return found


def written(postgres: Postgres) -> int:
    """How many rows there are of authors, in all tables."""
    tables = ("public.note", *(f"{tenant}.note" for tenant in TENANTS), *(f"everybody.{table}" for table in _POLICIES))
    everything = " UNION ALL ".join(f"SELECT author FROM {table}" for table in tables)
    ((count,),) = postgres.sql_in(DATABASE, f"SELECT count(*) FROM ({everything}) AS every WHERE author >= 0")
    return int(count)
