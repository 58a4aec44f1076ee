"""pg_dump and pg_restore through a few shared servers, one connection or several: as without a pooler, byte by byte."""

import itertools
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kit.crowd import Background
from tests.kit.deadline import PATIENCE
from tests.kit.pooler import Pooler
from tests.kit.postgres import SUPERUSER, Postgres
from tests.kit.shuffle import Shuffle

SOURCE, TARGET = "dumped", "restored"
JOBS = 4
#: A parallel dump holds a transaction open on each connection, one more than jobs, and the neighbours need a server.
SERVERS = {"one": 2, "several": JOBS + 2}

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'merry');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA "Odd, ""New"" Schema";
CREATE TABLE person (id serial PRIMARY KEY, name text NOT NULL UNIQUE, feels mood DEFAULT 'merry', data bytea,
    born timestamptz, ratio float8, list text[], details jsonb);
CREATE TABLE "Odd, ""New"" Schema".pet (id bigint GENERATED ALWAYS AS IDENTITY, owner int REFERENCES person,
    age positive);
CREATE TABLE event (day date NOT NULL, what text, twice int GENERATED ALWAYS AS (length(what) * 2) STORED)
    PARTITION BY RANGE (day);
CREATE TABLE event_old PARTITION OF event FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE event_new PARTITION OF event FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
CREATE INDEX ON event (what);
CREATE VIEW adults AS SELECT name FROM person WHERE born < '2000-01-01';
CREATE MATERIALIZED VIEW counted AS SELECT feels, count(*) FROM person GROUP BY 1;
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE SET work_mem = '8MB' AS $$ SELECT upper($1) $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.what := coalesce(NEW.what, 'nothing'); RETURN NEW; END $$;
CREATE TRIGGER stamped BEFORE INSERT ON event_new FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE INDEX loud ON person (shout(name));
ALTER TABLE person ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON person TO alice USING (name = current_setting('app.tenant', true));
CREATE SCHEMA bank AUTHORIZATION alice;
CREATE TABLE bank.purse (id int PRIMARY KEY, coins bigint NOT NULL);
ALTER TABLE bank.purse OWNER TO alice;
GRANT SELECT, INSERT (name) ON person TO bob WITH GRANT OPTION;
COMMENT ON TABLE person IS 'with ''quotes'' and ünïcødé';
"""
ROWS = """
INSERT INTO person (name, feels, data, born, ratio, list, details)
    SELECT 'person ' || n, CASE n % 3 WHEN 0 THEN 'sad' ELSE 'merry' END::mood, decode(md5(n::text), 'hex'),
        '1980-02-29 12:00:00.123456+05:30'::timestamptz + n * interval '1 week', 1 / n::float8,
        ARRAY['a', NULL, E'tab\\tand "quotes"'], jsonb_build_object('n', n, 'ü', repeat('x', n % 100))
    FROM generate_series(1, 3000) n;
INSERT INTO "Odd, ""New"" Schema".pet (owner, age) SELECT 1 + n % 3000, n FROM generate_series(1, 5000) n;
INSERT INTO event SELECT date '2023-06-01' + n, nullif('event ' || n, 'event 300') FROM generate_series(1, 400) n;
INSERT INTO bank.purse SELECT n, 1000 FROM generate_series(1, 50) n;
REFRESH MATERIALIZED VIEW counted;
SELECT lo_from_bytea(4711, repeat('large ', 5000)::bytea), lo_from_bytea(4712, 'small');
COMMENT ON LARGE OBJECT 4712 IS 'a small one';
SELECT setval('person_id_seq', 4242);
"""
#: Dumps in each format: what pg_dump is given, and which servers it needs.
FORMATS = {
    "plain": (("-F", "plain"), "one"),
    "inserts": (("-F", "plain", "--inserts", "--rows-per-insert=100"), "one"),
    "custom": (("-F", "custom"), "one"),
    "tar": (("-F", "tar"), "one"),
    "directory": (("-F", "directory"), "one"),
    "parallel": (("-F", "directory", "-j", str(JOBS)), "several"),
}
SCRIPTS = {"plain", "inserts"}
#: Restores: the format of the archive, what pg_restore is given, and which servers it needs.
RESTORES = {
    "custom": ("custom", (), "one"),
    "at once": ("custom", ("--single-transaction",), "one"),
    "once more": ("tar", ("--clean", "--if-exists"), "one"),
    "as its owners": ("custom", ("--use-set-session-authorization",), "one"),
    "without triggers": ("directory", ("--disable-triggers",), "one"),
    "parallel": ("directory", ("-j", str(JOBS)), "several"),
    "parallel and custom": ("custom", ("-j", str(JOBS)), "several"),
}


class Programs:
    """PostgreSQL's programs of the server's own version, told to go to it or through the pooler."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        self._postgres = postgres
        self._folder = folder
        self._names = itertools.count()

    def run(self, at: Postgres | Pooler, program: str, *arguments: str | Path) -> bytes:
        host, port = at.address
        command = [self._postgres.binaries / program, "-h", host, "-p", str(port), "-U", SUPERUSER, *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=100 * PATIENCE)
        assert done.returncode == 0, f"{program} {arguments}: {done.stderr.decode()}"
        return done.stdout

    def dump(self, at: Postgres | Pooler, how: str, database: str = SOURCE) -> Path:
        """The file or folder that pg_dump writes."""
        path = self._folder / f"{how}-{next(self._names)}"
        key = self._key() if how in SCRIPTS else ()
        self.run(at, "pg_dump", "-d", database, "-f", path, *FORMATS[how][0], *key)
        return path

    def text(self, archive: Path) -> bytes:
        """What pg_restore makes of an archive that psql would run; the archive itself has the time in it."""
        restore = self._postgres.binaries / "pg_restore"
        command: list[str | Path] = [restore, "-f", "-", *self._key(), archive]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def contents(self, database: str) -> bytes:
        """All there is in a database, as a direct dump tells it."""
        return self.dump(self._postgres, "plain", database).read_bytes()

    def _key(self) -> Sequence[str]:
        """A word that would be a random one at the beginning and end of each script, where this version has one."""
        told = subprocess.run([self._postgres.binaries / "pg_dump", "--help"], capture_output=True, check=True).stdout
        return ["--restrict-key=key"] if b"--restrict-key" in told else ()


