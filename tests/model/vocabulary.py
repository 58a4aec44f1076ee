"""The words of programs: statements, names, values, and bodies that are no messages.

What is left out, and why:

- what has a different answer each time (process ids, clocks, random numbers, OIDs in texts);
- session state that howdah says it does not follow: temporary tables, LISTEN, advisory locks, cursors WITH HOLD, SET of
  settings that are not reported, SQL's own PREPARE and EXECUTE, and DEALLOCATE of one name in a message with more;
- parameters whose type PostgreSQL works out from a column whose type changes: a session keeps the type of the first
  Parse, another server works it out anew.  So only column x changes, and no parameter is compared with it;
- names that are no text in the client's encoding: howdah takes any bytes for a name, PostgreSQL says 22021;
- SERIALIZABLE READ ONLY DEFERRABLE, which waits for the other client.

In texts, $T is the table of the client that sends it: (n int, s text, x int), with two rows.
"""

INT4, TEXT, BOOL, UNKNOWN, NO_TYPE = 23, 25, 16, 705, 99_999

#: A row that ends a copy at once; no other CopyData does.
BAD_ROW = b"bad\n"

SETUP = """
DROP TABLE IF EXISTS of_one, of_two;
CREATE TABLE of_one (n int, s text, x int);
CREATE TABLE of_two (n int, s text, x int);
INSERT INTO of_one VALUES (1, 'first', 10), (2, 'second', 20);
INSERT INTO of_two VALUES (1, 'erste', 10), (2, 'zweite', 20);
"""

