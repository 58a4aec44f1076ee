"""auth_query through the pooler: PostgreSQL's own users, their changes, and queries that go wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.fix_logins import PASSWORDS, GuardedPooler, refused
from tests.kit.postgres import Postgres

LOOKER, LOOKER_PASSWORD = "looker", "may look it up"
#: The default query, and a count of how often it was asked.
COUNTED = (
    "SELECT rolname, rolpassword FROM pg_catalog.pg_authid "
    "WHERE rolname = $1 AND pg_catalog.nextval('public.asked'::pg_catalog.regclass) > 0"
)


@pytest.fixture
def asking(guarded: GuardedPooler) -> Iterator[GuardedPooler]:
    """A pooler that knows nobody but the console's user and who may look up all others; not started yet."""
    guarded.postgres.sql(f"CREATE ROLE {LOOKER} SUPERUSER LOGIN PASSWORD '{LOOKER_PASSWORD}'")
    guarded.users = {"pgbouncer": guarded.users["pgbouncer"], LOOKER: {"password": LOOKER_PASSWORD}}
    guarded.settings |= {"auth_user": LOOKER, "auth_type": "md5"}
    guarded.add_database("by_scram")
    yield guarded
    guarded.remove()
    guarded.postgres.sql(f"DROP ROLE {LOOKER}")


def login(pooler: GuardedPooler, user: str, password: str, database: str = "app") -> str:
    """What the server says who it is."""
    with Client(pooler.address) as client:
        client.log_in(user=user, database=database, password=password)
        return str(client.query("SELECT current_user").value)


def refusal(pooler: GuardedPooler, user: str, password: str, database: str = "app") -> tuple[str, str]:
    with Client(pooler.address) as client:
        error = refused(client, password, user=user, database=database)
        return error.sqlstate, error.fields["M"]


@pytest.mark.parametrize("user", PASSWORDS)
def test_users_of_postgresql_log_in_with_their_passwords(asking: GuardedPooler, user: str) -> None:
    asking.run()
    assert login(asking, user, PASSWORDS[user]) == user


def test_a_wrong_password_and_an_unknown_user_look_the_same(asking: GuardedPooler) -> None:
    asking.run_with(auth_type="scram-sha-256")
    for user in ("alice", "nobody"):
        assert refusal(asking, user, "wrong") == ("28P01", f'password authentication failed for user "{user}"')


def test_servers_are_logged_in_to_with_what_was_looked_up(asking: GuardedPooler) -> None:
    """The secret is PostgreSQL's own SCRAM verifier, so the client's proof opens the server, too."""
    asking.run_with(auth_type="scram-sha-256")
    assert login(asking, "alice", PASSWORDS["alice"], "by_scram") == "alice"


def test_a_user_whose_password_has_expired_is_refused(asking: GuardedPooler) -> None:
    """CVE-2025-2291."""
    asking.postgres.sql("ALTER ROLE carol VALID UNTIL '2001-01-01'")
    try:
        asking.run()
        assert refusal(asking, "carol", PASSWORDS["carol"])[0] == "28P01"
    finally:
        asking.postgres.sql("ALTER ROLE carol VALID UNTIL 'infinity'")


def test_a_search_path_of_a_stranger_changes_nothing(asking: GuardedPooler) -> None:
    """CVE-2025-12819: neither the client's startup packet nor the role's settings reach the query."""
    asking.postgres.sql(f"ALTER ROLE {LOOKER} SET search_path = trap")
    with asking.postgres.connect(dbname="app") as session:
        session.execute("CREATE SCHEMA trap")
        session.execute("CREATE TABLE trap.pg_authid AS SELECT 'alice'::name AS rolname, 'open'::text AS rolpassword,"
                        " true AS rolcanlogin, NULL::timestamptz AS rolvaliduntil")  # fmt: skip
    try:
        asking.run_with(
            auth_query="SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1",
            ignore_startup_parameters=["search_path"],
        )
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            asking.connect(user="alice", password="open", options="-c search_path=trap")
        assert login(asking, "alice", PASSWORDS["alice"]) == "alice"
    finally:
        with asking.postgres.connect(dbname="app") as session:
            session.execute("DROP SCHEMA trap CASCADE")


@pytest.fixture
def counted(asking: GuardedPooler) -> Iterator[Postgres]:
    """The query counts how often it is asked."""
    with asking.postgres.connect(dbname="app") as session:
        session.execute("CREATE SEQUENCE public.asked")
    asking.settings["auth_query"] = COUNTED
    yield asking.postgres
    asking.finish()
    with asking.postgres.connect(dbname="app") as session:
        session.execute("DROP SEQUENCE public.asked")


def times_asked(postgres: Postgres) -> int:
    (row,) = postgres.sql_in("app", "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM public.asked")
    return int(row[0])


def test_a_crowd_of_one_user_is_looked_up_once(asking: GuardedPooler, counted: Postgres) -> None:
    asking.run()
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda _: login(asking, "alice", PASSWORDS["alice"]), range(200)))
    assert found == ["alice"] * 200
    assert times_asked(counted) == 1


def test_a_changed_password_is_picked_up_without_a_restart(asking: GuardedPooler, counted: Postgres) -> None:
    asking.run_with(auth_cache_ttl=300)
    assert login(asking, "carol", PASSWORDS["carol"]) == "carol"
    counted.set_password("carol", "new one")
    try:
        refusal(asking, "carol", "new one")  # by what was found before; which is dropped with this failure
        wait_until(lambda: times_asked(counted) == 1, "the first question alone")
        assert login(asking, "carol", "new one") == "carol"
        assert refusal(asking, "carol", PASSWORDS["carol"])[0] == "28P01"
    finally:
        counted.set_password("carol", PASSWORDS["carol"])


