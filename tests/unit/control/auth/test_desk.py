"""The desk for logins: one answer each, whatever happens; the same question once; room for so many and no more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from structlog.testing import LogCapture

from howdah.control.auth import desk as desk_module
from howdah.control.auth import ldap, pam
from howdah.control.auth.answer import Answer, allowed, denied, found, unavailable
from howdah.control.auth.context import AuthContext, LookupSource, LookupTerms, Problem
from howdah.control.auth.desk import AuthDesk
from howdah.control.auth.dial import Place
from howdah.control.auth.ldap import LdapSource
from howdah.control.auth.lookup import Lookups
from howdah.control.auth.pam import PamService
from howdah.control.auth.passthrough import Passthrough
from howdah.control.log import FilteringBoundLogger, logger
from howdah.control.sockaddr import ip_address
from howdah.dataplane.plan import Secret, TlsPlan
from howdah.dataplane.rows import AuthAsk, AuthVerdict, Event, EventKind
from tests.kit.postgres import Postgres
from tests.unit.control.auth.test_context import database

ALLOWED, DENIED, FOUND = AuthVerdict.ALLOWED, AuthVerdict.DENIED, AuthVerdict.FOUND
UNKNOWN, UNAVAILABLE = AuthVerdict.UNKNOWN, AuthVerdict.UNAVAILABLE
LDAP, PAM = 0, 1  # numbers of rules
SECRET = Secret(password=b"secret")


class Engine:
    """Keeps what clients are answered."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[AuthVerdict, Secret | None, str]] = {}

    def auth_answer(self, client: int, verdict: AuthVerdict, secret: Secret | None = None, message: str = "") -> None:
        assert client not in self.answers, f"client {client} was answered twice"
        assert (secret is not None) <= (verdict in (FOUND, ALLOWED))
        assert bool(message) == (verdict in (UNAVAILABLE, AuthVerdict.BUSY))
        self.answers[client] = (verdict, secret, message)

    async def wait_for(self, *clients: int) -> list[AuthVerdict]:
        """Their verdicts, when all have one."""
        async with asyncio.timeout(20):
            while not set(clients) <= set(self.answers):  # noqa: ASYNC110  a condition with a deadline
                await asyncio.sleep(0.002)
        return [self.answers[client][0] for client in clients]


def wanted(
    client: int,
    ask: AuthAsk = AuthAsk.LOOKUP,
    user: str = "alice",
    password: bytes = b"",
    rule: int = 0,
    plan: int = 7,
    **more: Any,
) -> Event:
    detail = bytes([ask]) + rule.to_bytes(4, "big") + plan.to_bytes(4, "big") + password
    event = Event(EventKind.AUTH_WANTED, 0, 0, client, "", "app", user, "127.0.0.1:41234", 0, detail)
    return event._replace(**more)


def stale(user: str = "alice") -> Event:
    return Event(EventKind.AUTH_STALE, 0, 0, 0, "", "app", user, "", 0, b"")


CONTEXT = AuthContext(
    databases={"app": database("app", ip_address("127.0.0.1", 1))},
    terms={"app": LookupTerms("looker", None, "SELECT $1, 'secret'", "")},
    rules=(LdapSource("ldap://localhost"), PamService("howdah")),
    place=Place("", (), TlsPlan(), 5.0),
    plan=7,
)


class Asked:
    """What is asked of others, in place of asking it; answers wait until `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: list[tuple[Any, ...]] = []
        self.answer = found(SECRET)
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        monkeypatch.setattr(Lookups, "ask", lambda _, source, user: self._ask(source, user))
        monkeypatch.setattr(Passthrough, "ask", lambda _, *question: self._ask(*question))
        monkeypatch.setattr(ldap, "check", self._check)
        monkeypatch.setattr(pam, "check", self._check)

    async def _ask(self, *question: Any) -> Answer:
        self.questions.append(question)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return self.answer

    def _check(self, *question: Any) -> Answer:
        self.questions.append(question)
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def run(work: Callable[[AuthDesk, Engine], Awaitable[None]], context: AuthContext = CONTEXT) -> Engine:
    async def main() -> Engine:
        engine = Engine()
        desk = AuthDesk(engine, logger())
        desk.reconfigure(context)
        try:
            await work(desk, engine)
        finally:
            await desk.close()
        return engine

    return asyncio.run(main())


def ask(event: Event, context: AuthContext = CONTEXT) -> tuple[AuthVerdict, Secret | None, str]:
    """One login's answer."""

    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(event)
        await engine.wait_for(event.id)

    return run(work, context).answers[event.id]