#: Statements without parameters that read or do nothing that lasts.
READING = (
    "SELECT 1",
    "SELECT 'two' AS two",
    "SELECT 'three' AS three, 3 AS number;",
    "SELECT generate_series(1, 5)",
    "SELECT n, s FROM $T ORDER BY n",
    "SELECT * FROM $T ORDER BY n",
    "SELECT x FROM $T WHERE n = 1",
    "SELECT count(*) FROM $T",
    "SELECT repeat('long', 3000)",
    "VALUES (1), (2), (3)",
    "SELECT now() < statement_timestamp()",
    "SHOW transaction_isolation",
    "SHOW transaction_read_only",
    "SELECT 'ünïcödé ☃'",
    "",
    ";",
    "-- only a comment",
    "SELECT",
    "COPY (SELECT generate_series(1, 3)) TO STDOUT",
    "COPY $T TO STDOUT",
    "COPY (SELECT 10 / (3 - n) FROM generate_series(1, 5) AS n) TO STDOUT",
    "DO $$ BEGIN RAISE NOTICE 'heard'; RAISE WARNING 'louder'; END $$",
    "DROP TABLE IF EXISTS never_there",
    "EXPLAIN (COSTS OFF) SELECT 1",
    "SET LOCAL work_mem = '5MB'",
)
WRITING = (
    "INSERT INTO $T (n, s) VALUES (3, 'third')",
    "INSERT INTO $T (n, s) VALUES (4, 'fourth') RETURNING *",
    "UPDATE $T SET s = s || '!' WHERE n = 1",
    "DELETE FROM $T WHERE n = 2 RETURNING s",
    "TRUNCATE $T",
)
#: With the values that fit them.
WITH_PARAMETERS = {
    "SELECT $1::int + 1": ("41",),
    "SELECT $1::text, $2::text": ("a", None),
    "SELECT $1": ("of no type",),
    "SELECT n FROM $T WHERE s = $1 AND n = $2": ("first", "1"),
    "INSERT INTO $T (n, s) VALUES ($1, $2)": ("5", "fifth"),
    "SELECT 10 / $1::int": ("2",),
    "SELECT generate_series(1, $1)": ("3",),
}
#: What fails: at Parse, at Bind (constants are folded there), at Execute.
FAILING = (
    "SELEKT 1",
    "SELECT nothing",
    "SELECT * FROM never_there",
    "SELECT $2::int",
    "SELECT 1; SELECT 2",
    "SELECT 1 / 0",
    "SELECT 10 / (n - 2) FROM generate_series(1, 3) AS n",
    "INSERT INTO $T (n) VALUES ('no number')",
    "DO $$ BEGIN RAISE NOTICE 'before'; RAISE EXCEPTION 'raised' USING HINT = 'a hint', DETAIL = 'a detail'; END $$",
    "COPY never_there FROM STDIN",
    "SELECT 'unfinished",
    "VACUUM never_there",
)
BEGINNING = (
    "BEGIN",
    "begin;",
    "/* now */ BEGIN -- it begins",
    "BEGIN WORK",
    "Begin Transaction",
    "START TRANSACTION",
    "START TRANSACTION READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE",
    "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
    "BEGIN ISOLATION LEVEL NONSENSE",
    "BEGIN;;",
    "\tbegin\n;\n-- done",
)
ENDING = (
    "COMMIT",
    "commit;",
    "END",
    "ROLLBACK",
    "ABORT",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "COMMIT AND NO CHAIN",
)
WITHIN = (
    "SAVEPOINT a",
    "SAVEPOINT b",
    "RELEASE a",
    "RELEASE SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO SAVEPOINT b",
    "SET TRANSACTION READ ONLY",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "DECLARE p CURSOR FOR SELECT generate_series(1, 4)",
    "FETCH 2 FROM p",
    "MOVE 1 IN p",
    "CLOSE p",
    "CLOSE ALL",
    "LOCK TABLE $T IN ACCESS SHARE MODE",
)
SEVERAL = (
    "BEGIN; SELECT 1",
    "BEGIN; COMMIT",
    "COMMIT; BEGIN",
    "BEGIN; BEGIN",
    "SELECT 1; BEGIN",
    "BEGIN; SELECT 1 / 0",
    "BEGIN; SELECT 1 / 0; COMMIT",
    "SELECT 1; COMMIT; SELECT 2",
    "SELECT 1; SELECT 2; SELECT 3",
    "SELECT 1; SELECT 1 / 0; SELECT 2",
    "INSERT INTO $T (n) VALUES (6); ROLLBACK",
    "INSERT INTO $T (n) VALUES (7); SELECT 1 / 0",
    "BEGIN; INSERT INTO $T (n) VALUES (8); COMMIT; SELECT nothing",
    "ROLLBACK; SELECT 1",
    "BEGIN; SAVEPOINT a; SELECT 1 / 0; ROLLBACK TO a; COMMIT",
    "SELECT 1; DISCARD ALL",
    "SELECT 1; DEALLOCATE ALL",
    "COPY (SELECT 1) TO STDOUT; SELECT 2; COPY (SELECT 3) TO STDOUT",
    "SAVEPOINT a; SELECT 1",
)
#: What ends prepared statements, portals, or both; then one, by its quoted name, in a simple query of its own.
FORGETTING = ("DEALLOCATE ALL", "DISCARD ALL", "DEALLOCATE PREPARE ALL", "discard all;", "DISCARD PLANS", "CLOSE ALL")
FORGETTING_ONE = ("DEALLOCATE %s", "DEALLOCATE PREPARE %s", "deallocate %s ;")
#: Settings that are reported: they follow a client to each server.
SETTING = (
    "SET application_name = 'model'",
    "SET DateStyle = 'German'",
    "SET IntervalStyle = 'iso_8601'",
    "SET TimeZone = 'Asia/Kolkata'",
    "RESET application_name",
    "SELECT date '2001-02-03', interval '1 day 2 hours'",
    "SHOW TimeZone",
    "SHOW application_name",
)
#: Changes of what a statement gives; outside of transactions only.
DEFINING = (
    "ALTER TABLE $T ALTER COLUMN x TYPE bigint",
    "ALTER TABLE $T ALTER COLUMN x TYPE text",
    "ALTER TABLE $T ADD COLUMN more text DEFAULT 'more'",
    "ALTER TABLE $T DROP COLUMN IF EXISTS more",
    "ALTER TABLE $T RENAME COLUMN x TO y",
    "ALTER TABLE $T RENAME COLUMN y TO x",
    "DROP TABLE IF EXISTS $T",
    "CREATE TABLE IF NOT EXISTS $T (n int, s text, x int)",
    "CREATE TABLE $T (n bigint, s text, x int)",
)
#: Statements whose results have other columns after that.
SHAPED = (
    "SELECT * FROM $T ORDER BY n",
    "SELECT x FROM $T WHERE n = 1",
    "INSERT INTO $T (n, s) VALUES (4, 'fourth') RETURNING *",
    "DELETE FROM $T WHERE n = 2 RETURNING *",
)
COPYING_IN = (
    "COPY $T (n) FROM STDIN",
    "COPY $T (n) FROM STDIN; SELECT 'after'",
    "SELECT 'before'; COPY $T (n) FROM STDIN",
    "COPY $T (n) FROM STDIN; COPY $T (n) FROM STDIN",
    "COPY $T (n) FROM STDIN; SELECT 1 / 0",
    "BEGIN; COPY $T (n) FROM STDIN",
)
ROWS = (b"1\n2\n", b"3\n", b"4", b"", BAD_ROW, b"5\n" + BAD_ROW + b"6\n", b"7\n" * 3000)

