"""SELECT over the tables of SHOW: what it answers, of which types, and what it cannot reach."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.console import sandbox
from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import Cell
from howdah.control.console.query import Query, answer, prepare
from howdah.control.console.result_types import parameter_types
from howdah.control.console.show import TABLES_BY_NAME
from howdah.control.console.statements import LONGEST_TEXT, MOST_TOKENS, split
from howdah.control.console.table import Row
from tests.kit.deadline import PATIENCE
from tests.unit.control.console.engine_stub import facts


def prepared(sql: str, types: Sequence[int] = ()) -> Query:
    (statement,) = split(sql)
    return prepare(statement, types, TABLES_BY_NAME, "alice")


def run(sql: str, *values: Cell) -> list[Row]:
    query = prepared(sql)
    rows = {}
    for name, columns in query.reads.items():
        table = TABLES_BY_NAME[name]
        at = [table.columns.index(column) for column in columns]
        rows[name] = [[row[place] for place in at] for row in table.rows(facts())]
    return answer(query, rows, values)


@pytest.mark.parametrize(
    "sql, rows",
    [
        ("SELECT database, cl_active FROM pools WHERE cl_active > 0 ORDER BY cl_active DESC",
         [("app", 3), ("pgbouncer", 1)]),
        ("select count(*) from clients", [(1,)]),
        ("SELECT c.user, s.remote_pid FROM clients c JOIN servers s ON c.link = s.ptr", [("alice", 4711)]),
        ('SELECT "database" FROM "pools" WHERE "user" = \'alice\'', [("app",)]),
        ("SELECT database FROM pools EXCEPT SELECT name FROM databases WHERE name = 'app'", [("pgbouncer",)]),
        ("WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up LIMIT 4) SELECT sum(n) FROM up", [(10,)]),
        ("WITH few AS (SELECT * FROM pools LIMIT 1) SELECT database FROM few", [("app",)]),
        ("SELECT user FROM clients WHERE user ILIKE 'AL%'", [("alice",)]),
        ("SELECT CASE WHEN cl_active > 1 THEN 'busy' ELSE 'idle' END FROM pools", [("busy",), ("idle",)]),
        ("SELECT current_user, current_database(), pg_is_in_recovery()", [("alice", "pgbouncer", 0)]),
        ("SELECT pg_catalog.current_schema()", [("public",)]),
        ("SELECT avg(total_xact_count) FROM stats", [(12.5,)]),
        ("SELECT 7, 'seven', NULL", [(7, "seven", None)]),
    ],
)  # fmt: skip
def test_it_answers_as_sql_does(sql: str, rows: list[Row]) -> None:
    assert run(sql) == rows


@pytest.mark.parametrize(
    "sql, columns",
    [
        ("SELECT * FROM lists", "list TEXT, items INT4"),
        ("SELECT total_sent, ttl FROM stats, dns_hosts", "total_sent NUMERIC, ttl INT8"),
        ("SELECT p.cl_active AS a, cl_active b FROM pools p", "a INT4, b INT4"),
        ("SELECT database, * FROM lists, (SELECT database FROM pools)",
         "database TEXT, list TEXT, items INT4, database TEXT"),
        ("SELECT count(*), sum(cl_active), avg(cl_active) FROM pools", "count INT8, sum INT8, avg FLOAT8"),
        ("SELECT max(sv_idle), min(database) FROM pools", "max INT4, min TEXT"),
        ("SELECT sum(total_sent), sum(total_sent) / 2 + 1 FROM stats", "sum NUMERIC, ?column? NUMERIC"),
        ("SELECT *, maxwait + maxwait_us / 1000000.0 AS s FROM (SELECT maxwait, maxwait_us FROM pools)",
         "maxwait INT4, maxwait_us INT4, s FLOAT8"),
        ("SELECT cl_active > 1 AND true, database || 'x', CAST(cl_active AS bigint) FROM pools",
         "?column? BOOL, ?column? TEXT, cast INT8"),
        ("SELECT CASE user WHEN 'a' THEN cl_active END x, coalesce(sv_used, 0) FROM pools", "x INT4, coalesce INT4"),
        ("SELECT scram_client_key FROM fds", "scram_client_key BYTEA"),
        ("SELECT 1, 1.5, 'a', 5000000000, NULL",
         "?column? INT4, ?column? FLOAT8, ?column? TEXT, ?column? INT8, ?column? TEXT"),
        ("SELECT row_number() OVER (ORDER BY database) FROM pools", "row_number INT8"),
        ("VALUES (1, 'a')", "column1 TEXT, column2 TEXT"),
    ],
)  # fmt: skip
def test_columns_keep_their_types_and_names(sql: str, columns: str) -> None:
    assert ", ".join(f"{column.name} {column.type.name}" for column in prepared(sql).columns) == columns


@pytest.mark.parametrize(
    "sql, given, oids",
    [
        ("SELECT 1 FROM pools WHERE database = $1 AND cl_active >= $2", (), (25, 23)),
        ("SELECT 1 FROM pools WHERE $2 = database AND $1 < sv_idle", (), (23, 25)),
        ("SELECT 1 FROM pools WHERE cl_active IN ($1, $2) AND user NOT IN ($3) LIMIT $4 OFFSET $5", (),
         (23, 23, 25, 20, 20)),
        ("SELECT 1 FROM pools WHERE sv_idle BETWEEN $1 AND $2", (), (23, 23)),
        ("SELECT database FROM pools GROUP BY 1 HAVING count(*) > $1", (), (20,)),
        ("SELECT 1 FROM pools WHERE user LIKE $1", (), (25,)),
        ("SELECT 1 FROM pools WHERE database = $1 AND cl_active >= $2", (1043, 0), (1043, 23)),
        ("SELECT $1", (), (25,)),
        ("SELECT 1", (23,), (23,)),
    ],
)  # fmt: skip
def test_parameters_have_the_type_of_what_they_are_compared_with(
    sql: str, given: Sequence[int], oids: tuple[int, ...]
) -> None:
    assert prepared(sql, given).parameters == oids


def test_values_are_bound_by_their_numbers() -> None:
    assert run("SELECT database FROM pools WHERE cl_active = $2 AND database = $1", "app", 3) == [("app",)]
    assert run("SELECT $2, $1, $2", "a", "b") == [("b", "a", "b")]


@pytest.mark.parametrize(
    "sql, sqlstate, message",
    [
        ("SELECT elephants FROM pools", "42703", 'column "elephants" does not exist'),
        ('SELECT "elephants" FROM pools', "42703", 'column "elephants" does not exist'),
        ("SELECT * FROM elephants", "42P01", 'relation "elephants" does not exist'),
        ("SELECT database FROM pools, stats", "42702", 'column reference "database" is ambiguous'),
        ("SELECT FROM", "42601", 'syntax error at or near "FROM"'),
        ("SELECT * FROM pools WHERE", "42601", "syntax error at end of input"),
        ("SELECT trumpet()", "42883", "function trumpet does not exist"),
        ("SELECT lower('a', 'b', 'c')", "42883", "function lower() does not take so many arguments"),
        ("SELECT count(*) FROM pools WHERE count(*) > 1", "42803",
         "aggregate or window function count() is not allowed there"),
        ("SELECT database::text FROM pools", "0A000", "the console has no :: casts"),
        ("SELECT ?", "42601", "parameters are written as $1, $2 and so on"),
        ("SELECT :name", "42601", "parameters are written as $1, $2 and so on"),
        ("SELECT $101", "42P02", "there is no parameter $101"),
        ("SELECT 9223372036854775808", "22003", "9223372036854775808 is out of range"),
        (f"SELECT {'1' * 5000}", "22P02", "'inf' is no number, as its column should be"),
        ("SELECT length('a') UNION SELECT 9e999", "22P02", "'inf' is no number, as its column should be"),
        ("SELECT length('x') FROM pools UNION SELECT database FROM pools", "22P02",
         "'app' is no number, as its column should be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_postgresqls_sqlstate(sql: str, sqlstate: str, message: str) -> None:
    with pytest.raises(ConsoleError) as raised:
        run(sql)
    assert (raised.value.sqlstate, raised.value.message) == (sqlstate, message)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sqlite_master",
        "SELECT * FROM sqlite_schema",
        "SELECT * FROM sqlite_temp_master",
        "SELECT * FROM pragma_table_info('pools')",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM (WITH pragma_database_list AS (SELECT 1) SELECT 1), pragma_database_list",
        "SELECT * FROM json_each('[1]')",
        "SELECT load_extension('libc.so.6')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('x', 'y')",
        "SELECT randomblob(1000000000)",
        "SELECT zeroblob(1000000000)",
        "WITH x AS (SELECT 1) DELETE FROM pools",
        "WITH x AS (SELECT 1) INSERT INTO pools (database) SELECT 'a'",
        "WITH x AS (SELECT 1) UPDATE pools SET database = 'a'",
        "VALUES (fts3_tokenizer('simple'))",
    ],
)
def test_it_reaches_nothing_but_the_tables(sql: str) -> None:
    with pytest.raises(ConsoleError) as raised:
        run(sql)
    assert raised.value.sqlstate in ("42501", "42883", "42P01")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x",
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x WHERE n < 0",
    ],
)
def test_what_never_ends_is_ended(sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LONGEST_S", 0.2)
    with pytest.raises(ConsoleError, match=r"took longer than 0\.2 s") as raised:
        run(sql)
    assert raised.value.sqlstate == "57014"


def test_what_never_ends_is_not_begun_to_describe_it() -> None:
    """That is done in the loop's thread."""
    assert prepared("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x").columns


