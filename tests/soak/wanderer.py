"""A client that goes from tenant to tenant, transaction by transaction, and knows whose rows it must see.

It may be stopped at any time by the loss of its server; it comes back on a new connection then, having chosen nobody.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tests.kit import wire
from tests.kit.client import Client, Gone, Refused
from tests.kit.wire import Replies
from tests.soak.tenants import NONE, READ, TENANTS, WAYS, Choice, own_rows

#: What a client may be told while backends and the postmaster die: its server is lost, or none can be had.
TOLD = {"08006", "57P01", "57P02", "57P03", "08001", "53300"}
STATEMENT = "read"

_SET = MappingProxyType({"path": "SET search_path = {}", "role": "SET ROLE {}", "setting": "SET app.tenant = '{}'"})
_RESET = MappingProxyType({"path": "RESET search_path", "role": "RESET ROLE", "setting": "RESET app.tenant"})
_NAMES = MappingProxyType({"path": "search_path", "role": "role", "setting": "app.tenant"})
_PART = {"path": "SET LOCAL search_path = {}", "role": "SET LOCAL ROLE {}", "setting": "SET LOCAL app.tenant = '{}'"}


class Lost(Exception):
    """The server is gone, or none can be had: the client begins anew."""


class Wanderer:
    """One client after the other, under one number; `act` is one transaction."""

    def __init__(self, connect: Callable[..., Client], number: int) -> None:
        """`connect` logs in with these startup parameters."""
        self._connect = connect
        self._number = number
        self._dice = random.Random(number)
        self._client: Client | None = None
        self._home = self._choice = NONE
        self._has_prepared = False
        self.seen: set[str] = set()
        self.count: Counter[str] = Counter()

    @property
    def done(self) -> int:
        """Transactions that were not lost with their server."""
        return self.count.total() - self.count["lost"]

    def act(self) -> None:
        """One transaction, or the attempt at one."""
        (kind,) = self._dice.choices(list(KINDS), weights=list(KINDS.values()))
        try:
            self._arrive()
            kind(self)
        except (Lost, Gone, Refused, OSError) as error:
            if isinstance(error, Refused) and error.sqlstate not in TOLD:
                raise
            self.count["lost"] += 1
            self.leave()
        else:
            self.count[kind.__name__] += 1

    def leave(self) -> None:
        if self._client is not None:
            self._client.vanish()
            self._client = None

    # kinds of transactions

    def read(self) -> None:
        self._expect(self._choice)

    def read_prepared(self) -> None:
        """By a statement of the same name and text as everybody's."""
        parse = b"" if self._has_prepared else wire.parse(READ, STATEMENT)
        replies = self._say(parse + wire.bind(statement=STATEMENT) + wire.execute() + wire.sync())
        self._has_prepared = True
        self._check(replies, self._choice)

    def choose(self) -> None:
        """For the session, in a transaction of its own."""
        way, tenant = self._way_and_tenant()
        self._do(self._setting(way, tenant))
        self._settle(way, tenant)

    def choose_and_read(self) -> None:
        """One after the other, sent at once."""
        way, tenant = self._way_and_tenant()
        self._client_sends(wire.query(self._setting(way, tenant)), wire.query(READ))
        replies = self._hear(2)
        self._settle(way, tenant)
        self._check(replies, self._choice)

    def choose_in_a_transaction(self) -> None:
        way, tenant = self._way_and_tenant(inside=True)
        self._do("BEGIN")
        self._do(self._setting(way, tenant))
        self._expect(self._with(way, tenant))
        if self._dice.random() < 0.5:
            self._do("COMMIT")
            self._settle(way, tenant)
        else:
            self._do("ROLLBACK")

    def choose_for_a_transaction(self) -> None:
        way, tenant = self._dice.choice(WAYS), self._dice.choice(TENANTS)
        self._do("BEGIN; " + _PART[way].format(tenant))
        self._expect(self._choice.with_(way, tenant))
        self._do("COMMIT")

    def choose_in_a_savepoint(self) -> None:
        way, tenant = self._way_and_tenant(inside=True)
        self._do(f"BEGIN; SAVEPOINT before; {self._setting(way, tenant)}")
        self._expect(self._with(way, tenant))
        self._do("ROLLBACK TO before")
        self._expect(self._choice)
        self._do("COMMIT")

    def fail(self) -> None:
        """What has been chosen in a transaction goes with it."""
        self._do("BEGIN; " + self._setting(*self._way_and_tenant(inside=True)))
        assert self._refused("SELECT 1 / 0") == "22012"
        self._do("COMMIT")

    def write(self) -> None:
        self._do("BEGIN; " + own_rows(self._choice, self._number))
        self._expect(self._choice)
        self._do("COMMIT")

    def trespass(self) -> None:
        """Rows of others may not be written."""
        other = self._dice.choice([tenant for tenant in TENANTS if tenant != self._choice.setting])
        assert self._refused(f"INSERT INTO everybody.by_setting VALUES ('{other}', {self._number})") == "42501"

    def forget_all(self) -> None:
        self._do("DISCARD ALL")
        self._choice, self._has_prepared = self._home, False

    def vanish(self) -> None:
        """Without a word in the middle of a transaction, with all there is to leave behind."""
        way, tenant = self._way_and_tenant(inside=True)
        self._do(f"BEGIN; {self._setting(way, tenant)}; {own_rows(self._with(way, tenant), self._number)}")
        self.leave()

    # what they are made of

    def _arrive(self) -> None:
        """Be connected; half of all come with a choice made in the startup packet."""
        if self._client is not None:
            return
        self._home, options = NONE, {}
        if self._dice.random() < 0.5:
            path, setting = self._dice.choices(TENANTS, k=2)
            self._home = Choice(path=path, setting=setting)
            options = {"options": f"-c search_path={path} -c app.tenant={setting}"}
        self._client = self._connect(**options)
        self._choice, self._has_prepared = self._home, False

    def _way_and_tenant(self, *, inside: bool = False) -> tuple[str, str]:
        """What to change, and to whom; nothing: back to what it was at first.

        Inside of a transaction what the startup packet asked for comes back only at its end: that is not done here.
        """
        way = self._dice.choice(WAYS)
        return way, self._dice.choice(TENANTS if inside and getattr(self._home, way) else ("", *TENANTS))

    def _setting(self, way: str, tenant: str) -> str:
        if not tenant:
            return _RESET[way]
        if self._dice.random() < 0.5:
            return _SET[way].format(tenant)
        return f"SELECT set_config('{_NAMES[way]}', '{tenant}', false)"

    def _with(self, way: str, tenant: str) -> Choice:
        return self._choice.with_(way, tenant or getattr(self._home, way))

    def _settle(self, way: str, tenant: str) -> None:
        self._choice = self._with(way, tenant)

    def _client_sends(self, *messages: bytes) -> None:
        assert self._client is not None
        self._client.send(*messages)

    def _hear(self, times: int = 1) -> Replies:
        """What is said up to so many ReadyForQuery."""
        assert self._client is not None
        replies = self._client.read_ready(times, within=60)
        if any(error.sqlstate in TOLD for error in replies.errors):
            raise Lost
        return replies

    def _say(self, message: bytes) -> Replies:
        self._client_sends(message)
        return self._hear()

    def _do(self, sql: str) -> None:
        replies = self._say(wire.query(sql))
        assert not replies.errors, (sql, replies.errors)

    def _refused(self, sql: str) -> str:
        return self._say(wire.query(sql)).error.sqlstate

    def _expect(self, choice: Choice) -> None:
        self._check(self._say(wire.query(READ)), choice)

    def _check(self, replies: Replies, choice: Choice) -> None:
        assert not replies.errors, replies.errors
        row = replies.rows[-1]
        assert row[:-1] == choice.row, f"client {self._number} sees {row}, but has chosen {choice}"
        self.seen.add(str(row[-1]))


#: What it does, and how often by comparison.
KINDS: Mapping[Callable[[Wanderer], None], int] = MappingProxyType({
    Wanderer.read: 250,
    Wanderer.read_prepared: 250,
    Wanderer.choose: 150,
    Wanderer.choose_and_read: 60,
    Wanderer.choose_in_a_transaction: 60,
    Wanderer.choose_for_a_transaction: 50,
    Wanderer.choose_in_a_savepoint: 30,
    Wanderer.fail: 40,
    Wanderer.write: 30,
    Wanderer.trespass: 20,
    Wanderer.forget_all: 10,
    Wanderer.vanish: 5,
})  # fmt: skip
