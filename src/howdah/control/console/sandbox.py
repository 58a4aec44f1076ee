"""The SQLite database that answers one SELECT of the console: in memory, read-only, and bounded.

It holds tables of SHOW and nothing else; whoever may look at these may send it any text.  What SQLite says is told
with PostgreSQL's SQLSTATEs.  Called by `query`, in threads: compiling a text can take long, too.
"""

import contextlib
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import howdah
from howdah.control.config.names import CONSOLE
from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import Cell, Column

#: The longest that one SELECT may take, and how long one of its values may be.
LONGEST_S = 5.0
LONGEST_VALUE = 1 << 14
#: All that SQLite may hold, in all sandboxes of the process together.
MOST_HEAP = 256 << 20
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LONGEST_VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: LONGEST_VALUE,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 50,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
#: Virtual-machine instructions between two looks at the clock.  One may look for each half of a longest value in it.
_BETWEEN_LOOKS = 100
FUNCTIONS = frozenset(
    """
    abs avg char coalesce count cume_dist date datetime dense_rank first_value format glob group_concat hex ifnull
    instr julianday lag last_value lead length like lower ltrim max min nth_value ntile nullif percent_rank printf quote
    rank replace round row_number rtrim sign strftime substr substring sum time total trim typeof unicode unixepoch
    upper
    """.split()
)
#: What drivers ask of any PostgreSQL: how many arguments, and the answer.
ANSWERS: Mapping[str, Callable[..., str | int | None]] = {
    "version": lambda: f"howdah {howdah.__version__}",
    "current_database": lambda: CONSOLE,
    "current_catalog": lambda: CONSOLE,
    "current_schema": lambda: "public",
    "now": lambda: time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    "pg_backend_pid": lambda: 0,
    "pg_is_in_recovery": lambda: 0,
    "pg_advisory_unlock_all": lambda: None,
}
_USER_NAMES = ("current_user", "session_user", "current_role")
#: SQLite's own compare each character with each, and cannot be interrupted.
_TRIMS: Mapping[str, Callable[[str, str], str]] = {"trim": str.strip, "ltrim": str.lstrip, "rtrim": str.rstrip}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}
#: Beginnings of names of tables that tell about the database itself.
_SQLITE_S_OWN = ("sqlite_", "pragma_")
_HINT = "The tables are those of SHOW HELP; their SQL is SQLite's."


@dataclass(slots=True)
class Sandbox:
    """One database.  `read` is filled while a statement is prepared: columns by table."""

    database: sqlite3.Connection
    tables: frozenset[str]
    named_here: frozenset[str]  # by WITH, in the statement itself
    deadline: float
    given_up: Callable[[], bool]  # nobody waits for it any longer
    read: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    denied: str = ""

    def close_the_door(self) -> None:
        """From now on a statement can read the tables, and do nothing else."""
        self.database.set_authorizer(self._authorize)

    def open_the_door(self) -> None:
        """For statements of ours."""
        self.database.set_authorizer(None)

    def _authorize(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action in _ALLOWED:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and first in self.tables:
            self.read[first].add(second or "")
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and (first or "").lower() in self.named_here:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second in FUNCTIONS or second in ANSWERS or second in _USER_NAMES):
            return sqlite3.SQLITE_OK
        if not self.denied:
            self.denied = (second if action == sqlite3.SQLITE_FUNCTION else first) or ""
        return sqlite3.SQLITE_DENY

    def is_over(self) -> bool:
        return time.monotonic() > self.deadline or self.given_up()


@contextlib.contextmanager
def sandbox(
    tables: Mapping[str, Iterable[Column]],
    user: str,
    named_here: Collection[str] = (),
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[Sandbox]:
    """With these tables, empty, and the door open; errors of SQLite come out as ConsoleErrors."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    harmless = frozenset(name for name in named_here if not name.startswith(_SQLITE_S_OWN))
    opened = Sandbox(database, frozenset(tables), harmless, time.monotonic() + LONGEST_S, given_up)
    try:
        for limit, value in _LIMITS.items():
            database.setlimit(limit, value)
        database.execute(f"PRAGMA hard_heap_limit = {MOST_HEAP}").close()
        database.execute("PRAGMA temp_store = MEMORY").close()  # what is sorted goes to no file
        for name, columns in tables.items():
            listed = ", ".join(f"[{column.name}] {column.type.name}" for column in columns)
            database.execute(f"CREATE TABLE [{name}] ({listed})")
        for name, answer in ANSWERS.items():
            database.create_function(name, 0, answer, deterministic=True)
        for name in _USER_NAMES:
            database.create_function(name, 0, lambda: user, deterministic=True)
        for name, trim in _TRIMS.items():
            database.create_function(name, 2, partial(_trimmed, trim), deterministic=True)
        database.set_progress_handler(opened.is_over, _BETWEEN_LOOKS)
        yield opened
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _translated(str(error), opened) from None
    except MemoryError:
        raise ConsoleError("54000", "SELECT in the console is too large: it needs too much memory") from None
    finally:
        database.close()


def _trimmed(trim: Callable[[str, str], str], value: Cell, signs: Cell) -> str | None:
    return None if value is None or signs is None else trim(str(value), str(signs))


def _translated(text: str, opened: Sandbox) -> ConsoleError:
    if opened.denied or text in ("not authorized", "access to database is prohibited"):
        return ConsoleError("42501", f"SELECT in the console cannot use {opened.denied or 'this'}", _HINT)
    if text == "interrupted":
        return ConsoleError("57014", f"SELECT in the console ended: it took longer than {LONGEST_S:g} s")
    for pattern, sqlstate, message in _MESSAGES:
        if match := re.search(pattern, text):
            return ConsoleError(sqlstate, match.expand(message), _HINT)
    return ConsoleError("42601", f"SELECT in the console: {text}", _HINT)


_MESSAGES = (
    (r"no such table: (.*)", "42P01", r'relation "\1" does not exist'),
    (r"no such column: (.*)", "42703", r'column "\1" does not exist'),
    (r"ambiguous column name: (.*)", "42702", r'column reference "\1" is ambiguous'),
    (r"no such function: (.*)", "42883", r"function \1 does not exist"),
    (r"wrong number of arguments to function (.*)", "42883", r"function \1 does not take so many arguments"),
    (
        r"misuse of (?:aggregate|window function):? ?(.*)",
        "42803",
        r"aggregate or window function \1 is not allowed there",
    ),
    (r'near "(.*)": syntax error', "42601", r'syntax error at or near "\1"'),
    (r"Incorrect number of bindings", "42601", "parameters are written as $1, $2 and so on"),
    (r"incomplete input", "42601", "syntax error at end of input"),
    (r"string or blob too big|too large|too big|too many", "54000", r"SELECT in the console is too large: \g<0>"),
    (r"datatype mismatch", "42804", "a value has not the type that its place needs"),
)