# who is asked what


@pytest.mark.parametrize(
    "event, question",
    [
        (wanted(1, AuthAsk.PASSTHROUGH, password=b"pw"), ("app", "alice", b"pw")),
        (wanted(1, AuthAsk.LDAP, password=b"pw", rule=LDAP), (CONTEXT.rules[LDAP], "alice", b"pw")),
        (wanted(1, AuthAsk.PAM, password=b"pw", rule=PAM), (CONTEXT.rules[PAM], "alice", b"pw", "127.0.0.1")),
        (
            wanted(1, AuthAsk.PAM, password=b"pw", rule=PAM, address="[::1]:5"),
            (CONTEXT.rules[PAM], "alice", b"pw", "::1"),
        ),
        (wanted(1, AuthAsk.PAM, password=b"pw", rule=PAM, address="unix"), (CONTEXT.rules[PAM], "alice", b"pw", "")),
    ],
)
def test_passwords_go_to_whom_the_rule_names(asked: Asked, event: Event, question: tuple[Any, ...]) -> None:
    asked.answer = allowed(b"secret")
    asked.gate.set()
    assert ask(event) == (ALLOWED, SECRET, "")
    assert asked.questions == [question]


def test_lookups_go_to_the_databases_source(asked: Asked) -> None:
    asked.gate.set()
    assert ask(wanted(1)) == (FOUND, SECRET, "")
    ((source, user),) = asked.questions
    assert isinstance(source, LookupSource) and (source.user, source.place.dbname, user) == ("looker", "app", "alice")


def test_a_client_is_told_only_what_could_not_be_asked(asked: Asked) -> None:
    """Whoever has not logged in yet learns no names of roles, servers and services."""
    asked.gate.set()
    asked.answer = denied("why")
    assert ask(wanted(1, AuthAsk.LDAP, password=b"x")) == (DENIED, None, "")
    asked.answer = unavailable("cannot bind as 'cn=howdah' at ldap://10.1.2.3")
    assert ask(wanted(1, AuthAsk.LDAP, password=b"x")) == (UNAVAILABLE, None, "LDAP")
    assert ask(wanted(1, AuthAsk.PAM, password=b"x", rule=PAM)) == (UNAVAILABLE, None, "PAM")
    assert ask(wanted(1)) == (UNAVAILABLE, None, "auth_query")
    assert ask(wanted(1, AuthAsk.PASSTHROUGH, password=b"x")) == (UNAVAILABLE, None, "password_passthrough")


@pytest.mark.parametrize("way", [AuthAsk.LDAP, AuthAsk.PAM, AuthAsk.PASSTHROUGH])
@pytest.mark.parametrize("user, password", [("alice", b""), ("alice", b"a\0b"), ("ali\ufffd", b"x")])
def test_what_cannot_be_right_is_not_asked(asked: Asked, way: AuthAsk, user: str, password: bytes) -> None:
    assert ask(wanted(1, way, user, password, rule=way == AuthAsk.PAM))[0] == DENIED
    assert not asked.questions


def test_a_name_that_is_no_utf_8_is_nobodys(asked: Asked) -> None:
    assert ask(wanted(1, user="ali\ufffd"))[0] == UNKNOWN
    assert not asked.questions


def test_without_a_source_there_are_no_users(asked: Asked) -> None:
    assert ask(wanted(1), replace(CONTEXT, terms={}))[0] == UNKNOWN


def test_a_rule_that_cannot_be_asked_is_not_available(asked: Asked) -> None:
    context = replace(CONTEXT, rules=(Problem("install it"),))
    assert ask(wanted(1, AuthAsk.LDAP, password=b"x"), context) == (UNAVAILABLE, None, "LDAP")


def test_a_rule_that_a_reload_took_away_is_no_crash(asked: Asked) -> None:
    assert ask(wanted(1, AuthAsk.LDAP, password=b"x", rule=9))[0] == UNAVAILABLE


