"""auth_query against a real PostgreSQL: every answer it can give, search paths that set traps, servers that fail."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from howdah.control.auth import lookup
from howdah.control.auth.answer import Answer
from howdah.control.auth.context import LookupSource
from howdah.control.auth.dial import Place
from howdah.control.auth.lookup import Lookups, read_rows
from howdah.control.auth.secrets import parse_secret
from howdah.control.config.login_settings import AUTH_QUERY
from howdah.control.sockaddr import ip_address, unix_address
from howdah.dataplane.plan import Secret, TlsMode, TlsPlan
from howdah.dataplane.rows import AuthVerdict
from tests.kit.certs import Certificates
from tests.kit.fix_logins import PASSWORDS
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres
from tests.meta.sources import ROOT

FOUND, UNKNOWN, UNAVAILABLE = AuthVerdict.FOUND, AuthVerdict.UNKNOWN, AuthVerdict.UNAVAILABLE
SCRAM = "SCRAM-SHA-256$4096:c2FsdA==$" + "A" * 43 + "=:" + "Q" * 43 + "="


def source(
    postgres: Postgres, query: str = AUTH_QUERY, user: str = "postgres", dbname: str = "postgres", **more: Any
) -> LookupSource:
    place = Place(dbname, (ip_address("127.0.0.1", postgres.port),), more.pop("tls", TlsPlan()), 10.0)
    return LookupSource(place, user, more.pop("password", None), query, **more)


def run(work: Callable[[Lookups], Awaitable[Any]]) -> Any:
    """On a loop of its own, with connections that are closed at the end."""

    async def main() -> Any:
        lookups = Lookups()
        try:
            return await work(lookups)
        finally:
            await lookups.close()

    return asyncio.run(main())


def ask(what: LookupSource, user: str = "alice") -> Answer:
    answer: Answer = run(lambda lookups: lookups.ask(what, user))
    return answer


@pytest.fixture
def role(postgres: Postgres, table: str) -> Iterator[str]:
    """A role no other test uses, with a password."""
    postgres.sql(f"CREATE ROLE {table} LOGIN PASSWORD '{SCRAM}'")
    yield table
    postgres.sql(f"DROP ROLE {table}")


# what the query can give


def test_the_default_query_finds_a_users_secret(postgres: Postgres, role: str) -> None:
    assert ask(source(postgres), role) == Answer(FOUND, parse_secret(SCRAM))


def test_a_user_who_is_not_there_or_may_not_log_in_is_unknown(postgres: Postgres, role: str) -> None:
    assert ask(source(postgres), "nobody at all").verdict == UNKNOWN
    postgres.sql(f"ALTER ROLE {role} NOLOGIN")
    assert ask(source(postgres), role).verdict == UNKNOWN


@pytest.mark.parametrize("trouble", ["PASSWORD NULL", "VALID UNTIL '2001-01-01'"])
def test_without_a_password_or_with_an_expired_one_nobody_gets_in(postgres: Postgres, role: str, trouble: str) -> None:
    """CVE-2025-2291: VALID UNTIL counts."""
    postgres.sql(f"ALTER ROLE {role} {trouble}")
    assert ask(source(postgres), role).verdict == UNKNOWN


@pytest.mark.parametrize(
    "query, verdict, message",
    [
        ("SELECT $1, 'secret'", FOUND, ""),
        ("SELECT $1::name, 'md5' || repeat('a', 32)", FOUND, ""),
        (f"SELECT $1, '{SCRAM}'", FOUND, ""),
        ("SELECT $1, NULL", UNKNOWN, ""),
        ("SELECT $1, ''", UNKNOWN, ""),
        ("SELECT $1, 'x' WHERE false", UNKNOWN, ""),
        ("SELECT $1, 'x' UNION ALL SELECT 'bob', 'y'", UNAVAILABLE, "more than one row"),
        ("SELECT $1, 'x' FROM generate_series(1, 3)", UNAVAILABLE, "more than one row"),
        ("SELECT $1", UNAVAILABLE, "two columns"),
        ("SELECT $1, 'x', 'y'", UNAVAILABLE, "two columns"),
        ("SELECT NULL::text, $1", UNAVAILABLE, "two columns"),
        ("SELECT $1, 17", UNAVAILABLE, "two columns"),
        ("SELECT $1, '\\x00'::bytea", UNAVAILABLE, "two columns"),
        ("SELECT upper($1), 'x'", UNAVAILABLE, "asked for user 'alice' and gave 'ALICE'"),
        ("SELECT 'bob', $1", UNAVAILABLE, "asked for user 'alice' and gave 'bob'"),
        ("SELECT $1, 'SCRAM-SHA-256$4096:garbage'", UNAVAILABLE, "SCRAM secret is malformed"),
        ("SELECT 'alice', 'x'", UNAVAILABLE, "parameter"),
        ("SELECT $1, $2", UNAVAILABLE, "parameter"),
        ("SELEKT $1, 'x'", UNAVAILABLE, 'syntax error at or near "SELEKT"'),
        ("SELECT $1, secret FROM no_such_table", UNAVAILABLE, 'relation "no_such_table" does not exist'),
        ("SELECT $1, 'x'; SELECT 1", UNAVAILABLE, "multiple commands"),
        ("DO $$ BEGIN END $$", UNAVAILABLE, ""),
        ("", UNAVAILABLE, ""),
    ],
)
def test_answers(postgres: Postgres, query: str, verdict: AuthVerdict, message: str) -> None:
    answer = ask(source(postgres, query))
    assert answer.verdict == verdict, answer
    assert message in answer.message


def test_no_secret_gets_into_a_message(postgres: Postgres) -> None:
    for query in ("SELECT $1, 'SCRAM-SHA-256$hush:hush'", "SELECT $1, 'hush' UNION ALL SELECT 'a', 'hush'"):
        answer = ask(source(postgres, query, password=b"hush"))
        assert answer.verdict == UNAVAILABLE and "hush" not in answer.message


@pytest.mark.parametrize("user", ["a'b", 'a"b', "a\\b", "$1", "%s", "'; DROP TABLE x; --", "ä", "\U0001f418", " a "])
def test_names_are_parameters(postgres: Postgres, user: str) -> None:
    assert ask(source(postgres, "SELECT $1, 'secret'"), user) == Answer(FOUND, Secret(password=b"secret"))


def test_a_name_longer_than_postgresql_has_is_nobody(postgres: Postgres) -> None:
    """PostgreSQL would cut it, and find a user of the shorter name."""
    assert ask(source(postgres), "a" * 64).verdict == UNKNOWN
    assert ask(source(postgres, "SELECT $1::name, 'x'"), "a" * 64).verdict == UNAVAILABLE


def test_a_slow_query_is_given_up(postgres: Postgres) -> None:
    answer = ask(source(postgres, "SELECT $1, pg_sleep(60)::text", statement_s=0.1))
    assert answer.verdict == UNAVAILABLE and "statement timeout" in answer.message


# whose functions it calls


def test_no_search_path_makes_the_query_call_others_functions(postgres: Postgres, table: str) -> None:
    """CVE-2025-12819: whoever may create objects sets a trap in front of pg_catalog, for the role and the database."""
    postgres.sql(f"CREATE ROLE {table} LOGIN SUPERUSER")
    with postgres.connect(dbname="app") as session:
        session.execute(f"CREATE SCHEMA {table}")
        session.execute(f"CREATE TABLE {table}.pg_authid AS SELECT 'alice'::name AS rolname, 'trap'::text AS"
                        " rolpassword, true AS rolcanlogin, NULL::timestamptz AS rolvaliduntil")  # fmt: skip
        session.execute(f"CREATE FUNCTION {table}.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'")
        session.execute(f"ALTER ROLE {table} SET search_path = {table}, pg_catalog")
    careless = (
        "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
        "FROM pg_authid WHERE rolname = $1 AND rolcanlogin"
    )
    try:
        with postgres.connect(dbname="app", user=table) as session:
            row = session.execute(re.sub(r"\$1", "'alice'", careless)).fetchone()
            assert row == ("alice", "trap"), "the trap is not set"
        assert ask(source(postgres, careless, user=table, dbname="app")).verdict == UNKNOWN  # alice has no password
    finally:
        with postgres.connect(dbname="app") as session:
            session.execute(f"DROP SCHEMA {table} CASCADE")
        postgres.sql(f"DROP ROLE {table}")


def test_functions_of_ones_own_are_named_with_their_schema(postgres: Postgres, table: str) -> None:
    with postgres.connect(dbname="app") as session:
        session.execute(f"CREATE FUNCTION public.{table}(name text) RETURNS TABLE(usename text, passwd text) "
                        "LANGUAGE sql AS $$ SELECT name, 'secret' $$")  # fmt: skip
    try:
        assert ask(source(postgres, f"SELECT * FROM public.{table}($1)", dbname="app")).verdict == FOUND
        answer = ask(source(postgres, f"SELECT * FROM {table}($1)", dbname="app"))
        assert answer.verdict == UNAVAILABLE and "does not exist" in answer.message
    finally:
        with postgres.connect(dbname="app") as session:
            session.execute(f"DROP FUNCTION public.{table}")


def test_the_pages_function_looks_up_all_but_superusers(tls_postgres: Postgres) -> None:
    page = (ROOT / "docs/explain/logins.md").read_text()
    (statements,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    (query,) = re.findall(r'^auth_query = "(.*)"$', page, re.MULTILINE)
    try:
        with tls_postgres.connect(dbname="app") as session:
            session.execute(statements)
        what = source(tls_postgres, query, user="howdah_auth", dbname="app")
        assert ask(what, "alice") == Answer(FOUND, parse_secret(tls_postgres.secret("alice")))
        assert [ask(what, user).verdict for user in ("nobody", "postgres")] == [UNKNOWN] * 2
        with tls_postgres.connect(dbname="app", user="carol") as session, pytest.raises(psycopg.Error, match="denied"):
            session.execute("SELECT * FROM public.howdah_lookup('alice')")
    finally:
        with tls_postgres.connect(dbname="app") as session:
            session.execute("DROP FUNCTION IF EXISTS public.howdah_lookup")
            session.execute("DROP ROLE IF EXISTS howdah_auth")


# connections


def backends(postgres: Postgres) -> set[int]:
    return postgres.backends("application_name = 'howdah auth_query'")


def test_one_connection_serves_one_question_after_the_other_and_is_closed_at_the_end(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        for _ in range(5):
            assert (await lookups.ask(source(postgres, "SELECT $1, 'x'"), "alice")).verdict == FOUND
        assert len(backends(postgres)) == 1

    run(work)
    postgres.wait_for_backends(0, "application_name = 'howdah auth_query'")


def test_many_questions_at_once_share_a_few_connections(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        what = source(postgres, "SELECT $1, pg_sleep(0.01)::text || count(*) FROM pg_stat_activity "
                                "WHERE application_name = 'howdah auth_query'")  # fmt: skip
        answers = await asyncio.gather(*(lookups.ask(what, f"user{number}") for number in range(60)))
        counts = {answer.secret.password for answer in answers if answer.secret is not None}
        assert len(answers) == 60 and counts <= {b"1", b"2", b"3"}

    run(work)


def test_all_databases_together_have_so_many_connections_and_no_more(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        for number in range(lookup.MOST + 5):  # each a source of its own
            answer = await lookups.ask(source(postgres, f"SELECT $1, 'x{number}'"), "alice")
            assert answer.verdict == FOUND
        assert len(lookups._idle) == lookup.MOST

    run(work)


def test_a_connection_that_died_meanwhile_is_replaced(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        what = source(postgres, "SELECT $1, 'x'")
        assert (await lookups.ask(what, "alice")).verdict == FOUND
        (before,) = backends(postgres)
        postgres.terminate(before)
        assert (await lookups.ask(what, "alice")).verdict == FOUND
        assert backends(postgres) - {before}

    run(work)


def test_an_error_of_the_query_does_not_cost_the_connection(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        what = source(postgres, "SELECT $1, (1 / (length($1) - 1))::text")
        assert (await lookups.ask(what, "a")).verdict == UNAVAILABLE
        before = backends(postgres)
        assert (await lookups.ask(what, "ab")).verdict == FOUND
        assert backends(postgres) == before

    run(work)


def test_connections_idle_for_long_are_closed(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        lookups.idle_s = 0.05
        assert (await lookups.ask(source(postgres, "SELECT $1, 'x'"), "alice")).verdict == FOUND
        async with asyncio.timeout(10):
            while lookups._idle:  # noqa: ASYNC110  a condition with a deadline
                await asyncio.sleep(0.01)

    run(work)


def test_a_server_that_cannot_be_reached_is_not_tried_at_every_login() -> None:
    async def work(lookups: Lookups) -> None:
        place = Place("app", (ip_address("127.0.0.1", take_port()),), TlsPlan(), 5.0)
        what = LookupSource(place, "postgres", None, "SELECT $1, 'x'")
        first = await lookups.ask(what, "alice")
        assert first.verdict == UNAVAILABLE and "refused" in first.message and "'postgres'" in first.message
        line = lookups._line(what)
        until = line.down_until
        assert (await lookups.ask(what, "bob")).message == first.message
        assert line.down_until == until, "it was tried again"
        line.down_until = 0.0
        await lookups.ask(what, "bob")
        assert line.pause_s == 2 * lookup.FIRST_PAUSE_S

    run(work)


def test_it_is_asked_again_once_the_server_is_back(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        what = source(postgres, "SELECT $1, 'x'")
        postgres.stop()
        assert (await lookups.ask(what, "alice")).verdict == UNAVAILABLE
        postgres.start()
        async with asyncio.timeout(20):
            while (await lookups.ask(what, "alice")).verdict != FOUND:  # noqa: ASYNC110  the same
                await asyncio.sleep(0.05)
        assert lookups._line(what).pause_s == 0

    run(work)


def test_changed_sources_are_not_asked_over_old_connections(postgres: Postgres) -> None:
    async def work(lookups: Lookups) -> None:
        what = source(postgres, "SELECT $1, 'x'")
        asking = asyncio.ensure_future(lookups.ask(source(postgres, "SELECT $1, pg_sleep(0.1)::text"), "alice"))
        await lookups.ask(what, "alice")
        lookups.forget()
        assert not lookups._idle
        await asking
        assert not lookups._idle, "a connection for the old configuration was kept"

    run(work)


def test_unix_sockets_and_several_addresses(postgres: Postgres) -> None:
    for addresses in (
        (unix_address(str(postgres.socket_dir), postgres.port),),
        (ip_address("::1", postgres.port),),
        (ip_address("127.0.0.1", take_port()), unix_address(str(postgres.socket_dir), postgres.port)),
    ):
        place = Place("app", addresses, TlsPlan(), 5.0)
        assert ask(LookupSource(place, "postgres", None, "SELECT $1, 'x'")).verdict == FOUND, addresses


# who asks


def test_auth_user_logs_in_with_its_password(tls_postgres: Postgres) -> None:
    query = "SELECT $1, pg_catalog.current_database()::text"
    for user in ("alice", "bob", "carol"):
        password = PASSWORDS[user].encode()
        what = source(
            tls_postgres, query, user=user, dbname="by_md5" if user == "bob" else "by_scram", password=password
        )
        assert ask(what).verdict == FOUND


def test_a_refused_auth_user_is_told_with_the_servers_words(tls_postgres: Postgres) -> None:
    answer = ask(source(tls_postgres, user="alice", dbname="by_scram", password=b"hush, hush"))
    assert answer.verdict == UNAVAILABLE and "hush" not in answer.message
    assert 'password authentication failed for user "alice"' in answer.message


def test_a_password_that_is_missing_is_named(tls_postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORDS["alice"])  # the shell's is not ours
    answer = ask(source(tls_postgres, user="alice", dbname="by_scram"))
    assert answer.verdict == UNAVAILABLE and "give a plain one" in answer.message


@pytest.mark.parametrize("mode", [TlsMode.PREFER, TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL])
def test_tls_is_as_the_configuration_says(tls_postgres: Postgres, certificates: Certificates, mode: TlsMode) -> None:
    query = "SELECT $1, ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    for ca, trusted in ((certificates.ca, True), (certificates.wrong_ca, False)):
        what = source(tls_postgres, query, dbname="postgres", tls=TlsPlan(mode, ca=ca.read_bytes()))
        answer = ask(what)
        if trusted or mode < TlsMode.VERIFY_CA:
            assert answer == Answer(FOUND, Secret(password=b"true"))
        else:
            assert answer.verdict == UNAVAILABLE and "SSL error" in answer.message


def test_a_client_certificate_is_shown(tls_postgres: Postgres, certificates: Certificates) -> None:
    pair = certificates.alice
    tls = TlsPlan(
        TlsMode.VERIFY_FULL, pair.certificate.read_bytes(), pair.key.read_bytes(), certificates.ca.read_bytes()
    )
    assert ask(source(tls_postgres, "SELECT $1, 'x'", user="alice", dbname="by_cert", tls=tls)).verdict == FOUND


@pytest.mark.parametrize("row", [(), (b"alice", "x"), ("alice", 1.5), ([], []), ("alice", None, None)])
def test_rows_of_any_kind_can_be_read(row: tuple[Any, ...]) -> None:
    assert read_rows([row], "alice").verdict == UNAVAILABLE
