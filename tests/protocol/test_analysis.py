"""What a text may do to its session: each rule by example."""

import pytest

probe = pytest.importorskip("howdah_probe.sql", reason="the release build has no probes")

HARMLESS = [
    "",
    ";;",
    "SELECT 1",
    "select 1;",
    "(SELECT 1) UNION (VALUES (2)) LIMIT 3",
    "TABLE a",
    "VALUES (1), (2)",
    "-- SET a = 1",
    'SELECT count(*), lower(a), pg_catalog.upper(b), "lower"(c) FROM t WHERE a IN (1, 2) AND NOT EXISTS (SELECT 1)',
    "INSERT INTO users (name, at) VALUES ('x', now()) ON CONFLICT (name) DO UPDATE SET (a, b) = (1, 2) RETURNING id",
    "WITH x AS (INSERT INTO a (b) VALUES (1) RETURNING b), y AS (SELECT 1) INSERT INTO s.c (d) SELECT b FROM x, y",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
    "UPDATE t SET a = (SELECT 1), b = DEFAULT WHERE c BETWEEN 1 AND greatest(2, 3)",
    "DELETE FROM t USING u AS v (a, b)",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "SELECT rank() OVER (PARTITION BY a ORDER BY b), sum(a) FILTER (WHERE b) OVER w FROM t WINDOW w AS (ORDER BY c)",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY a) FROM t GROUP BY GROUPING SETS ((a), ())",
    "SELECT * FROM t a (x, y) LEFT JOIN (SELECT 1) b ON (true) INNER JOIN (c CROSS JOIN d) ON true",
    "SELECT * FROM unnest(ARRAY[1]) WITH ORDINALITY u (a, b), LATERAL (SELECT 1) l (c)",
    "SELECT a::numeric(10, 2), CAST(b AS public.geometry(Point, 4326)), c::public.x(3) FROM t",
    "SELECT 'SET a = 1; ', $$; SET a = 1; $$, $x$ $$ ; LOAD 'x' $x$, E'\\'; SET a = 1; --'",
    'SELECT "; SET a" /* ; SET a /* */ ; */',
    "COPY t (a, b) FROM STDIN",
    "COPY (SELECT 1) TO STDOUT WITH (FORMAT csv)",
    "COPY (INSERT INTO t (a) VALUES (1) RETURNING a) TO STDOUT",
    "EXPLAIN (ANALYZE, FORMAT json) SELECT 1",
    "explain analyze verbose (select 1)",
    "EXPLAIN INSERT INTO t (a) VALUES (1)",
    "VACUUM (FULL) t (a)",
    "ANALYZE t (a, b)",
    "REINDEX TABLE t",
    "CHECKPOINT",
    "LOCK TABLE t",
    "TRUNCATE t",
    "SAVEPOINT a",
    "RELEASE a",
    "COMMIT PREPARED 'x'",
    "ROLLBACK PREPARED 'x'",
    "NOTIFY a, 'b'",
    "SHOW ALL",
    "FETCH ALL FROM c",
    "DECLARE c CURSOR FOR SELECT 1",
    "DECLARE hold CURSOR WITHOUT HOLD FOR TABLE t",
    "SET LOCAL a = 1",
    "SET LOCAL ROLE a",
    "SET LOCAL TIME ZONE 'UTC'",
    "SET LOCAL SESSION AUTHORIZATION a",
    "SET TRANSACTION READ ONLY",
    "SET CONSTRAINTS ALL DEFERRED",
    "RESET TRANSACTION ISOLATION LEVEL",
    "DISCARD PLANS",
    "SELECT set_config('a.b', $1, true)",
    "SELECT set_config('a', 'b'::text, TRUE)",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT * FROM pg_settings FOR SHARE",
    "SELECT pg_notify('a', 'b'), random(), gen_random_uuid(), lo_open(1, 2)",
    "GRANT SELECT ON t TO a",
    "COMMENT ON FUNCTION f(int) IS 'x'",
    'SELECT a.b.c, t."lower", 1.5, .5 FROM s.t',
    "SELECT extract(year FROM a), trim(BOTH FROM b), substring(c FROM 1 FOR 2), position('a' IN b)",
    "SELECT overlay(a PLACING b FROM 1)",
    "SELECT a AT TIME ZONE (b), timestamp(3) '2000-01-01', interval(3) '1', current_timestamp(2) FROM t",
    "SELECT é FROM ü WHERE ä = 'ö'",
    'INSERT INTO "T" ("a") VALUES ($1)',
    "SELECT a FROM t WHERE (b, c) IN ((1, 2))",
]

