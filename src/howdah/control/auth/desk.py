"""The desk for logins that must ask the outside world: takes AUTH_WANTED events, answers each exactly once.

`handle` never waits and never raises.  What is asked is a question: a lookup of one user, or whether one password is
right.  Logins with the same question share one answer, since a storm of one user arrives before the first answer is
there; each way of asking has room for so many questions at a time, and what comes beyond that is turned away at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from howdah.control.auth import ldap, pam
from howdah.control.auth.answer import Answer, busy, denied, unavailable, unknown
from howdah.control.auth.context import AuthContext, LookupSource, Problem
from howdah.control.auth.ldap import LdapSource
from howdah.control.auth.lookup import Lookups
from howdah.control.auth.pam import PamService
from howdah.control.auth.passthrough import Passthrough, fingerprint
from howdah.control.auth.threads import Crew
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.plan import Secret
from howdah.dataplane.rows import AuthAsk, AuthRequest, AuthVerdict, Event, EventKind, auth_request

#: What logins wait for, in messages.
_NAMES = {
    AuthAsk.LOOKUP: "auth_query",
    AuthAsk.LDAP: "LDAP",
    AuthAsk.PAM: "PAM",
    AuthAsk.PASSTHROUGH: "password_passthrough",
}
#: What PostgreSQL itself is asked.
_OF_POSTGRESQL = (AuthAsk.LOOKUP, AuthAsk.PASSTHROUGH)
#: Names that are no UTF-8 come with this in place of what could not be read: they are not the name of anybody.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: A text is logged once in so many seconds, and so many texts: names of strangers are part of them.
_SILENCE_S = 10.0
_MOST_TEXTS = 50
#: Plans whose rules are remembered.
_MOST_PLANS = 16
#: How long the end may take, once everything is cancelled.
_CLOSE_S = 2.0
_STOPPING = unavailable("howdah is stopping")


class Engine(Protocol):
    """The part of the engine that takes answers."""

    def auth_answer(
        self, client: int, verdict: AuthVerdict, secret: Secret | None = None, message: str = ""
    ) -> None: ...


#: Waits until a database is not paused.
OpenFor = Callable[[str], Awaitable[None]]
Rule = LdapSource | PamService | Problem | None
Rules = tuple[Rule, ...]
Work = Callable[[], Coroutine[Any, Any, Answer]]


@dataclass(slots=True, eq=False)
class _Question:
    """What one or more logins wait to know."""

    ask: AuthAsk
    key: Hashable
    database: str
    user: str
    clients: list[int] = field(default_factory=list)


class AuthDesk:
    """Made on the running loop's thread; `reconfigure` before the first event, and with each plan that is published."""

    def __init__(self, engine: Engine, log: FilteringBoundLogger) -> None:
        self._engine = engine
        self._log = log
        self._context = AuthContext()
        # One for each: a directory server that hangs is no reason for PAM to wait.
        self._crews = {ask: Crew(self._context.threads) for ask in (AuthAsk.LDAP, AuthAsk.PAM)}
        self._lookups = Lookups()
        self._passthrough = Passthrough()
        self._open: dict[Hashable, _Question] = {}
        self._tasks: set[asyncio.Task[Answer]] = set()
        self._waiting = Counter[AuthAsk]()
        self._told: dict[str, float] = {}
        self._closed = False
        self._open_for: OpenFor = _always_open
        self._rules: dict[int, Rules] = {}  # by version of their plan, the latest last

    def reconfigure(self, context: AuthContext) -> None:
        """Questions asked from now on go by this context; what is kept from another one is forgotten."""
        # Names that resolve anew are a new plan, too: logins on their way here are no worse for that.
        self._rules[context.plan] = context.rules
        for plan in list(self._rules)[:-_MOST_PLANS]:
            del self._rules[plan]
        if context == self._context:
            return
        self._context = context
        for crew in self._crews.values():
            crew.most = context.threads
        self._lookups.retry_s, self._lookups.idle_s = context.retry_s, context.idle_s
        self._lookups.forget()
        self._passthrough.use(context)
        self._open.clear()

    def hold_with(self, open_for: OpenFor) -> None:
        """Ask PostgreSQL nothing on behalf of a database that is paused; its logins wait."""
        self._open_for = open_for

    def leave_servers(self) -> None:
        """Close the connections for auth_query that nobody needs at the moment."""
        self._lookups.forget()

    def handle(self, event: Event) -> None:
        """AUTH_WANTED and AUTH_STALE."""
        try:
            if event.kind == EventKind.AUTH_STALE:
                self._forget(event.database, event.user)
            else:
                self._take(event)
        except Exception:  # noqa: BLE001  a fault of ours: the others go on
            self._log.exception("a login could not be asked about", database=event.database, user=event.user)
            if event.kind == EventKind.AUTH_WANTED:
                self._answer([event.id], unavailable("internal error"))

    async def close(self) -> None:
        """Give up on everything; who still waits is told so."""
        self._closed = True
        for crew in self._crews.values():
            crew.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)
        await self._lookups.close()

    # inner

    def _take(self, event: Event) -> None:
        request = auth_request(event.detail)
        refusal = self._refusal(request, event.user)
        if refusal is not None:
            self._answer([event.id], refusal)
            return
        key, work = self._question(event, request)
        question = self._open.get(key)
        if question is None:
            if self._waiting[request.ask] >= self._context.queue:
                self._answer([event.id], busy(_NAMES[request.ask]))
                return
            question = self._open[key] = _Question(request.ask, key, event.database, event.user)
            self._begin(question, work)
        question.clients.append(event.id)

    def _refusal(self, request: AuthRequest, user: str) -> Answer | None:
        """What need not be asked."""
        if self._closed:
            return _STOPPING
        if request.ask == AuthAsk.LOOKUP:
            return unknown("the name is not UTF-8") if _REPLACEMENT in user else None
        if _REPLACEMENT in user or not request.password or b"\0" in request.password:
            return denied("the name is not UTF-8, or the password is empty or holds a NUL")
        return None

    def _question(self, event: Event, request: AuthRequest) -> tuple[Hashable, Work]:
        """What identifies the question, and how to ask it."""
        user, password = event.user, request.password
        match request.ask:
            case AuthAsk.LOOKUP:
                source = self._context.lookup_source(event.database)
                return (request.ask, source, user), partial(self._look_up, source, user)
            case AuthAsk.PASSTHROUGH:
                asked = (request.ask, event.database, user, fingerprint(password))
                return asked, partial(self._passthrough.ask, event.database, user, password)
            case _:
                rule = self._rule(request)
                host = _host(event.address) if request.ask == AuthAsk.PAM else ""
                key = (request.ask, rule, host, user, fingerprint(password))
                return key, partial(self._ask_rule, rule, user, password, host)

    def _rule(self, request: AuthRequest) -> Rule:
        """None where the rules have changed so often that those of the login's plan are not here any more."""
        rules = self._rules.get(request.plan, ())
        return rules[request.rule] if request.rule < len(rules) else None

    def _begin(self, question: _Question, work: Work) -> None:
        self._waiting[question.ask] += 1
        task = asyncio.get_running_loop().create_task(self._find_out(question, work))
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, question))

    async def _find_out(self, question: _Question, work: Work) -> Answer:
        try:
            if question.ask in _OF_POSTGRESQL:
                await self._open_for(question.database)
            async with asyncio.timeout(self._context.answer_s):
                return await work()
        except TimeoutError:
            return unavailable(f"no answer of {_NAMES[question.ask]} within {self._context.answer_s:g} s")
        except Exception:  # noqa: BLE001  the same
            self._log.exception("a login could not be asked about", database=question.database, user=question.user)
            return unavailable("internal error")

    def _finish(self, question: _Question, task: asyncio.Task[Answer]) -> None:
        """The one place where clients of a question are answered; also comes when a task is cancelled unbegun."""
        self._tasks.discard(task)
        self._waiting[question.ask] -= 1
        if self._open.get(question.key) is question:
            del self._open[question.key]
        answer = _STOPPING if task.cancelled() else task.result()
        self._tell(question, answer)
        self._answer(question.clients, _for_strangers(question, answer))

    async def _look_up(self, source: LookupSource | Problem | None, user: str) -> Answer:
        if source is None:
            return unknown("nobody is asked about the users of this database: it has no auth_user")
        if isinstance(source, Problem):
            return unavailable(f"auth_query: {source.text}")
        return await self._lookups.ask(source, user)

    async def _ask_rule(self, rule: Rule, user: str, password: bytes, host: str) -> Answer:
        match rule:
            case LdapSource():
                return await self._crews[AuthAsk.LDAP].run(partial(ldap.check, rule, user, password))
            case PamService():
                return await self._crews[AuthAsk.PAM].run(partial(pam.check, rule, user, password, host))
            case Problem(text):
                return unavailable(text)
            case _:
                return unavailable("the access rules have just changed; try again")

    def _answer(self, clients: list[int], answer: Answer) -> None:
        message = answer.message if answer.verdict in (AuthVerdict.UNAVAILABLE, AuthVerdict.BUSY) else ""
        for client in clients:
            try:
                self._engine.auth_answer(client, answer.verdict, answer.secret, message)
            except Exception:  # noqa: BLE001  the same
                self._log.exception("a login could not be answered", id=client)

    def _tell(self, question: _Question, answer: Answer) -> None:
        """What keeps logins out is logged, each text once in a while; who is not let in, when debugging."""
        asked = _NAMES[question.ask]
        if answer.verdict == AuthVerdict.UNAVAILABLE:
            if not self._closed and self._is_news(answer.message):
                self._log.error(answer.message, asked=asked, database=question.database, user=question.user)
        elif answer.message:
            self._log.debug(answer.message, asked=asked, database=question.database, user=question.user)

    def _is_news(self, text: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(text, -_SILENCE_S) < _SILENCE_S:
            return False
        if len(self._told) >= _MOST_TEXTS:
            self._told = {told: at for told, at in self._told.items() if now - at < _SILENCE_S}
        if len(self._told) >= _MOST_TEXTS:
            return False
        self._told[text] = now
        return True

    def _forget(self, database: str, user: str) -> None:
        """Logins from now on get a new answer, not the one that somebody else waits for already."""
        self._passthrough.forget(database, user)
        for key, question in list(self._open.items()):
            if question.user == user:
                del self._open[key]


async def _always_open(_: str) -> None:
    """Nothing is paused."""


def _for_strangers(question: _Question, answer: Answer) -> Answer:
    """Clients have not said yet who they are: not for them are names of roles, servers and services, and who exists."""
    hidden = answer.verdict == AuthVerdict.UNAVAILABLE and answer is not _STOPPING
    return unavailable(_NAMES[question.ask]) if hidden else answer


def _host(address: str) -> str:
    """The client's address without its port; "" for a Unix socket."""
    host, separator, _ = address.rpartition(":")
    return host.strip("[]") if separator else ""
