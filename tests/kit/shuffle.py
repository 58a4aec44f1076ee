"""Other clients of the same pool, who see to it that its servers change hands all the time.

Each runs transactions of random length without a pause, so whoever else comes waits in line and gets whichever server
is released next: over a few transactions, each of them.  They are as unlike the others as they can be: settings of
their own, and prepared statements under the very names that drivers use, with other texts.
Each checks its own answers.
"""

import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.kit import wire
from tests.kit.client import Client

#: What drivers call their prepared statements: none, and psycopg, asyncpg, pgjdbc, pgx, DBD::Pg, PDO, and people.
NAMES = ("", "_pg3_0", "_pg3_1", "__asyncpg_stmt_1__", "__asyncpg_stmt_2__", "S_1", "S_2", "lrupsc_1_0", "dbdpg_p1_1",
         "pdo_stmt_00000001", "add", "find")  # fmt: skip

#: What each member asks for when it logs in, and must find at every later transaction.
SETTINGS: tuple[dict[str, str], ...] = (
    {"TimeZone": "Asia/Tokyo", "DateStyle": "German, DMY", "application_name": "shuffle 0"},
    {"TimeZone": "America/New_York", "DateStyle": "SQL, MDY", "standard_conforming_strings": "off"},
    {"TimeZone": "Europe/Paris", "IntervalStyle": "sql_standard", "client_encoding": "LATIN1"},
)

#: The mean length of a transaction in seconds.  Exponential: the next server to be free is any of them, each time anew.
MEAN = 0.002
LONGEST = 0.015


class Shuffle:
    """Three clients on threads while the block lasts; an error of theirs is raised at its end."""

    def __init__(self, connect: Callable[[dict[str, str]], Client]) -> None:
        """`connect` logs in with these startup parameters."""
        self._connect = connect
        self._stop = threading.Event()
        self._started = threading.Barrier(len(SETTINGS) + 1)
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(len(SETTINGS))]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self._started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        if self._errors and not isinstance(error, Exception):  # GeneratorExit: the story has failed, maybe for this
            raise self._errors[0]

    def _work(self, number: int) -> None:
        try:
            with self._connect(SETTINGS[number]) as client:
                member = _Member(client, number)
                self._started.wait(30)
                while not self._stop.is_set():
                    member.act()
        except BaseException as error:  # handed to the test's thread
            self._started.abort()
            self._errors.append(error)


class _Member:
    """One client with a statement under each of `NAMES`, which it prepares anew with another text now and then."""

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self._number = number
        self._marks: dict[str, str] = {}
        self._count = 0

    def act(self) -> None:
        """One transaction."""
        name = random.choice(NAMES)
        self._count += 1
        messages = b""
        if not name or name not in self._marks or random.random() < 0.1:
            messages = self._prepare(name)
        pause = min(random.expovariate(1 / MEAN), LONGEST)
        replies = self._client.ask(messages, wire.bind(f"{pause:.6f}", statement=name), wire.execute(), wire.sync())
        assert [row[0] for row in replies.rows] == [self._marks[name]], f"{name!r}: {replies.shape} {replies.rows}"
        assert replies.rows[0][1] == SETTINGS[self._number]["TimeZone"], replies.rows

    def _prepare(self, name: str) -> bytes:
        mark = self._marks[name] = f"{self._number}:{name}:{self._count}"
        sql = f"SELECT '{mark}', current_setting('TimeZone'), pg_sleep($1)"
        return wire.close_statement(name) + wire.parse(sql, name)