# Text, and what it does in so many words.
EFFECTS = {
    "SET a = 1": "SETTING",
    "set SESSION a.b TO 1, 2": "SETTING",
    "SET TIME ZONE 'UTC'": "SETTING",
    "SET NAMES 'x'": "SETTING",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "SETTING",
    "SET SCHEMA 'x'": "SETTING",
    "SET XML OPTION DOCUMENT": "SETTING",
    "RESET a": "SETTING",
    "RESET TIME ZONE": "SETTING",
    "RESET ALL": "SETTINGS",
    "(SELECT set_config('a', 'b', false))": "SETTING",
    "SELECT \"set_config\"('a', 'b', true OR false)": "SETTING",
    "SELECT set_config($1, $2, true)": "SETTINGS",
    "SELECT set_config('a' || 'b', 'c', true)": "SETTINGS",
    "SELECT set_config('it''s', '', false)": "SETTINGS",
    "SELECT set_config(setting_name => 'a', new_value => 'b', is_local => false)": "SETTINGS",
    "UPDATE pg_settings SET setting = 'x'": "SETTINGS",
    'UPDATE "pg_catalog"."pg_settings" SET setting = 1': "SETTINGS",
    "SET ROLE a": "ROLE",
    "SET role = 'a'": "ROLE",
    "RESET ROLE": "ROLE",
    "SET SESSION AUTHORIZATION a": "ROLE",
    "SET SESSION ROLE a": "ROLE",
    "RESET SESSION AUTHORIZATION": "ROLE",
    'RESET "Session_Authorization"': "ROLE",
    "SELECT set_config('role', 'a', false)": "ROLE",
    "CREATE TEMP TABLE a AS SELECT 1": "TEMP",
    "CREATE TABLE a (b int)": "TEMP",
    "DROP VIEW a": "TEMP",
    "ALTER TABLE a ADD b int": "TEMP",
    "SELECT 1 INTO a": "TEMP",
    "SELECT 1 AS insert INTO TEMP a": "TEMP",
    "SELECT insert INTO a FROM b": "TEMP",
    "SELECT (1) merge INTO a": "TEMP",
    "WITH x AS (SELECT 1) SELECT (1) insert INTO a": "TEMP",
    "WITH x AS (SELECT 1) TABLE x UNION (TABLE x) insert INTO a": "TEMP",
    "WITH RECURSIVE x AS (SELECT 1) CYCLE a SET b USING c SELECT (1) insert INTO TEMP d": "TEMP",
    "INSERT INTO a SELECT 1 INTO b": "TEMP",
    "DISCARD TEMPORARY": "TEMP",
    "INSERT INTO pg_temp.a VALUES (1)": "TEMP",
    'TABLE "pg_temp_3".a': "TEMP",
    "EXPLAIN ANALYZE CREATE TABLE a AS SELECT 1": "TEMP",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": "CURSOR",
    "DECLARE c NO SCROLL CURSOR with/**/hold FOR SELECT 1": "CURSOR",
    "CLOSE a": "CURSOR",
    "SELECT pg_advisory_lock(1)": "LOCK",
    "SELECT PG_TRY_ADVISORY_LOCK_SHARED (1)": "LOCK",
    "SELECT pg_advisory_unlock_all()": "LOCK",
    "LOAD 'x'": "LOAD",
    "SELECT pg_create_physical_replication_slot('a', false, true)": "LOAD",
    "SELECT pg_replication_origin_session_setup('a')": "LOAD",
    "SELECT pg_backup_start('a')": "LOAD",
    "SELECT dblink_connect('a')": "LOAD",
    "SELECT setseed(0)": "SEED",
    "DISCARD SEQUENCES": "",
    "SELECT lastval()": "SEQUENCE",
    "SELECT pg_catalog . currval /* */ ('s')": "SEQUENCE",
    "LISTEN a": "LISTEN",
    "UNLISTEN *": "LISTEN",
    "SELECT * FROM pg_listening_channels()": "LISTEN",
    "PREPARE a AS SELECT 1": "PREPARE",
    "PREPARE a (numeric(3)) AS SELECT set_config('b', 'c', false)": "PREPARE SETTING",
    "EXECUTE a": "EXECUTE",
    "EXECUTE a (1, 2)": "EXECUTE",
    "EXPLAIN EXECUTE a": "EXECUTE",
    "CREATE TABLE a (b) AS EXECUTE c (1)": "EXECUTE TEMP",
    "EXECUTE a (lastval())": "EXECUTE SEQUENCE",
    "EXPLAIN (ANALYZE) CREATE TABLE a AS EXECUTE b": "EXECUTE TEMP",
    "DEALLOCATE a": "DEALLOCATE",
    "DEALLOCATE ALL": "DEALLOCATE",
    "deallocate prepare all": "DEALLOCATE",
    "DISCARD ALL": "CURSOR DEALLOCATE DISCARD LISTEN LOCK ROLE SETTINGS TEMP",
    "BEGIN READ ONLY": "BEGINS",
    "START TRANSACTION": "BEGINS",
    "END": "ENDS",
    "ABORT WORK": "ENDS",
    "PREPARE TRANSACTION 'x'": "ENDS",
    "COMMIT AND CHAIN": "BEGINS ENDS",
    "ROLLBACK TRANSACTION AND NO CHAIN": "ENDS",
    "ROLLBACK TO a": "TO_SAVEPOINT",
    "rollback work to savepoint a": "TO_SAVEPOINT",
    "SELECT 1; SELECT 2": "SEVERAL",
    ";SELECT 1;;": "",
    "BEGIN; SET a = 1; COMMIT": "BEGINS ENDS SETTING SEVERAL",
    "SELECT 1;\n-- then\nLOAD 'x'": "LOAD SEVERAL",
    "SELECT '\n' '\n;\n'; LOAD 'x'": "LOAD SEVERAL",
    "SELECT 1/* ; */;/* */LOAD 'x'": "LOAD SEVERAL",
    "SELECT $$;$$;LOAD 'x'": "LOAD SEVERAL",
    "SELECT E'\\'';LOAD 'x'": "LOAD SEVERAL",
    "SELECT E'a'\n'\\'';LOAD 'x'": "LOAD SEVERAL",
    'SELECT """;";LOAD \'x\'': "LOAD SEVERAL",
    "SELECT a$$;LOAD 'x'": "LOAD SEVERAL",
    "SELECT 1--;\r;LOAD 'x'": "LOAD SEVERAL",
    "/* /* */ */LOAD 'x'": "LOAD",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); NOTIFY a)": "TEMP",
}

