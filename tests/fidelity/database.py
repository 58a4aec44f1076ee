"""What the cases find: two databases with the same in them, and a few roles that all clients may take on."""

from tests.fidelity.case import RIDER
from tests.kit.postgres import Postgres

#: The one that is reached directly, the one behind howdah.
DIRECT, THROUGH = "fidelity_direct", "fidelity_howdah"
#: A role that may read `secret`; two that may do nothing, one of them for neighbours; one whose name must be quoted.
ROLES = ("fidelity_reader", "fidelity_guest", "fidelity_soil", '"Fidelity\'s ""Role"""')

CONTENT = r"""
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE TABLE secret AS SELECT 'only for readers' AS what;
CREATE TABLE tenants (tenant text, body text);
INSERT INTO tenants VALUES ('east', 'sunrise'), ('west', 'sunset'), ('soil', 'soil');
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (tenant = current_setting('app.tenant_id', true));
GRANT SELECT ON items, tenants TO PUBLIC;
GRANT SELECT ON secret TO fidelity_reader;
CREATE SEQUENCE counter;
GRANT ALL ON counter TO PUBLIC;

CREATE SCHEMA one; CREATE TABLE one.place AS SELECT 'one' AS name;
CREATE SCHEMA two; CREATE TABLE two.place AS SELECT 'two' AS name;
CREATE SCHEMA "Odd, ""New"" Schema"; CREATE TABLE "Odd, ""New"" Schema".place AS SELECT 'odd' AS name;
CREATE SCHEMA soiled; CREATE TABLE soiled.place AS SELECT 'soil' AS name;
CREATE TABLE soiled.items AS SELECT 'soil' AS name;
GRANT USAGE ON SCHEMA one, two, "Odd, ""New"" Schema", soiled TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA one, two, "Odd, ""New"" Schema", soiled TO PUBLIC;

CREATE FUNCTION set_it(name text, value text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config(name, value, false); END $$;
CREATE FUNCTION with_setting() RETURNS text LANGUAGE sql SET work_mem = '9MB' AS
    $$ SELECT current_setting('work_mem') $$;
CREATE FUNCTION set_in_passing() RETURNS text LANGUAGE plpgsql SET work_mem = '9MB' AS
    $$ BEGIN SET work_mem = '11MB'; RETURN current_setting('work_mem'); END $$;
CREATE FUNCTION take_lock(key bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(key); END $$;
CREATE FUNCTION make_notes() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN CREATE TEMP TABLE notes AS SELECT 'made by a function' AS body; END $$;
CREATE FUNCTION hold_cursor() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT id FROM public.items ORDER BY id'; END $$;
CREATE FUNCTION listen_to(channel text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE format('LISTEN %I', channel); END $$;
CREATE FUNCTION prepare_s() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE 'PREPARE s AS SELECT ''by a function'' AS body'; END $$;
CREATE PROCEDURE set_and_commit(value text) LANGUAGE plpgsql AS
    $$ BEGIN
        PERFORM set_config('work_mem', value, false);
        COMMIT;
        PERFORM set_config('app.other', value, false);
    END $$;
"""

#: The schema for what one case makes.
RENEW = """
SET client_min_messages = error;
DROP SCHEMA IF EXISTS scratch CASCADE;
CREATE SCHEMA scratch;
GRANT ALL ON SCHEMA scratch TO PUBLIC;
"""


def make(postgres: Postgres) -> None:
    postgres.sql(f"CREATE ROLE {RIDER} LOGIN NOINHERIT")
    for role in ROLES:
        postgres.sql(f"CREATE ROLE {role}; GRANT {role} TO {RIDER}")
    for database in (DIRECT, THROUGH):
        postgres.sql(f"CREATE DATABASE {database}")
        postgres.sql(f"GRANT CREATE ON DATABASE {database} TO {RIDER}")
        postgres.sql(f"ALTER DATABASE {database} SET default_statistics_target = 77")
        postgres.sql_in(database, CONTENT)


def drop(postgres: Postgres) -> None:
    for database in (DIRECT, THROUGH):
        postgres.sql(f"DROP DATABASE {database} WITH (FORCE)")
    for role in (*ROLES, RIDER):
        postgres.sql(f"DROP ROLE {role}")