#: Statement names.  PostgreSQL tells them apart by their first 63 bytes.
NAMES = (
    "s",
    "S",
    "t",
    "stmtcache_1",
    "howdah_1",
    "__howdah_1",
    "PGBOUNCER_1",
    'quo"te',
    "with space",
    "it's",
    "ünïcödé ☃",
    "back\\slash",
    "%s",
    "x" * 62,
    "x" * 63,
    "x" * 63 + "y",
    "x" * 63 + "z",
    "x" * 62 + "ü",
    "long" * 100,
)
PORTALS = ("p", "q", "P", "q" * 70, "wei rd")
TYPES = ((INT4,), (TEXT,), (INT4, TEXT), (0,), (0, TEXT), (BOOL,), (UNKNOWN,), (NO_TYPE,), (INT4,) * 5)
LIMITS = (0, 0, 1, 2, 5, -1)

INT4PL, INT4DIV, NO_FUNCTION = 177, 154, 99_999

#: By type: bodies that PostgreSQL answers with an error, or with an error and the end.
MALFORMED = (
    (b"P", b""),
    (b"P", b"s"),
    (b"P", b"s\0SELECT 1"),
    (b"P", b"s\0SELECT 1\0"),
    (b"P", b"s\0SELECT 1\0\0"),
    (b"P", b"s\0SELECT 1\0\xff\xff"),
    (b"P", b"s\0SELECT 1\0\0\x01\0\0"),
    (b"P", b"s\0SELECT 1\0\0\0more"),
    (b"P", b"\0SELECT 1\0\0\0more"),
    (b"P", b"s\0SELECT '\xff'\0\0\0"),
    (b"B", b""),
    (b"B", b"p"),
    (b"B", b"\0s"),
    (b"B", b"\0s\0"),
    (b"B", b"\0s\0\0\0\0\0"),
    (b"B", b"\0s\0\0\0\xff\xff\0\0"),
    (b"B", b"\0s\0\xff\xff\0\0\0\0"),
    (b"B", b"\0s\0\0\0\0\x01\0\0\0\x05ab"),
    (b"B", b"\0s\0\0\0\0\0\0\0more"),
    (b"B", b"\0\0\0\0\0\0\0\0more"),
    (b"B", b"\0s\0\0\x02\0\0\0\0\0\0\0\0"),
    (b"B", b"\0\0\0\0\0\0\0\x01\0\x07"),
    (b"D", b""),
    (b"D", b"S"),
    (b"D", b"Ss"),
    (b"D", b"Xs\0"),
    (b"D", b"Ss\0more"),
    (b"E", b""),
    (b"E", b"p"),
    (b"E", b"\0\0\0"),
    (b"E", b"\0\0\0\0\0more"),
    (b"C", b""),
    (b"C", b"S"),
    (b"C", b"Ss"),
    (b"C", b"Xs\0"),
    (b"C", b"Ss\0more"),
    (b"F", b""),
    (b"F", b"\0\0\0\xb1\0\0\0\x01"),
    (b"F", b"\0\0\0\xb1\0\0\xff\xff\0\0"),
    (b"Q", b""),
    (b"Q", b"SELECT 1"),
    (b"Q", b"SELECT 1\0more"),
    (b"Q", b"SELECT '\xff'\0"),
    (b"d", b""),
    (b"c", b"more"),
    (b"f", b"no end"),
)
#: What ends the connection: types that no client may send, lengths that cannot be.
BROKEN = (b"?", b"\0", b"p", b"R", b"Z", b"T", b"v", b"1")
BROKEN_LENGTHS = (b"\0\0\0\0", b"\0\0\0\3", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")
TOO_LONG = 10_001