@pytest.fixture(scope="module")
def _databases(cluster: Postgres) -> Iterator[Postgres]:
    cluster.ensure_running()
    for database in (SOURCE, TARGET):
        cluster.sql(f"CREATE DATABASE {database}")
    cluster.sql_in(SOURCE, TABLES + ROWS)
    yield cluster
    cluster.ensure_running()
    for database in (SOURCE, TARGET):
        cluster.sql(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def programs(_databases: Postgres, postgres: Postgres, tmp_path: Path) -> Programs:
    return Programs(postgres, tmp_path)


def run_pooler(pooler: Pooler, servers: str, database: str = SOURCE) -> Shuffle:
    """Start it for that database, with neighbours who see to it that all servers change hands."""
    pooler.databases = {database: {"host": pooler.postgres.host, "port": pooler.postgres.port}}
    pooler.run_with(default_pool_size=SERVERS[servers], server_round_robin=True)
    return Shuffle(lambda settings: pooler.client(SUPERUSER, database, **settings))


def files(path: Path) -> dict[str, bytes]:
    """Those of a dump, but for the table of contents, which has the time in it."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "toc.dat"}


@pytest.mark.parametrize("how", FORMATS)
def test_a_dump_is_what_it_is_without_a_pooler(
    programs: Programs, pooler: Pooler, postgres: Postgres, how: str
) -> None:
    direct = programs.dump(postgres, how)
    with run_pooler(pooler, FORMATS[how][1]):
        pooled = programs.dump(pooler, how)
    if how in SCRIPTS:
        assert pooled.read_bytes() == direct.read_bytes()
        return
    assert programs.text(pooled) == programs.text(direct)
    if pooled.is_dir():
        assert files(pooled) == files(direct) != {}


@pytest.mark.parametrize("how", RESTORES)
def test_a_restored_database_is_the_one_that_was_dumped(
    programs: Programs, pooler: Pooler, postgres: Postgres, how: str
) -> None:
    form, options, servers = RESTORES[how]
    archive = programs.dump(postgres, form)
    renew(postgres)
    if how == "once more":
        programs.run(postgres, "pg_restore", "-d", TARGET, archive)
    with run_pooler(pooler, servers, TARGET):
        programs.run(pooler, "pg_restore", "-d", TARGET, "--exit-on-error", *options, archive)
    assert programs.contents(TARGET) == programs.contents(SOURCE)


def test_a_script_restores_a_database(programs: Programs, pooler: Pooler, postgres: Postgres) -> None:
    script = programs.dump(postgres, "plain")
    renew(postgres)
    with run_pooler(pooler, "one", TARGET):
        programs.run(pooler, "psql", "-X", "-q", "-d", TARGET, "-v", "ON_ERROR_STOP=1", "-f", script)
    assert programs.contents(TARGET) == programs.contents(SOURCE)


def renew(postgres: Postgres) -> None:
    """An empty database to restore to."""
    postgres.sql(f"DROP DATABASE {TARGET} WITH (FORCE)")
    postgres.sql(f"CREATE DATABASE {TARGET} TEMPLATE template0")
    postgres.sql(f"GRANT CREATE ON DATABASE {TARGET} TO alice")  # who owns a schema, and makes it where it is restored


@pytest.fixture
def other_purses(_databases: Postgres) -> Iterator[str]:
    """A second table of purses; what asks for the coins of both."""
    _databases.ensure_running()
    _databases.sql_in(SOURCE, "CREATE TABLE bank.other AS SELECT * FROM bank.purse")
    yield "SELECT sum(coins) FROM (TABLE bank.purse UNION ALL TABLE bank.other) AS every"
    _databases.sql_in(SOURCE, "DROP TABLE bank.other")


def test_a_parallel_dump_shows_one_moment(
    programs: Programs, pooler: Pooler, postgres: Postgres, other_purses: str
) -> None:
    """Coins go from purse to purse all the time, in one table and between two: their number is always the same."""
    total = postgres.sql_in(SOURCE, other_purses)
    renew(postgres)
    over = threading.Event()

    def give() -> int:
        with pooler.client(SUPERUSER, SOURCE) as client:
            given = 0
            while not over.is_set():
                given += 1
                replies = client.query(
                    f"UPDATE bank.purse SET coins = coins - 1 WHERE id = {given % 50 + 1};"
                    f" UPDATE bank.other SET coins = coins + 1 WHERE id = {given * 7 % 50 + 1}"
                )
                assert replies.command_tags == ["UPDATE 1", "UPDATE 1"]
            return given

    with run_pooler(pooler, "several"):
        giving = Background(give)
        archive = programs.dump(pooler, "parallel")
        over.set()
        assert giving.result() > 0
    programs.run(postgres, "pg_restore", "-d", TARGET, archive)
    assert postgres.sql_in(TARGET, other_purses) == total