def test_without_a_cache_each_login_is_looked_up(asking: GuardedPooler, counted: Postgres) -> None:
    asking.run_with(auth_cache_ttl=0)
    for _ in range(3):
        login(asking, "alice", PASSWORDS["alice"])
    assert times_asked(counted) == 3


def test_all_databases_are_looked_up_in_auth_dbname(asking: GuardedPooler) -> None:
    with asking.postgres.connect(dbname="other") as session:
        session.execute("CREATE FUNCTION public.lookup(name text) RETURNS TABLE(usename name, passwd text) LANGUAGE sql"
                        " AS $$ SELECT rolname, rolpassword FROM pg_authid WHERE rolname = name $$")  # fmt: skip
    asking.add_database("users", dbname="other")
    try:
        asking.run_with(auth_dbname="users", auth_query="SELECT * FROM public.lookup($1)")
        assert login(asking, "alice", PASSWORDS["alice"]) == "alice"
    finally:
        with asking.postgres.connect(dbname="other") as session:
            session.execute("DROP FUNCTION public.lookup")


def test_a_database_has_a_place_to_look_of_its_own(asking: GuardedPooler) -> None:
    """The global one is not there at all."""
    asking.add_database("users", dbname="other")
    asking.add_database("nowhere", port=1)
    asking.add_database("app", auth_dbname="users", auth_query="SELECT $1, 'found in ' || current_database()")
    asking.run_with(auth_dbname="nowhere")
    assert login(asking, "alice", "found in other") == "alice"


def test_a_database_has_a_query_of_its_own(asking: GuardedPooler) -> None:
    asking.add_database("app", auth_query="SELECT $1, 'sesame' WHERE $1 = 'alice'")
    asking.run()
    assert login(asking, "alice", "sesame") == "alice"
    assert refusal(asking, "alice", PASSWORDS["alice"])[0] == "28P01"
    assert refusal(asking, "carol", "sesame")[0] == "28P01"


@pytest.mark.parametrize(
    "query, complaint",
    [
        ("SELECT $1, 'x' FROM pg_catalog.generate_series(1, 2)", "more than one row"),
        ("SELECT $1", "two columns"),
        ("SELECT pg_catalog.upper($1), 'x'", "asked for user 'alice' and gave 'ALICE'"),
        ("SELECT $1, 'SCRAM-SHA-256$garbage'", "SCRAM secret is malformed"),
        ("SELECT $1, secret FROM nowhere", 'relation "nowhere" does not exist'),
    ],
)
def test_why_a_query_is_wrong_is_in_the_log_and_no_strangers_business(
    asking: GuardedPooler, query: str, complaint: str
) -> None:
    asking.run_with(auth_query=query)
    assert refusal(asking, "alice", "x") == ("08006", "authentication is not available now: auth_query")
    asking.wait_until_told("auth_query", complaint)


def test_while_the_server_is_down_logins_are_told_so(asking: GuardedPooler) -> None:
    asking.add_database("nowhere", port=1)
    asking.run_with(auth_dbname="nowhere")
    told = refusal(asking, "alice", PASSWORDS["alice"])
    assert told == ("08006", "authentication is not available now: auth_query")
    asking.wait_until_told("auth_query", "cannot connect as auth_user 'looker'")


def test_a_reload_changes_who_is_asked(asking: GuardedPooler) -> None:
    del asking.settings["auth_user"]
    asking.run()
    assert refusal(asking, "alice", PASSWORDS["alice"])[0] == "28P01"
    asking.settings["auth_user"] = LOOKER
    asking.reload()
    assert login(asking, "alice", PASSWORDS["alice"]) == "alice"


ASKING = "query LIKE '%pg_sleep(60)%' AND state = 'active'"


def wait_for_question(pooler: GuardedPooler) -> None:
    wait_until(lambda: pooler.postgres.backends(ASKING), "the query to run")


def test_a_stop_does_not_wait_for_a_query(asking: GuardedPooler) -> None:
    asking.run_with(auth_query="SELECT $1, pg_catalog.pg_sleep(60)::text", shutdown_timeout=0)
    with Client(asking.address) as client:
        client.send(wire.startup(wire.PROTOCOL_3_0, user="alice", database="app"))
        wait_for_question(asking)
        asking.finish(within=8)


def test_a_client_that_leaves_while_it_is_asked_about_does_no_harm(asking: GuardedPooler) -> None:
    asking.add_database("slow", dbname="app", auth_query="SELECT $1, pg_catalog.pg_sleep(60)::text")
    asking.run()
    with Client(asking.address) as client:
        client.send(wire.startup(wire.PROTOCOL_3_0, user="alice", database="slow"))
        wait_for_question(asking)
    assert login(asking, "alice", PASSWORDS["alice"]) == "alice"
    (asked,) = asking.postgres.backends(ASKING)
    asking.postgres.terminate(asked)
    assert login(asking, "alice", PASSWORDS["alice"]) == "alice"


def test_a_paused_database_is_not_asked(asking: GuardedPooler) -> None:
    lookups = "application_name = 'howdah auth_query'"
    asking.run_with(client_login_timeout=60)
    assert login(asking, "alice", PASSWORDS["alice"]) == "alice"
    with asking.console() as console, ThreadPoolExecutor(1) as aside:
        assert console.run("PAUSE") == "PAUSE"
        wait_until(lambda: not asking.postgres.backends(lookups), "the connection for lookups to go")
        who = aside.submit(login, asking, "bob", PASSWORDS["bob"])
        wait_until(lambda: len(asking.admin("SHOW CLIENTS")) > 2, "bob to be on his way in")
        assert not asking.postgres.backends(lookups)
        assert not who.done()
        assert console.run("RESUME") == "RESUME"
        assert who.result() == "bob"
