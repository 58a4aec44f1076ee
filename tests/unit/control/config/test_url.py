"""Connection URLs, by libpq's rules; libpq itself is the judge where psycopg has it."""

import contextlib
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from howdah.control.config.url import Url, UrlError, is_url, parse

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://db",
        "postgresql://db/app",
        "postgresql://db:5433/app",
        "postgresql://bob@db",
        "postgresql://bob:pw@db:5433/app",
        "postgresql://bob:@db",
        "postgresql:///app",
        "postgresql://%2Frun%2Fpostgresql/app",
        "postgresql://%2Frun:5433",
        "postgresql:///app?host=/run/postgresql&port=5433&user=bob",
        "postgresql://[::1]:5433/app",
        "postgresql://[2001:db8::1234]/",
        "postgresql://b%40b:p%2Fw%3A%40@db/a%2Fb",
        "postgresql://db:/app",
        "postgresql://db/a?application_name=x%20y&connect_timeout=3",
        "postgresql://db/%C3%A4",
        "postgresql://db/app?user=eve&password=pw",
        "postgresql://db/app?dbname=other",
        "postgresql://bob:pa:ss@db",
        "postgresql://db/app?options=-c%20a%3Db",
        "postgresql://db/app?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem",
        "postgresql://db/app?ssl=true",
    ],
)
def test_parts_are_those_that_libpq_finds(url: str) -> None:
    parsed = parse(url)
    ours = {
        "host": parsed.host, "port": parsed.port, "user": parsed.user, "password": parsed.password,
        "dbname": parsed.dbname, **parsed.parameters,
    }  # fmt: skip
    theirs = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    assert {key: value for key, value in ours.items() if value} == {k: v for k, v in theirs.items() if v}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/%zz",
        "postgresql://db/%0",
        "postgresql://db/a%00",
        "postgresql://[::1/app",
        "postgresql://[::1]x/app",
        "postgresql://db?nonsense=1",
        "postgresql://db?user",
        "postgresql://db?user=a=b",
    ],
)
def test_what_libpq_refuses_is_refused(url: str) -> None:
    with pytest.raises(psycopg.ProgrammingError):
        conninfo_to_dict(url)
    with pytest.raises(UrlError):
        parse(url)


@pytest.mark.parametrize(
    "url, says",
    [
        ("mysql://db", "scheme 'mysql'"),
        (f"postgresql+asyncpg://bob:{SECRET}@db", "write postgresql://"),
        (f"postgresql://bob:{SECRET}@@db/app", "%40"),
        (f"postgresql://bob:{SECRET}/x@db/app", "%2F"),
        (f"postgresql://bob:pw?{SECRET}=1@db/app", "%3F"),
        ("postgresql://db?host=a,b", "several hosts"),
        ("postgresql://db?port=x", "not a number"),
        ("postgresql://::1/app", "in brackets"),
        ("postgresql://a,b/app", "several hosts"),
        ("postgresql://a:1,b:2/app", "several hosts"),
        ("postgresql://db:port/app", "not a number"),
        (f"postgresql://:{SECRET}@db", "no user"),
        ("postgresql://db?target_session_attrs=read-write", "howdah cannot do that"),
        ("postgresql://db?sslmode=require&channel_binding=require", "leave the parameter out"),
        ("postgresql://db?require_auth=scram-sha-256", "pg_hba.conf"),
        ("postgresql://db?sslcrl=x", "revoked"),
        (f"postgresql://db?sslpassword={SECRET}", "passphrase"),
        ("postgresql://db?sslsni=0", "sslsni=1"),
        ("postgresql://db?sslmode=require&sslrootcert=system", "too weak"),
        ("postgresql://db?ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", "is above"),
        ("postgresql://db?ssl_min_protocol_version=SSLv3", "versions are"),
        ("postgresql://?host=db&hostaddr=10.0.0.1&sslmode=verify-full", "leave hostaddr out"),
        ("postgresql://db?sslmod=disable", "did you mean 'sslmode'"),
        ("postgresql://%ff/app", "UTF-8"),
        ("postgresql://db?replication=database", "howdah cannot do that"),
    ],
)
def test_what_is_refused_with_advice(url: str, says: str) -> None:
    with pytest.raises(UrlError) as caught:
        parse(url)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_address_counts_where_a_url_has_name_and_address() -> None:
    assert parse("postgresql://db?hostaddr=10.0.0.1").host == "10.0.0.1"
    assert parse("postgresql://?host=db&hostaddr=10.0.0.1").host == "10.0.0.1"


