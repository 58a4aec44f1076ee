"""What PostgreSQL does to a session, the analysis of the text has told.

Random texts are run by a real session; whenever that is another one afterwards, the analysis of one of them must have
said so.
"""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.postgres import Postgres
from tools.list_builtins import builtins

probe = pytest.importorskip("howdah_probe.sql", reason="the release build has no probes")

#: What a session holds, by the effect that changes it.
STATE = {
    "SETTING": """SELECT name, setting FROM pg_settings
        WHERE source = 'session' AND name NOT IN ('role', 'standard_conforming_strings')
        UNION ALL SELECT 'app.a', coalesce(current_setting('app.a', true), '') ORDER BY 1""",
    "ROLE": "SELECT current_user, session_user",
    "TEMP": "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() ORDER BY 1",
    "CURSOR": "SELECT name FROM pg_cursors WHERE is_holdable ORDER BY 1",
    "LOCK": "SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2",
    "LISTEN": "SELECT pg_listening_channels() ORDER BY 1",
    "PREPARE": "SELECT name FROM pg_prepared_statements ORDER BY 1",
}
#: What may have changed each of them.
TOLD = {
    "SETTING": {"SETTING", "SETTINGS"},
    "ROLE": {"ROLE"},
    "TEMP": {"TEMP"},
    "CURSOR": {"CURSOR"},
    "LOCK": {"LOCK"},
    "LISTEN": {"LISTEN"},
    "PREPARE": {"PREPARE", "DEALLOCATE"},
}
STATEMENTS = [
    "SET work_mem = '1MB'", "set session app.a to 'b'", "SET TIME ZONE 'PST8PDT'", "RESET work_mem", "RESET ALL",
    "SET LOCAL work_mem = '2MB'", "SELECT set_config('app.a', 'c', false)", "SELECT \"set_config\"('app.a', 'd', true)",
    "UPDATE pg_settings SET setting = '2048' WHERE name = 'work_mem'", "SET statement_timeout TO DEFAULT",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET NAMES 'UTF8'", "SET ROLE alice", "RESET ROLE",
    "SET SESSION AUTHORIZATION bob", "RESET SESSION AUTHORIZATION", "CREATE TEMP TABLE IF NOT EXISTS t1 (a int)",
    "SELECT 1 AS insert INTO TEMP t2", "WITH x AS (SELECT 1) SELECT (1) insert INTO TEMP t3", "DROP TABLE IF EXISTS t1",
    "CREATE TEMP VIEW v1 AS SELECT 1", "DISCARD TEMP", "DECLARE c1 CURSOR WITH HOLD FOR SELECT 1", "CLOSE ALL",
    "SELECT pg_advisory_lock(7)", "SELECT pg_catalog.pg_try_advisory_lock_shared(8)", "SELECT pg_advisory_unlock_all()",
    "SELECT pg_advisory_xact_lock(9)", "LISTEN a", 'LISTEN "B"', "UNLISTEN *", "PREPARE p1 AS SELECT 1", "EXECUTE p1",
    "PREPARE p2 (int) AS SELECT $1", "DEALLOCATE p1", "DEALLOCATE ALL", "DISCARD ALL", "DISCARD PLANS",
    "DO $$ BEGIN SET work_mem = '3MB'; END $$", "SELECT query_to_xml('SELECT pg_advisory_lock(10)', true, true, '')",
    "EXPLAIN ANALYZE SELECT set_config('app.a', 'e', false)", "EXPLAIN (ANALYZE) CREATE TEMP TABLE t4 AS SELECT 1",
    "COPY (SELECT set_config('app.a', 'f', false)) TO '/dev/null'", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s",
    "VALUES (set_config('app.a', 'g', false))", "SELECT 1", "SELECT count(*) FROM pg_class WHERE relname = 'x'",
    "SET standard_conforming_strings = off", "SET standard_conforming_strings = on", "SELECT FROM FROM",
    r"SELECT 'a\'; SET work_mem = '4MB'; --'", r"SELECT '\''; SET app.a = h; --'", r"SELECT E'\'; SET app.a = i; --'",
    "SELECT $a$; SET app.a = j; $a$", "SELECT /* /* */ ; SET app.a = k; */ 1", 'SELECT 1 AS "; SET app.a = l; "',
    "SELECT 'x'\n'\\'; SET app.a = m; --'", r"SELECT U&'\'; SET app.a = n; --'", "SELECT 1 --\r; SET app.a = o",
]  # fmt: skip
DRESS = [str, str.swapcase, lambda text: f" /* ; */ {text} -- end\n", lambda text: f"{text};\n"]


@pytest.fixture
def session(postgres: Postgres) -> Any:
    with postgres.connect(dbname="app") as connection:
        connection.prepare_threshold = None
        yield connection


def state(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    return {effect: connection.execute(query).fetchall() for effect, query in STATE.items()}


def run(connection: psycopg.Connection[Any], text: str) -> None:
    """As one simple Query; that it fails is fine."""
    result = connection.pgconn.exec_(text.encode())
    assert result.status not in {psycopg.pq.ExecStatus.COPY_IN, psycopg.pq.ExecStatus.COPY_OUT}


def texts() -> st.SearchStrategy[str]:
    """One or a few statements, dressed up where that leaves their strings alone."""
    dressed = st.builds(
        lambda text, dress: dress(text) if dress is not str.swapcase or not set(text) & set("'\"$\\") else text,
        st.sampled_from(STATEMENTS), st.sampled_from(DRESS),
    )  # fmt: skip
    return st.lists(dressed, min_size=1, max_size=3).map("; ".join)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts(), min_size=1, max_size=5))
def test_a_session_that_has_changed_was_not_called_harmless(
    session: psycopg.Connection[Any], chosen: list[str]
) -> None:
    run(session, "ROLLBACK; RESET SESSION AUTHORIZATION")
    run(session, "DISCARD ALL")
    before = state(session)
    told: set[str] = set()
    for text in chosen:
        told |= probe.analyse(text.encode())["effects"]
        run(session, text)
    run(session, "ROLLBACK")
    after = state(session)
    changed = {effect for effect in STATE if before[effect] != after[effect]}
    assert "ANYTHING" in told or all(told & TOLD[effect] for effect in changed), (changed, told)


def test_the_list_of_functions_keeps_its_rules(postgres: Postgres) -> None:
    """Written from other versions, perhaps; nothing that is harmful here may be in it."""
    from howdah.sql.builtins import HARMLESS, KEYWORDS, RESERVED

    here = builtins(postgres)
    assert not HARMLESS & here.harmful
    assert here.reserved <= RESERVED
    assert here.keywords <= KEYWORDS | RESERVED
    if postgres.version == 18:
        assert here.harmless <= HARMLESS


def test_the_list_of_functions_keeps_its_rules_in_an_older_version(postgres_15: Postgres) -> None:
    from howdah.sql.builtins import HARMLESS, KEYWORDS, RESERVED

    here = builtins(postgres_15)
    assert not HARMLESS & here.harmful
    assert here.reserved | here.keywords <= RESERVED | KEYWORDS
