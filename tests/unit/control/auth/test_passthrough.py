"""password_passthrough against a real PostgreSQL: whose password opens the door, and what is remembered of it."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from howdah.control.auth import passthrough
from howdah.control.auth.answer import Answer
from howdah.control.auth.context import AuthContext
from howdah.control.auth.dial import Place, Refused, try_password
from howdah.control.auth.passthrough import Passthrough
from howdah.control.sockaddr import ip_address
from howdah.dataplane.plan import Address, Secret, TlsMode, TlsPlan
from howdah.dataplane.rows import AuthVerdict
from tests.kit.certs import HOST, Certificates
from tests.kit.fix_logins import DORA_PREPARED, PASSWORDS
from tests.kit.ports import take_port
from tests.kit.postgres import Postgres
from tests.unit.control.auth.test_context import database

ALLOWED, DENIED, UNAVAILABLE = AuthVerdict.ALLOWED, AuthVerdict.DENIED, AuthVerdict.UNAVAILABLE


def context(port: int, **more: Any) -> AuthContext:
    """Every database is at PostgreSQL on this port."""
    place = Place("", (), TlsPlan(), 10.0)
    return AuthContext(databases={"*": database("*", ip_address("127.0.0.1", port))}, place=place, **more)


def door(where: AuthContext) -> Passthrough:
    made = Passthrough()
    made.use(where)
    return made


def ask(where: AuthContext, name: str, user: str, password: str | bytes) -> Answer:
    password = password.encode() if isinstance(password, str) else password
    return asyncio.run(door(where).ask(name, user, password))


def run(where: AuthContext, work: Callable[[Passthrough], Awaitable[None]]) -> None:
    async def main() -> None:
        await work(door(where))

    asyncio.run(main())


@pytest.mark.parametrize(
    "user, name",
    [("alice", "by_scram"), ("alice", "by_password"), ("bob", "by_md5"), ("bob", "by_password"), ("carol", "by_md5")],
)
def test_postgresql_says_whose_password_is_right(tls_postgres: Postgres, user: str, name: str) -> None:
    where = context(tls_postgres.port)
    assert ask(where, name, user, PASSWORDS[user]) == Answer(ALLOWED, Secret(password=PASSWORDS[user].encode()))
    answer = ask(where, name, user, "wrong")
    assert answer.verdict == DENIED and f'password authentication failed for user "{user}"' in answer.message


def test_passwords_that_saslprep_changes_come_back_in_both_forms(tls_postgres: Postgres) -> None:
    where = context(tls_postgres.port)
    written = PASSWORDS["dora"].encode()
    assert ask(where, "by_scram", "dora", written).secret == Secret(written, DORA_PREPARED.encode())


@pytest.mark.parametrize("password", [b"\xff\xfe", b"'", b"\\", b"a' host='203.0.113.1", b"x" * 5000])
def test_a_password_is_a_password_and_nothing_else(tls_postgres: Postgres, password: bytes) -> None:
    for name in ("by_scram", "by_password", "by_md5"):
        assert ask(context(tls_postgres.port), name, "alice", password).verdict == DENIED


@pytest.mark.parametrize("user", ["nobody at all", "a'b", "a\\", "alice dbname=by_trust", "ä", ""])
def test_an_unknown_user_is_denied(tls_postgres: Postgres, user: str) -> None:
    assert ask(context(tls_postgres.port), "by_scram", user, "x").verdict in (DENIED, UNAVAILABLE)
    assert ask(context(tls_postgres.port), "by_scram", user, PASSWORDS["alice"]).verdict != ALLOWED


def test_postgresql_that_trusts_us_says_nothing_about_the_password(tls_postgres: Postgres) -> None:
    """Else every password would be right where the pooler is let in by pg_hba.conf's trust."""
    for password in (PASSWORDS["alice"], "wrong"):
        answer = ask(context(tls_postgres.port), "by_trust", "alice", password)
        assert answer.verdict == UNAVAILABLE, "trust was taken for a right password"


def test_a_line_that_rejects_is_a_denial(tls_postgres: Postgres) -> None:
    answer = ask(context(tls_postgres.port), "by_reject", "alice", PASSWORDS["alice"])
    assert answer.verdict == DENIED and "pg_hba.conf rejects" in answer.message


def test_a_right_password_for_no_database_is_no_denial(tls_postgres: Postgres) -> None:
    tls_postgres.sql("ALTER ROLE carol CONNECTION LIMIT 0")
    try:
        answer = ask(context(tls_postgres.port), "by_scram", "carol", PASSWORDS["carol"])
    finally:
        tls_postgres.sql("ALTER ROLE carol CONNECTION LIMIT -1")
    assert answer.verdict == UNAVAILABLE and "too many connections" in answer.message


def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    port = take_port()
    answer = ask(context(port), "app", "alice", "x")
    assert answer.verdict == UNAVAILABLE and str(port) in answer.message