#: Whether it may take a number from a sequence, which the session then remembers.
NUMBERS = {
    "SELECT nextval('s')": True,
    "SELECT setval('s', 3)": True,
    "SELECT currval('s'), lastval()": False,
    "INSERT INTO t VALUES (1)": True,
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x": True,
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x": True,
    "EXPLAIN ANALYZE INSERT INTO t VALUES (1)": True,
    "MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT VALUES (1)": True,
    "COPY t FROM STDIN": True,
    "UPDATE t SET a = 1": False,
    "SELECT 'INSERT INTO t', a -- nextval('s')": False,
    "DISCARD SEQUENCES": False,
}

ANYTHING = [
    "DO $$ $$",
    "CALL a()",
    "VACUUMS",
    "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c",
    "CREATE EXTENSION a",
    "ALTER EXTENSION a UPDATE",
    "SELECT f(1)",
    "SELECT public.lower('a')",
    "SELECT a.pg_catalog.lower('a')",
    "SELECT \"LOWER\"('a')",
    'SELECT "f"()',
    "SELECT s.values(1)",
    "SELECT query_to_xml('x', true, true, '')",
    "SELECT ts_stat('x')",
    "SELECT * FROM dblink('x')",
    "SELECT a, f (b) FROM t",
    "SELECT f/**/(1)",
    "SELECT over(1)",
    "SELECT DISTINCT ON (a) over(1) FROM t",
    "SELECT 1 OPERATOR(pg_catalog.+) filter(1)",
    "SELECT join(1)",
    "SELECT a ORDER BY cube(1)",
    "INSERT INTO t SELECT 1 FROM a JOIN b ON conflict(1)",
    "MERGE INTO t USING s ON conflict(1) WHEN MATCHED THEN DELETE",
    "DELETE FROM t RETURNING WITH (OLD AS o) f(o)",
    "SELECT f(values) FROM t",
    'SELECT U&"\\0066"(1)',
    'SELECT u&"a"',
    "EXPLAIN (VALUES (f(1)))",
    "EXPLAIN ((SELECT f(1)))",
    "EXPLAIN ANALYZE SELECT f()",
    "DECLARE c CURSOR FOR SELECT f()",
    "COPY (SELECT f()) TO STDOUT",
    "WITH a AS (SELECT f()) SELECT 1",
    "INSERT INTO t (a) VALUES (f())",
    "DISCARD",
    "SET 1",
    'SET U&"a" = 1',
    "SELECT 'a\\'",
    "SELECT 'a\\''; SELECT 1 --'",
    "SELECT '\x95\\' '",
    "SELECT E'\x95\\'",
    "SELECT 'a",
    'SELECT "a',
    "SELECT /* a",
    "SELECT $$ a",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_text(text: str) -> None:
    found = probe.analyse(text.encode())
    assert (found["effects"] - {"SEVERAL", "NUMBERS"}, found["settings"], found["uses"]) == (set(), {}, [])


@pytest.mark.parametrize("text", EFFECTS)
def test_a_text_with_effects(text: str) -> None:
    assert sorted(probe.analyse(text.encode())["effects"] - {"ANYTHING", "NUMBERS"}) == EFFECTS[text].split()


@pytest.mark.parametrize("text, takes", NUMBERS.items())
def test_a_text_that_takes_numbers(text: str, takes: bool) -> None:
    assert ("NUMBERS" in probe.analyse(text.encode())["effects"]) == takes


@pytest.mark.parametrize("text", ANYTHING)
def test_a_text_that_may_do_anything(text: str) -> None:
    assert "ANYTHING" in probe.analyse(text.encode("latin-1"))["effects"]


@pytest.mark.parametrize(
    "text, settings",
    [
        ("SET a = 1; RESET b; SET c TO DEFAULT", {"a": "SET", "b": "RESET", "c": "RESET"}),
        ('SET App . "Tenant_Id" TO 1', {"app.tenant_id": "SET"}),
        ("SET session.a = 1; SET local.b TO 2; SET time.c = 3; SET role.d = 4", {
            "session.a": "SET", "local.b": "SET", "time.c": "SET", "role.d": "SET",
        }),
        ("SET LOCAL local.a = 1", {}),
        ("SET SESSION TIME ZONE LOCAL; RESET TIME ZONE", {"timezone": "RESET"}),
        ("SET NAMES 'x'; SET SCHEMA 'y'; SET XML OPTION CONTENT", {
            "client_encoding": "SET", "search_path": "SET", "xmloption": "SET",
        }),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", {
            "default_transaction_isolation": "SET", "default_transaction_read_only": "SET",
            "default_transaction_deferrable": "SET",
        }),
        ("SELECT set_config('App.A', $1, false), pg_catalog.set_config('b', f(), true)",
         {"app.a": "EITHER", "b": "EITHER"}),
        ("SELECT set_config('a', '', false), set_config('b', NULL, false), set_config('c', 'x' || 'y', false)",
         {"a": "SET", "b": "RESET", "c": "EITHER"}),
        (r"SELECT 'a\'; SET a = 1; --'; SET b = 2", {"a": "SET", "b": "SET"}),
    ],
)  # fmt: skip
def test_the_names_of_settings(text: str, settings: dict[str, str]) -> None:
    found = probe.analyse(text.encode())
    assert found["settings"] == {name.encode(): change for name, change in settings.items()}
    assert ("SETTING" in found["effects"]) == bool(settings)


