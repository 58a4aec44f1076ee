"""SELECT over the tables of SHOW.

`prepare` checks a statement against empty tables and says what columns and parameters it has; `answer` runs it over
what the tables hold now.  SQLite does the SQL, in a `sandbox` of its own for each.  Called by `reading`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import getsizeof

from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import BYTEA, FLOAT8, INT4, INT8, NUMERIC, TEXT, Cell, Column, ColumnType
from howdah.control.console.result_types import Known, items, parameter_types, type_of
from howdah.control.console.sandbox import Sandbox, sandbox
from howdah.control.console.statements import Statement, Token, written
from howdah.control.console.table import Row, Table

MOST_PARAMETERS = 100
#: What one SELECT may give, in rows and in bytes of memory.
MOST_ROWS = 100_000
MOST_MEMORY = 64 << 20
_TYPES = {type_.name: type_ for type_ in (TEXT, INT4, INT8, NUMERIC, BYTEA)}
#: Words of PostgreSQL's that are calls of functions, or others in SQLite.
_CALLS = frozenset(("current_user", "session_user", "current_role", "current_catalog", "current_schema"))
_COMPOUND = frozenset(("UNION", "EXCEPT", "INTERSECT", "VALUES"))
_BEHIND_AS = frozenset(("(", "MATERIALIZED", "NOT"))
_OTHERS = {"ilike": "LIKE"}
_PLAIN = re.compile(r"[^\W\d]\w*")
_CALL = re.compile(r"(\w+)\(.*\)", re.DOTALL)
_COPY_OF_NAME = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Query:
    sql: str
    columns: tuple[Column, ...]
    parameters: tuple[int, ...]  # OIDs
    reads: Mapping[str, tuple[Column, ...]]  # columns that it needs, by table
    user: str
    named_here: frozenset[str]  # by WITH
    plain: bool  # all it gives are values of columns of the same types


def _nobody_gives_up() -> bool:
    return False


def prepare(
    statement: Statement,
    given: Sequence[int],
    tables: Mapping[str, Table],
    user: str,
    given_up: Callable[[], bool] = _nobody_gives_up,
) -> Query:
    """`given`: what types the client says that its parameters have, 0 where it leaves that to us."""
    count = max((_number(token) for token in statement if token.kind == "parameter"), default=0)
    if max(count, len(given)) > MOST_PARAMETERS:
        raise ConsoleError("54000", f"more than {MOST_PARAMETERS} parameters")
    if any(token[:2] == ("symbol", "::") for token in statement):
        raise ConsoleError("0A000", "the console has no :: casts", "Write CAST(value AS type).")
    sql, named_here = written(_in_sqlite(statement, "?")), frozenset(_named_by_with(statement))
    with sandbox({name: table.columns for name, table in tables.items()}, user, named_here, given_up) as empty:
        _compile(empty, sql, count)
        reads = {name: _needed(tables[name], empty.read[name]) for name in empty.read}
        described = _describe(empty, written(_in_sqlite(statement, "")))
    known = {column.name: column.type for name in reads for column in tables[name].columns}
    wanted = parameter_types(statement, known)
    oids = (*given, *(0,) * (count - len(given)))
    return Query(
        sql,
        tuple(_columns(statement, described, known)),
        tuple(oid or wanted.get(at, TEXT).oid for at, oid in enumerate(oids, 1)),
        reads,
        user,
        named_here,
        all(declared in _TYPES for _, declared in described) and not _compound(statement),
    )


def _compound(statement: Statement) -> bool:
    """Are there several SELECTs behind each other, whose columns have the types of the first?"""
    return any(token.kind == "word" and token.text.upper() in _COMPOUND for token in statement)


def _named_by_with(statement: Statement) -> Iterator[str]:
    """Names in front of `AS (`, perhaps with columns in between."""
    opened = -1  # where the last bracket opened
    ended = -1  # and where it did that has closed just now
    for at, token in enumerate(statement):
        if token.text.upper() == "AS" and at + 1 < len(statement) and statement[at + 1].text.upper() in _BEHIND_AS:
            name = statement[(ended if statement[at - 1].text == ")" else at) - 1]
            if name.kind in ("word", "name"):
                yield name.text.lower()
        if token.text == "(":
            opened = at
        elif token.text == ")":
            ended = opened


def answer(
    query: Query,
    rows: Mapping[str, Sequence[Row]],
    values: Sequence[Cell],
    given_up: Callable[[], bool] = _nobody_gives_up,
) -> list[Row]:
    """`rows`: of the columns in `query.reads`, by table."""
    with sandbox(query.reads, query.user, query.named_here, given_up) as filled:
        for name, columns in query.reads.items():
            marks = ", ".join("?" * len(columns))
            filled.database.execute("BEGIN")
            filled.database.executemany(f"INSERT INTO [{name}] VALUES ({marks})", rows[name])  # noqa: S608  our names
            filled.database.execute("COMMIT")
        filled.close_the_door()
        found = _fetched(filled.database.execute(query.sql, values))
    if query.plain:
        return found
    types = [column.type for column in query.columns]
    return [tuple(map(_fitting, types, row)) for row in found]


def _fetched(found: Iterable[Row]) -> list[Row]:
    """All of them, as far as there is room."""
    rows, room = list[Row](), MOST_MEMORY
    for row in found:
        room -= sum(map(getsizeof, row))
        if room < 0:
            hint = "Add a LIMIT, or name the columns that you need."
            raise ConsoleError("54000", f"SELECT in the console gives more than {MOST_MEMORY >> 20} MiB", hint)
        if len(rows) == MOST_ROWS:
            raise ConsoleError("54000", f"SELECT in the console gives more than {MOST_ROWS} rows", "Add a LIMIT.")
        rows.append(row)
    return rows


def _fitting(type_: ColumnType, cell: Cell) -> Cell:
    if cell is None or type_ is BYTEA:
        return cell
    try:
        if type_ is TEXT:
            return cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
        if type_ is FLOAT8 or (type_ is NUMERIC and isinstance(cell, float)):
            return float(cell)
        whole = int(cell)
        if -(2**63) <= whole < 2**63:
            return whole
        raise ConsoleError("22003", f"{whole} is out of range")
    except (ValueError, OverflowError):
        shown = str(cell)[:40]
        raise ConsoleError(
            "22P02", f"{shown!r} is no number, as its column should be", "Use CAST(... AS ...)."
        ) from None


def _number(parameter: Token) -> int:
    digits = parameter.text[1:].lstrip("0")
    number = int(digits) if 1 <= len(digits) <= len(str(MOST_PARAMETERS)) else 0
    if not 1 <= number <= MOST_PARAMETERS:
        raise ConsoleError("42P02", f"there is no parameter {parameter.text}")
    return number


def _in_sqlite(statement: Statement, mark: str) -> Statement:
    """The same in SQLite's words; parameters as numbered marks, or as zeros where there is no mark."""
    return tuple(_token_in_sqlite(token, statement[at + 1 : at + 2], mark) for at, token in enumerate(statement))