def test_parameters_without_effect_are_named() -> None:
    parsed = parse("postgresql://db?gssencmode=prefer&passfile=x&keepalives=1")
    assert parsed.ignored == ("passfile", "keepalives")
    assert parsed.parameters == {}


def test_a_url_means_every_database_of_the_server() -> None:
    url = parse(f"postgresql://bob:{SECRET}@db:5433/app?connect_timeout=3&application_name=x")
    assert url.tables("/tmp") == {
        "howdah": {"server_connect_timeout": "3"},
        "databases": {
            "*": {"host": ["db"], "port": "5433", "user": "bob", "password": SECRET, "application_name": "x"}
        },
        "users": {"bob": {"password": SECRET}},
    }
    assert parse("postgresql:///app").tables("/run/pg")["databases"] == {"*": {"host": ["/run/pg"]}}


@pytest.mark.parametrize(
    "parameters, settings",
    [
        ("", {}),
        ("sslmode=verify-full", {"sslmode": "verify-full"}),
        ("sslmode=verify-ca&sslrootcert=/ca.pem", {"sslmode": "verify-ca", "ca_file": "/ca.pem"}),
        ("sslmode=require&sslrootcert=/ca.pem", {"sslmode": "verify-ca", "ca_file": "/ca.pem"}),
        ("sslrootcert=system", {"sslmode": "verify-full", "ca_file": ""}),
        ("sslmode=verify-full&sslrootcert=system", {"sslmode": "verify-full", "ca_file": ""}),
        ("sslcert=/c.pem&sslkey=/k.pem", {"cert_file": "/c.pem", "key_file": "/k.pem"}),
        ("sslmode=require&sslnegotiation=direct", {"sslmode": "require", "sslnegotiation": "direct"}),
        ("ssl_min_protocol_version=TLSv1.3", {"protocols": "tlsv1.3"}),
        ("ssl_min_protocol_version=TLSv1&ssl_max_protocol_version=TLSv1.2", {"protocols": "tlsv1.0,tlsv1.1,tlsv1.2"}),
    ],
)
def test_tls_is_as_libpq_would_have_it(parameters: str, settings: dict[str, str]) -> None:
    tables = parse(f"postgresql://db/app?{parameters}").tables("/tmp")
    assert tables["howdah"] == {f"server_tls_{name}": value for name, value in settings.items()}


def test_a_url_is_shown_without_its_password() -> None:
    url = parse(f"postgresql://b%40b:{SECRET}@[::1]:5433/app?application_name={SECRET}")
    assert url.shown == "postgresql://b%40b@[::1]:5433/app"
    assert parse("postgresql://%2Frun/app").shown == "postgresql://%2Frun/app"
    assert SECRET not in repr(parse(f"postgresql://bob:{SECRET}@db"))


@pytest.mark.parametrize(
    "text, expected",
    [("postgresql://x", True), ("mysql://x", True), ("howdah.toml", False), ("/a//b", False), ("://", False)],
)
def test_what_is_meant_as_a_url(text: str, expected: bool) -> None:
    assert is_url(text) is expected


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(user=NAMES, password=NAMES, dbname=NAMES, port=st.integers(1, 65535))
def test_any_name_and_password_survives_encoding(user: str, password: str, dbname: str, port: int) -> None:
    parts = [quote(part, safe="") for part in (user, password, dbname)]
    parsed = parse(f"postgresql://{parts[0]}:{parts[1]}@db.example:{port}/{parts[2]}")
    assert parsed == Url(host="db.example", port=str(port), user=user, password=password, dbname=dbname)
    again = parse(parsed.shown)
    assert (again.user, again.dbname, again.password) == (user, dbname, "")


@given(st.text(st.sampled_from("ab:/@?&=%[],.2F "), max_size=30))
def test_no_url_raises_anything_else(rest: str) -> None:
    with contextlib.suppress(UrlError):
        assert parse(f"postgresql://{rest}").shown.startswith("postgresql://")