@pytest.mark.parametrize(
    "text, changes",
    [
        ("SET ROLE NONE", "role=SET"),
        ("RESET ROLE", "role=RESET"),
        ("SET role TO DEFAULT", "role=RESET"),
        ("SET SESSION AUTHORIZATION a", "session_authorization=SET role=SET"),
        ("SET SESSION AUTHORIZATION DEFAULT", "session_authorization=RESET role=RESET"),
        ("RESET SESSION AUTHORIZATION", "session_authorization=RESET role=RESET"),
        ("RESET ALL", "all=RESET"),
        ("DISCARD ALL", "all=RESET session_authorization=RESET role=RESET"),
    ],
)
def test_who_the_session_is_may_be_set_or_reset(text: str, changes: str) -> None:
    found = probe.analyse(text.encode())
    assert " ".join(f"{name.decode()}={change}" for name, change in found["settings"].items()) == changes
    assert "SETTING" not in found["effects"]


def test_more_settings_than_there_is_room_for() -> None:
    found = probe.analyse("; ".join(f"SET a{i} = 1" for i in range(101)).encode())
    assert {"SETTING", "SETTINGS"} <= found["effects"]
    assert len(found["settings"]) == 100


@pytest.mark.parametrize("size, known", [(63, True), (64, False)])
def test_a_long_name_of_a_setting(size: int, known: bool) -> None:
    found = probe.analyse(f"SET {'a' * size} = 1; SELECT set_config('{'b' * (size + 64)}', '', false)".encode())
    assert [*found["settings"]] == ([b"a" * 63, b"b" * 127] if known else [])
    assert ("SETTINGS" in found["effects"]) == (not known)