def _token_in_sqlite(token: Token, behind: Statement, mark: str) -> Token:
    text = token.text
    if token.kind == "parameter":
        return token._replace(text=f"{mark}{_number(token)}" if mark else "0")
    if token.kind == "name":
        # In brackets: what is in double quotes, and no name, would be taken for a string.
        if "]" in text:
            raise ConsoleError("42703", f'column "{text}" does not exist')
        return token._replace(kind="word", text=f"[{text}]")
    if token.kind == "word":
        text = text.removeprefix("pg_catalog.")
        if text.lower() in _CALLS and (not behind or behind[0].text != "("):
            text = f"{text}()"
        return token._replace(text=_OTHERS.get(text.lower(), text))
    return token


def _compile(empty: Sandbox, sql: str, parameters: int) -> None:
    """What is wrong with the statement is told here; it does not run."""
    empty.close_the_door()
    try:
        empty.database.execute(f"EXPLAIN {sql}", (0,) * parameters).close()
    finally:
        empty.open_the_door()


def _describe(empty: Sandbox, sql: str) -> list[tuple[str, str]]:
    """Name and declared type of each column, as SQLite works them out for a view."""
    empty.database.execute(f"CREATE VIEW described AS {sql}")
    return [(row[1], row[2]) for row in empty.database.execute("PRAGMA table_info(described)")]


def _needed(table: Table, read: set[str]) -> tuple[Column, ...]:
    return tuple(column for column in table.columns if column.name in read) or table.columns[:1]


def _columns(statement: Statement, described: Sequence[tuple[str, str]], known: Known) -> list[Column]:
    written_items = items(statement)
    stars = [at for at, item in enumerate(written_items) if item and item[-1][:2] == ("symbol", "*")]
    columns = []
    for at, (name, declared) in enumerate(described):
        own = _item(at, len(described), len(written_items), stars)
        inferred = type_of(written_items[own], known) if own is not None else TEXT
        columns.append(Column(_shown(name), _TYPES.get(declared, inferred)))
    return columns


def _item(at: int, columns: int, written_items: int, stars: Sequence[int]) -> int | None:
    """Which item of the list column `at` comes from; None: a star, or nobody can tell."""
    if not stars:
        return at if columns == written_items else None
    if at < stars[0]:
        return at
    from_the_end = columns - at
    return written_items - from_the_end if from_the_end < written_items - stars[-1] else None


def _shown(name: str) -> str:
    """As PostgreSQL names it: a column's own name, a function's, or none."""
    name = _COPY_OF_NAME.sub("", name)
    if _PLAIN.fullmatch(name):
        return "?column?" if name.upper() in ("NULL", "TRUE", "FALSE") else name
    call = _CALL.fullmatch(name)
    return call[1].lower() if call else "?column?"
