"""auth_query: asks PostgreSQL for a user's secret, over a few connections that are kept open.

The query runs with `search_path = pg_catalog, pg_temp`, whatever the role, the database or the client have set: nobody
who may create objects gets theirs called in place of the meant ones (CVE-2025-12819).  Functions and tables of one's
own must therefore be named with their schema.  The user name is always a parameter, never part of the text.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from howdah.control.auth.answer import Answer, found, unavailable, unknown
from howdah.control.auth.context import LookupSource
from howdah.control.auth.dial import parameters
from howdah.control.auth.secrets import NO_PASSWORD, secret_of_lookup

if TYPE_CHECKING:  # 12 MB that only those who use auth_query need
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

#: Connections to one source, and over all of them.
MOST_OF_ONE = 3
MOST = 16
#: Sources remembered; with a "*" entry strangers can name as many as they like.
MOST_SOURCES = 256
FIRST_PAUSE_S = 0.2
CLOSE_S = 1.0
#: Name too long: no such user can be there.
_NAME_TOO_LONG = "42622"


@dataclass(slots=True, eq=False)
class _Line:
    """What is known of one source, and how many may ask it at a time."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_OF_ONE))
    pause_s: float = 0.0
    down_until: float = 0.0
    failure: str = ""


class _Idle(NamedTuple):
    source: LookupSource
    connection: "Connection"
    since: float


class _CannotConnectError(Exception):
    """The text is for people."""