@pytest.mark.parametrize(
    "text, kind, name",
    [
        ("PREPARE A AS SELECT 1", "PREPARE", "a"),
        ('prepare "A ""b" (int, numeric(3)) as select 1;', "PREPARE", 'A "b'),
        ("PREPARE transaction AS SELECT 1", "PREPARE", "transaction"),
        ("EXECUTE a", "EXECUTE", "a"),
        ("EXECUTE a (1, f(2))", "EXECUTE", "a"),
        ("EXPLAIN (ANALYZE, SUMMARY false) EXECUTE a(1)", "EXECUTE", "a"),
        ("EXPLAIN ANALYZE VERBOSE EXECUTE a", "EXECUTE", "a"),
        ("CREATE TEMP TABLE IF NOT EXISTS b (c) ON COMMIT DROP AS EXECUTE a (1) WITH NO DATA", "EXECUTE", "a"),
        ("EXPLAIN CREATE TABLE b AS EXECUTE a", "EXECUTE", "a"),
        ("DEALLOCATE a;;", "DEALLOCATE", "a"),
        ("DEALLOCATE PREPARE a", "DEALLOCATE", "a"),
        ("DEALLOCATE prepare", "DEALLOCATE", "prepare"),
        ("/* */ DEALLOCATE /* */ prepare /* */ PREPARE -- x", "DEALLOCATE", "prepare"),
        ("DEALLOCATE ALL", "DEALLOCATE_ALL", ""),
        ("DEALLOCATE PREPARE ALL;", "DEALLOCATE_ALL", ""),
        ('DEALLOCATE "all"', "DEALLOCATE", "all"),
        ('EXECUTE "é"', "EXECUTE", "é"),
    ],
)
def test_the_one_name_that_a_statement_uses(text: str, kind: str, name: str) -> None:
    found = probe.analyse(text.encode())["only_use"]
    assert found[:2] == (kind, name.encode())
    there = text.encode()[found[2] : found[2] + found[3]].decode()
    assert there.lower().strip('"').replace('""', '"') == name.lower()


@pytest.mark.parametrize("text", [f"EXECUTE {'a' * 64}", f'EXECUTE "{"a" * 64}"', "EXECUTE Äb"])
def test_a_name_that_is_left_to_postgresql(text: str) -> None:
    """PostgreSQL cuts long ones, and brings some letters into lower case in some encodings."""
    assert probe.analyse(text.encode())["only_use"][:2] == ("EXECUTE", b"")


