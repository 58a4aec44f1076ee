"""What one client has, a fresh one does not: each case ends with a client that looks around."""

from tests.fidelity.case import Case, LogIn, Step, by, case, hear, leave, log_in

_LOOK = (
    "SELECT current_user, session_user, current_setting('role'), current_setting('search_path')",
    (
        "SELECT name, setting FROM pg_settings"
        " WHERE context IN ('user', 'superuser') AND NOT starts_with(name, 'plpgsql.') ORDER BY name"
    ),
    "SELECT coalesce(current_setting('app.tenant_id', true), ''), coalesce(current_setting('app.other', true), '')",
    "SELECT body FROM tenants",
    "SELECT what FROM secret",
    "SELECT to_regclass('pg_temp.notes'), to_regclass('pg_temp.v'), to_regclass('pg_temp.numbers')",
    "SELECT count(*) FROM pg_prepared_statements WHERE NOT starts_with(name, 'howdah_')",
    "EXECUTE s",
    "SELECT count(*) FROM pg_listening_channels()",
    "SELECT count(*) FROM pg_cursors WHERE is_holdable",
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "SELECT lastval()",
    "SELECT currval('counter')",
    "SELECT now() = statement_timestamp() AS in_no_transaction",
)


def _after(name: str, *steps: str | Step) -> Case:
    """The first client stays while a fresh one looks around, then goes, and another one looks."""
    first = [step for step in steps if not isinstance(step, LogIn)]
    logins = [step for step in steps if isinstance(step, LogIn)]
    return case(
        name, *logins, *first, *(by("while", look) for look in _LOOK), leave(), *(by("after", look) for look in _LOOK)
    )


CASES = (
    _after("settings", "SET work_mem = '7MB'; SET TimeZone = 'Asia/Kolkata'; SET bytea_output = 'escape'"),
    _after("settings-by-a-function", "SELECT set_it('work_mem', '7MB')"),
    _after("settings-of-a-login", log_in(work_mem="7MB", search_path="two"), "SHOW work_mem"),
    _after("search-path", "SET search_path = two, one"),
    _after("custom-setting", "SET app.tenant_id = 'east'", "SELECT body FROM tenants"),
    _after("role", "SET ROLE fidelity_reader", "SELECT what FROM secret"),
    _after("temporary-table", "CREATE TEMP TABLE notes (x int)", "INSERT INTO notes VALUES (1)"),
    _after("temporary-table-dropped", "CREATE TEMP TABLE notes (x int)", "DROP TABLE notes"),
    _after("temporary-view-and-sequence", "CREATE TEMP VIEW v AS SELECT 1; CREATE TEMP SEQUENCE numbers"),
    _after("prepared-statement", "PREPARE s AS SELECT 'not yours'", "EXECUTE s"),
    _after("channels", "LISTEN news; LISTEN other_news", hear(0)),
    _after("cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH c"),
    _after("advisory-lock", "SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)"),
    _after("sequence", "SELECT nextval('counter') > 0 AS counted"),
    _after("failed-transaction", "BEGIN; SET work_mem = '7MB'", "SELECT 1/0"),
    _after("open-transaction", "BEGIN", "SET work_mem = '7MB'", "SET LOCAL ROLE fidelity_reader",
           "SELECT what FROM secret"),
    _after("read-only", "SET default_transaction_read_only = on"),
    _after("strings", "SET standard_conforming_strings = off", "SELECT 'a\\'b'"),
    _after("everything", "SET work_mem = '7MB'; SET ROLE fidelity_reader; SET app.tenant_id = 'east'",
           "PREPARE s AS SELECT 1; LISTEN news; CREATE TEMP TABLE notes (x int)", "SELECT pg_advisory_lock(1)",
           "DECLARE c CURSOR WITH HOLD FOR SELECT 1"),
)  # fmt: skip