def test_a_database_without_an_address_is_unavailable() -> None:
    nowhere = replace(database("app"), resolve_error="cannot resolve host name 'nowhere'")
    answer = ask(AuthContext(databases={"app": nowhere}), "app", "alice", "x")
    assert answer.verdict == UNAVAILABLE and "cannot resolve host name 'nowhere'" in answer.message
    assert ask(AuthContext(), "app", "alice", "x").verdict == UNAVAILABLE


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # nobody accepts: the kernel alone takes the connection
        address = ip_address("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(Refused, match=r"no answer within 0\.1 s"):
            asyncio.run(try_password(Place("app", (address,), TlsPlan(), 0.1), "alice", b"x"))


@pytest.mark.parametrize("mode", [TlsMode.REQUIRE, TlsMode.VERIFY_FULL])
def test_passwords_are_tried_under_tls(tls_postgres: Postgres, certificates: Certificates, mode: TlsMode) -> None:
    address = replace(ip_address("127.0.0.1", tls_postgres.port), host=HOST)
    for ca, trusted in ((certificates.ca, True), (certificates.wrong_ca, False)):
        where = Place("over_tls", (address,), TlsPlan(mode, ca=ca.read_bytes()), 10.0)
        attempt = try_password(where, "alice", PASSWORDS["alice"].encode())
        if trusted or mode == TlsMode.REQUIRE:
            asyncio.run(attempt)
        else:
            with pytest.raises(Refused, match="SSL"):
                asyncio.run(attempt)


def test_a_certificate_for_another_name_is_refused(tls_postgres: Postgres, certificates: Certificates) -> None:
    address = replace(ip_address("127.0.0.1", tls_postgres.port), host="other.example.com")
    where = Place("over_tls", (address,), TlsPlan(TlsMode.VERIFY_FULL, ca=certificates.ca.read_bytes()), 10.0)
    with pytest.raises(Refused, match=r"other\.example\.com"):
        asyncio.run(try_password(where, "alice", PASSWORDS["alice"].encode()))


def test_no_plain_text_where_tls_is_required(postgres: Postgres) -> None:
    """The embedded PostgreSQL has no TLS."""
    address = ip_address("127.0.0.1", postgres.port)
    with pytest.raises(Refused, match="server does not support SSL"):
        asyncio.run(try_password(Place("app", (address,), TlsPlan(TlsMode.REQUIRE), 10.0), "alice", b"x"))


# what is remembered


class Trials:
    """Counts trial logins in place of making them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, right: bytes = b"right") -> None:
        self.count = self.now = self.most = 0
        self._right = right
        monkeypatch.setattr(passthrough, "try_password", self._try)

    async def _try(self, place: Place, user: str, password: bytes) -> None:
        self.count += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        if password != self._right:
            raise Refused("no", ("28P01",))


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    return Trials(monkeypatch)


def test_a_success_is_remembered_for_its_time(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        for _ in range(3):
            assert (await way.ask("app", "alice", b"right")).verdict == ALLOWED
        assert trials.count == 1
        ((mark, until),) = way._known.values()
        assert 29 < until - time.monotonic() <= 30
        way._known["app", "alice"] = (mark, until - 30)
        await way.ask("app", "alice", b"right")
        assert trials.count == 2

    run(context(1), work)


def test_only_the_same_password_of_the_same_user_for_the_same_database_is_known(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        await way.ask("app", "alice", b"right")
        assert (await way.ask("app", "alice", b"wrong")).verdict == DENIED
        assert (await way.ask("app", "alice", b"Right")).verdict == DENIED
        await way.ask("app", "bob", b"right")
        await way.ask("other", "alice", b"right")
        assert trials.count == 5
        await way.ask("app", "alice", b"right")  # a stranger's wrong password has not undone it
        assert trials.count == 5

    run(context(1), work)


def test_nothing_of_a_password_is_kept(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        await way.ask("app", "alice", b"right")
        ((mark, _),) = way._known.values()
        assert b"right" not in mark and len(mark) == 32

    run(context(1), work)


def test_what_is_stale_is_forgotten(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        await way.ask("app", "alice", b"right")
        way.forget("app", "alice")
        await way.ask("app", "alice", b"right")
        assert trials.count == 2
        way.use(context(2))
        await way.ask("app", "alice", b"right")
        assert trials.count == 3

    run(context(1), work)


def test_without_a_cache_each_login_is_tried(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        for _ in range(3):
            await way.ask("app", "alice", b"right")
        assert trials.count == 3 and not way._known

    run(context(1, cache_s=0.0), work)


def test_memory_is_bounded(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passthrough, "MOST_KNOWN", 10)

    async def work(way: Passthrough) -> None:
        for number in range(15):
            await way.ask(f"db{number}", "alice", b"right")
        assert len(way._known) == 10 and len(way._turns) == 1

    run(context(1), work)


def test_a_thousand_wrong_passwords_take_four_connections(trials: Trials) -> None:
    async def work(way: Passthrough) -> None:
        answers = await asyncio.gather(*(way.ask(f"db{n}", f"user{n}", b"wrong") for n in range(1000)))
        assert {answer.verdict for answer in answers} == {DENIED}
        assert trials.count == 1000 and trials.most == passthrough.MOST_AT_ONCE

    run(context(1), work)


def test_addresses_of_the_plan_become_libpqs() -> None:
    from howdah.control.auth.dial import parameters
    from howdah.control.sockaddr import unix_address

    addresses = (
        replace(ip_address("192.0.2.1", 5432), host="db.example.com"),
        ip_address("fe80::1%1", 5433),
        unix_address("/run/postgresql", 5434),
        unix_address("@howdah", 5435),
        Address(ip_address("::1", 5436).packed, "", "localhost"),
    )
    with parameters(Place("app", addresses, TlsPlan(), 5.0), "alice", b"x") as given:
        assert given["host"] == "db.example.com,fe80::1%1,/run/postgresql,@howdah,localhost"
        assert given["hostaddr"] == "192.0.2.1,fe80::1%1,,,::1"
        assert given["port"] == "5432,5433,5434,5435,5436"