@pytest.mark.parametrize(
    "text",
    ["DEALLOCATE a b", "DEALLOCATE", "EXECUTE", "EXECUTE 'a'", "PREPARE a", "PREPARE a (int)", 'DEALLOCATE U&"a"',
     "DO $$ $$; EXECUTE 'a\\'",
     "DEALLOCATE a; SELECT 'b", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END"],
)  # fmt: skip
def test_uses_of_names_that_are_not_understood(text: str) -> None:
    found = probe.analyse(text.encode())
    assert found["unclear"]
    assert found["only_use"] is None


def test_uses_of_names_in_several_statements() -> None:
    text = b"PREPARE a AS SELECT 1; EXECUTE a; EXPLAIN EXECUTE B(1); SELECT 'EXECUTE c'; DEALLOCATE a; DISCARD ALL"
    found = probe.analyse(text)
    assert [use[:2] for use in found["uses"]] == [
        ("PREPARE", b"a"), ("EXECUTE", b"a"), ("EXECUTE", b"b"), ("DEALLOCATE", b"a"), ("DEALLOCATE_ALL", b""),
    ]  # fmt: skip
    assert (found["unclear"], found["only_use"]) == (False, None)


@pytest.mark.parametrize(
    "text",
    ["SELECT 1 AS execute, 2", "GRANT EXECUTE ON FUNCTION f TO a", "CREATE VIEW v AS SELECT 1 AS execute",
     "CREATE TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f()", "SELECT execute FROM prepare", "COMMIT PREPARED 'a'"],
)  # fmt: skip
def test_words_that_use_no_name(text: str) -> None:
    found = probe.analyse(text.encode())
    assert (found["uses"], found["unclear"]) == ([], False)


def test_more_uses_of_names_than_there_is_room_for() -> None:
    found = probe.analyse(b"EXECUTE a;" * 33)
    assert len(found["uses"]) == 32
    assert found["unclear"]


def test_a_text_that_was_cut_may_do_anything() -> None:
    assert {"ANYTHING", "DEALLOCATE", "ENDS", "TO_SAVEPOINT"} <= probe.analyse_cut(b"SELECT 1")["effects"]
    assert probe.analyse_cut(b"SELECT 1\0")["effects"] == set()
    assert probe.analyse_cut(b"SELECT 1\0; SET a = 1")["effects"] == set()
    assert "ANYTHING" in probe.analyse_cut(b"")["effects"]


CERTAIN = {
    "CREATE TEMP TABLE t (a int)": "MAKES_TEMP",
    "create or replace global temporary view v as select 1": "MAKES_TEMP",
    "CREATE LOCAL TEMP SEQUENCE s": "MAKES_TEMP",
    "CREATE TEMP TABLE t AS SELECT 1 ON COMMIT DROP": "",
    "CREATE TEMP TABLE t (a int) ON COMMIT DROP; SELECT 1": "",
    "CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS; DROP TABLE t": "MAKES_TEMP",
    "CREATE TABLE temp (temporary int)": "",
    "CREATE TABLE t (a text DEFAULT 'temp')": "",
    "SELECT 1 INTO TEMP t": "MAKES_TEMP",
    "SELECT 1 INTO TEMPORARY TABLE t": "MAKES_TEMP",
    "SELECT 1 INTO t": "",
    "INSERT INTO temp VALUES (1)": "",
    "DROP TABLE t": "",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": "HOLDS",
    "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1": "",
    "CLOSE c": "",
    "SELECT pg_advisory_lock(1), pg_catalog.pg_try_advisory_lock_shared(2)": "TAKES_LOCK",
    "SELECT pg_advisory_unlock(1)": "",
    "SELECT pg_advisory_xact_lock(1)": "",
    "LISTEN a": "LISTENS",
    "UNLISTEN a": "",
    "SELECT 'LISTEN a; CREATE TEMP TABLE t'": "",
}


@pytest.mark.parametrize("text", CERTAIN)
def test_what_stays_for_certain_is_told_apart_from_what_may(text: str) -> None:
    assert sorted(probe.analyse(text.encode())["certain"]) == CERTAIN[text].split()