#: So many rows of 16 KB.
WIDE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT printf('%16000d', i) FROM n"


def test_what_is_large_but_fits_is_given() -> None:
    assert [len(str(cell)) for (cell,) in run(WIDE.format(100))] == [16_000] * 100


def test_texts_that_grow_when_they_are_compiled_are_refused() -> None:
    """Each level is twice the one below.  SQLite keeps the limit for good: a process of its own."""
    levels = ", ".join(f"c{at} AS (SELECT 1 FROM c{at - 1} x, c{at - 1} y)" for at in range(1, 40))
    program = (
        "from howdah.control.console import sandbox; sandbox.MOST_HEAP = 4 << 20; "
        "from tests.unit.control.console.test_query import prepared; "
        f"prepared('WITH c0 AS (SELECT 1 FROM pools), {levels} SELECT * FROM c39')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert "ConsoleError: SELECT in the console is too large" in ended.stderr


@pytest.mark.parametrize(
    "one",
    ["a, ", "a (", "(a) AS (b), ", "a IN ($1, $1, $1) AND ", "count(*) = $1 AND ", "$1, "],
)
def test_reading_a_text_takes_time_in_proportion_to_its_length(one: str) -> None:
    """Quadratic work on a text like this would take many seconds."""
    (tokens,) = split(one)
    (statement,) = split(f"SELECT {one * (9_000 // len(tokens))}1")
    began = time.process_time()
    with contextlib.suppress(ConsoleError):
        prepare(statement, (), TABLES_BY_NAME, "alice")
    parameter_types(statement, {})
    assert time.process_time() - began < 2 * PATIENCE


@pytest.mark.parametrize(
    "sql, rows",
    [
        (f"SELECT {'1' * 5000} > 1, $1", [(1, "x")]),
        (f"SELECT 1, ${'0' * 5000}1", [(1, "x")]),
        ("WITH x(²) AS (SELECT 7) SELECT ², $1 FROM x", [("7", "x")]),
        ("SELECT trim('aXbab', 'ab'), ltrim('ab', 'a'), rtrim('abx', $1), trim(NULL, 'a')", [("X", "b", "ab", None)]),
    ],
)
def test_numbers_and_names_of_all_kinds_are_read(sql: str, rows: list[Row]) -> None:
    assert run(sql, "x") == rows


def test_no_function_takes_for_ever() -> None:
    """None can be interrupted."""
    began = time.process_time()
    run("SELECT trim(printf('%.*c', 16000, 'a'), printf('%.*c', 16000, 'b') || 'a')")
    assert time.process_time() - began < 5 * PATIENCE


def test_functions_that_take_long_are_looked_at_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LONGEST_S", 0.2)
    long = "instr(printf('%.*c', 16000, 'a'), printf('%.*c', 8000 + {}, 'a') || 'b')"
    began = time.process_time()
    with pytest.raises(ConsoleError, match=r"took longer than 0\.2 s"):
        run(
            f"SELECT {' + '.join(long.format(f'n.i + {at}') for at in range(40))} FROM "
            "(WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT i FROM x) n"
        )
    assert time.process_time() - began < 5 * PATIENCE


def test_who_gives_up_ends_it() -> None:
    endless = prepared("WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x WHERE n < 0")
    with pytest.raises(ConsoleError) as raised:
        answer(endless, {}, (), lambda: True)
    assert raised.value.sqlstate == "57014"


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x",
        "WITH RECURSIVE x(n) AS (SELECT 'ab' UNION ALL SELECT n || n FROM x LIMIT 40) SELECT length(n) FROM x",
        f"SELECT {'+'.join('1' * 200)}",
        f"SELECT {', '.join(['1'] * 300)}",
        " UNION ALL ".join(["SELECT 1"] * 50),
        f"SELECT {'a' * LONGEST_TEXT}",
        f"SELECT {'a,' * (MOST_TOKENS // 2)}a",
        WIDE.format(6000),
    ],
)
def test_what_is_too_large_is_refused(sql: str) -> None:
    with pytest.raises(ConsoleError) as raised:
        run(sql)
    assert raised.value.sqlstate == "54000"


@given(st.text(alphabet="()*,.=<>'\"$1aFROMpolsSELCT \n|:?[]`~%", max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(ConsoleError):
        (statement,) = split(f"SELECT {text}")
        prepare(statement, (), TABLES_BY_NAME, "alice")