class Lookups:
    """All connections for auth_query.  `retry_s` and `idle_s` may be changed: see `AuthContext`."""

    def __init__(self) -> None:
        self.retry_s = 15.0
        self.idle_s = 600.0
        self._lines: OrderedDict[LookupSource, _Line] = OrderedDict()
        self._idle: deque[_Idle] = deque()  # the longest idle first
        self._turns = asyncio.Semaphore(MOST)
        self._asking = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def ask(self, source: LookupSource, user: str) -> Answer:
        """The user's secret.  Raises nothing but what asyncio raises."""
        line = self._line(source)
        try:
            async with line.turns, self._turns:
                self._asking += 1
                try:
                    rows = await self._rows(source, line, user)
                finally:
                    self._asking -= 1
        except _CannotConnectError as failure:
            return unavailable(f"auth_query: {failure}")
        except TimeoutError:
            return unavailable(f"auth_query: no answer within {source.statement_s:g} s")
        except Exception as failure:  # noqa: BLE001  psycopg's errors are many, and a query can be wrong in any way
            if getattr(failure, "sqlstate", None) == _NAME_TOO_LONG:
                return unknown("the user name is longer than PostgreSQL's can be")
            return unavailable(f"auth_query: {_first_line(failure)}")
        return read_rows(rows, user)

    def forget(self) -> None:
        """Close what is idle and forget failures: the sources may have changed."""
        self._lines.clear()
        self._leave_idle(0)

    async def close(self) -> None:
        """To be called when no question is open."""
        if self._sweep is not None:
            self._sweep.cancel()
        self._leave_idle(0)
        if self._closing:
            await asyncio.wait(self._closing)

    # inner

    def _line(self, source: LookupSource) -> _Line:
        line = self._lines.setdefault(source, _Line())
        self._lines.move_to_end(source)
        if len(self._lines) > MOST_SOURCES:
            self._lines.popitem(last=False)
        return line

    async def _rows(self, source: LookupSource, line: _Line, user: str) -> list[tuple[Any, ...]]:
        from psycopg import Error

        connection = self._take(source)
        if connection is not None:
            try:
                return await self._query(connection, source, user)
            except Error:
                if not connection.closed:
                    raise
                # It had died while nobody looked: the question is asked again, on a new one.
        return await self._query(await self._connect(source, line), source, user)

    def _take(self, source: LookupSource) -> "Connection | None":
        """The connection used last, so that those not needed become old."""
        for idle in reversed(self._idle):
            if idle.source == source:
                self._idle.remove(idle)
                return idle.connection
        return None

    async def _query(self, connection: "Connection", source: LookupSource, user: str) -> list[tuple[Any, ...]]:
        from psycopg import AsyncRawCursor

        usable = False
        try:
            # The server's own limit comes first; ours is for a server that does not answer at all.
            async with asyncio.timeout(source.statement_s + CLOSE_S), AsyncRawCursor(connection) as cursor:
                await cursor.execute(source.query, (user,))
                rows = await cursor.fetchmany(2)
            usable = True
            return rows
        except TimeoutError:
            raise
        except Exception:
            usable = not connection.closed
            raise
        finally:
            self._put_back(source, connection, usable=usable)

    def _put_back(self, source: LookupSource, connection: "Connection", *, usable: bool) -> None:
        if not usable or source not in self._lines:  # the source may have been changed meanwhile
            self._close_soon(connection)
            return
        self._idle.append(_Idle(source, connection, time.monotonic()))
        self._sweep_later()

    async def _connect(self, source: LookupSource, line: _Line) -> "Connection":
        """A new connection; a failure is remembered for a while, longer each time: a storm does not repeat it."""
        now = time.monotonic()
        if now < line.down_until:
            raise _CannotConnectError(line.failure)
        self._leave_idle(MOST - self._asking)
        try:
            connection = await _connect(source)
        except _CannotConnectError as failure:
            line.failure = str(failure)
            if line.down_until <= now:  # else another one has failed meanwhile, and it counts once
                line.pause_s = min(max(2 * line.pause_s, FIRST_PAUSE_S), self.retry_s)
                line.down_until = time.monotonic() + line.pause_s
            raise
        line.pause_s = 0.0
        return connection

    def _leave_idle(self, most: int) -> None:
        while len(self._idle) > most:
            self._close_soon(self._idle.popleft().connection)

    def _close_soon(self, connection: "Connection") -> None:
        """Nobody waits for a goodbye."""
        task = asyncio.get_running_loop().create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _sweep_later(self) -> None:
        if self.idle_s and self._sweep is None and self._idle:
            pause = max(0.0, self._idle[0].since + self.idle_s - time.monotonic())
            self._sweep = asyncio.get_running_loop().call_later(pause, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        while self._idle and time.monotonic() - self._idle[0].since >= self.idle_s:
            self._close_soon(self._idle.popleft().connection)
        self._sweep_later()


def read_rows(rows: Sequence[Sequence[Any]], user: str) -> Answer:
    """What the query's answer says of `user`.  Anything but one row of name and secret is the query's fault."""
    if not rows:
        return unknown("auth_query has no such user")
    if len(rows) > 1:
        return unavailable("auth_query gave more than one row for a user; it must give one or none")
    row = rows[0]
    if len(row) != 2 or not isinstance(row[0], str) or not isinstance(row[1], str | None):
        return unavailable("auth_query must give two columns of text, user name and secret")
    name, secret = row
    if name != user:
        # As where it compares lower(name): the user let in would not be the one that was looked up.
        return unavailable(f"auth_query was asked for user {user!r} and gave {name!r}")
    try:
        parsed = secret_of_lookup(secret)
    except ValueError as error:
        return unavailable(f"auth_query: user {user!r}: {error}")
    if parsed == NO_PASSWORD:
        return unknown("the user has no password, or an expired one")
    return found(parsed)


async def _connect(source: LookupSource) -> "Connection":
    from psycopg import AsyncConnection, Error

    with parameters(source.place, source.user, source.password) as given:
        given["application_name"] = "howdah auth_query"
        given["options"] = f"-c search_path=pg_catalog,pg_temp -c statement_timeout={round(source.statement_s * 1000)}"
        try:
            async with asyncio.timeout(source.place.timeout_s):
                return await AsyncConnection.connect(autocommit=True, prepare_threshold=None, **given)  # type: ignore[arg-type]
        except TimeoutError:
            raise _CannotConnectError(
                f"cannot connect as auth_user {source.user!r}: no answer within {source.place.timeout_s:g} s"
            ) from None
        except (Error, OSError) as failure:
            raise _CannotConnectError(_why_not(source, str(failure))) from None


def _why_not(source: LookupSource, message: str) -> str:
    if "no password supplied" in message and source.password is None:
        return (
            f"PostgreSQL wants a password of auth_user {source.user!r}, and there is none to send; give a plain one in "
            "[users] or auth_file"
        )
    lines = (line.strip() for line in message.removeprefix("connection failed: ").splitlines())
    return f"cannot connect as auth_user {source.user!r}: {'; '.join(line for line in lines if line)}"


async def _close(connection: "Connection") -> None:
    with contextlib.suppress(Exception):  # it is gone one way or the other
        await asyncio.wait_for(connection.close(), CLOSE_S)


def _first_line(failure: Exception) -> str:
    """PostgreSQL's own words without the position and the text of the query."""
    diagnostics = getattr(failure, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    return primary or next(iter(str(failure).splitlines()), "") or type(failure).__name__