def test_a_login_of_an_earlier_plan_goes_by_the_rules_it_met(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        other = LdapSource("ldap://other")
        desk.reconfigure(replace(CONTEXT, rules=(other,), plan=8))
        for client, plan in ((1, 7), (2, 8)):
            desk.handle(wanted(client, AuthAsk.LDAP, password=b"x", plan=plan))
            await engine.wait_for(client)
        assert [question[0] for question in asked.questions] == [CONTEXT.rules[LDAP], other]
        for plan in range(9, 99):
            desk.reconfigure(replace(CONTEXT, plan=plan))
        desk.handle(wanted(3, AuthAsk.LDAP, password=b"x", plan=7))
        assert await engine.wait_for(3) == [UNAVAILABLE]

    asked.answer = denied("")
    run(work)


def test_a_fault_of_ours_is_an_answer_too(asked: Asked) -> None:
    asked.failure = RuntimeError("surprise")
    asked.gate.set()
    assert ask(wanted(1)) == (UNAVAILABLE, None, "auth_query")


@pytest.mark.parametrize("detail", [b"", b"\xff" + bytes(8)])
def test_an_event_that_makes_no_sense_is_answered(asked: Asked, detail: bytes) -> None:
    assert ask(wanted(1, detail=detail)) == (UNAVAILABLE, None, "internal error")


# the same question


def test_a_storm_of_one_user_is_one_question(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(2000):
            desk.handle(wanted(client))
        await asyncio.sleep(0)
        assert len(asked.questions) == 1
        asked.gate.set()
        assert await engine.wait_for(*range(2000)) == [FOUND] * 2000

    run(work, replace(CONTEXT, queue=1))


def test_passwords_are_shared_only_when_they_are_the_same(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client, (user, password) in enumerate([("alice", b"a"), ("alice", b"b"), ("bob", b"a"), ("alice", b"a")]):
            desk.handle(wanted(client, AuthAsk.PASSTHROUGH, user, password))
        await asyncio.sleep(0)
        assert len(asked.questions) == 3
        asked.gate.set()
        await engine.wait_for(0, 1, 2, 3)

    asked.answer = allowed(b"secret")
    run(work)


def test_databases_with_one_source_share_its_answer(asked: Asked) -> None:
    terms = LookupTerms("looker", None, "SELECT $1, 'x'", "app")
    context = replace(CONTEXT, databases={"app": CONTEXT.databases["app"], "*": database("*")},
                      terms={"app": terms, "*": terms})  # fmt: skip

    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(5):
            desk.handle(wanted(client, database=f"db{client}"))
        await asyncio.sleep(0)
        assert len(asked.questions) == 1
        asked.gate.set()
        await engine.wait_for(*range(5))

    run(work, context)


def test_a_new_question_after_the_answer(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(3):
            desk.handle(wanted(client))
            await engine.wait_for(client)
        assert len(asked.questions) == 3

    asked.gate.set()
    run(work)


@pytest.mark.parametrize("change", ["stale", "reload"])
def test_after_a_change_nobody_gets_an_answer_asked_for_before(asked: Asked, change: str) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(wanted(1))
        await asyncio.sleep(0)
        if change == "stale":
            desk.handle(stale("bob"))
            desk.handle(wanted(2))
            await asyncio.sleep(0)
            assert len(asked.questions) == 1
            desk.handle(stale("alice"))
        else:
            desk.reconfigure(replace(CONTEXT, cache_s=1.0))
            desk.handle(wanted(2))
        desk.handle(wanted(3))
        await asyncio.sleep(0)
        assert len(asked.questions) == 2
        asked.gate.set()
        await engine.wait_for(1, 2, 3)

    run(work)


def test_the_same_configuration_again_changes_nothing(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(wanted(1))
        desk.reconfigure(replace(CONTEXT))
        desk.handle(wanted(2))
        await asyncio.sleep(0)
        assert len(asked.questions) == 1
        asked.gate.set()
        await engine.wait_for(1, 2)

    run(work)


# limits


def test_more_questions_than_there_is_room_for_are_refused_at_once(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(1500):
            desk.handle(wanted(client, user=f"user{client}"))
        assert len(engine.answers) == 500
        assert engine.answers[1499] == (AuthVerdict.BUSY, None, "auth_query")
        desk.handle(wanted(1500, user="user7"))  # waits with another one for an answer that is on its way
        assert 1500 not in engine.answers
        asked.gate.set()
        assert set(await engine.wait_for(*range(1000), 1500)) == {FOUND}
        desk.handle(wanted(1501, user="user1400"))
        assert await engine.wait_for(1501) == [FOUND]

    run(work)


def test_a_full_queue_of_one_kind_is_no_trouble_for_another(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(wanted(1))
        desk.handle(wanted(2, user="bob"))
        assert engine.answers[2][0] == AuthVerdict.BUSY
        desk.handle(wanted(3, AuthAsk.PAM, password=b"x", rule=PAM))
        assert await engine.wait_for(3) == [FOUND]

    run(work, replace(CONTEXT, queue=1))


def test_a_login_that_nobody_answers_in_time_is_answered(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(wanted(1))
        await engine.wait_for(1)
        assert engine.answers[1] == (UNAVAILABLE, None, "auth_query")
        assert not desk._open and not desk._waiting.total()

    run(work, replace(CONTEXT, answer_s=0.01))


def test_the_end_answers_who_still_waits(asked: Asked) -> None:
    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk.handle(wanted(1))
        await asyncio.sleep(0)
        desk.handle(wanted(2))
        desk.handle(wanted(3, user="bob"))  # not even begun
        await desk.close()
        assert await engine.wait_for(1, 2, 3) == [UNAVAILABLE] * 3
        desk.handle(wanted(4))
        assert engine.answers[4] == (UNAVAILABLE, None, "howdah is stopping")

    run(work)


def test_an_engine_that_takes_no_answer_does_not_hurt_the_others(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = Engine.auth_answer

    def fussy(self: Engine, client: int, *answer: Any) -> None:
        if client == 1:
            raise ValueError("not this one")
        deliver(self, client, *answer)

    monkeypatch.setattr(Engine, "auth_answer", fussy)

    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(3):
            desk.handle(wanted(client))
        assert await engine.wait_for(0, 2) == [FOUND, FOUND]

    asked.gate.set()
    run(work)


# the log


def test_many_troubles_are_so_many_lines(asked: Asked) -> None:
    lines = LogCapture()

    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk._log = cast("FilteringBoundLogger", Log(lines))
        for client in range(desk_module._MOST_TEXTS + 20):
            asked.answer = unavailable(f"trouble with user{client}")
            desk.handle(wanted(client, user=f"user{client}"))
            await engine.wait_for(client)
        desk._told = {text: at - 10 for text, at in desk._told.items()}  # ten seconds later
        desk.handle(wanted(1000, user="again"))
        await engine.wait_for(1000)

    asked.gate.set()
    run(work)
    assert len(lines.entries) == desk_module._MOST_TEXTS + 1


def test_one_trouble_is_one_line(asked: Asked) -> None:
    lines = LogCapture()

    async def work(desk: AuthDesk, engine: Engine) -> None:
        desk._log = cast("FilteringBoundLogger", Log(lines))
        for client in range(20):
            asked.answer = unavailable(f"trouble {client // 10}")
            desk.handle(wanted(client, user=f"user{client}"))
            await engine.wait_for(client)

    asked.gate.set()
    run(work)
    assert [line["event"] for line in lines.entries] == ["trouble 0", "trouble 1"]
    assert lines.entries[0] == {
        "event": "trouble 0", "log_level": "error", "asked": "auth_query", "database": "app", "user": "user0"
    }  # fmt: skip


class Log:
    """A logger that keeps its lines."""

    def __init__(self, lines: LogCapture) -> None:
        self._lines = lines

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **facts: self._lines.entries.append({"event": event, "log_level": level, **facts})


# all together


def test_users_are_looked_up_in_postgresql(postgres: Postgres) -> None:
    context = replace(
        CONTEXT,
        databases={"*": database("*", ip_address("127.0.0.1", postgres.port))},
        terms={"*": LookupTerms("postgres", None, "SELECT $1, 'secret' WHERE $1 <> 'nobody'", "")},
    )

    async def work(desk: AuthDesk, engine: Engine) -> None:
        for client in range(100):
            desk.handle(wanted(client, user=f"user{client % 10}"))
        desk.handle(wanted(100, user="nobody"))
        assert await engine.wait_for(*range(101)) == [FOUND] * 100 + [UNKNOWN]

    run(work, context)
    postgres.wait_for_backends(0, "application_name = 'howdah auth_query'")
