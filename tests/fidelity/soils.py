"""What neighbours leave behind in a server: some of everything that a session can hold.

Names and keys are those that the cases use themselves, with other meanings.  Nothing here waits for what a case
holds, or has a case wait: no session is serializable, read-only and deferrable at once.  Nor does anything end a
session: one that listens may not have an encoding that lacks a character of some payload.
"""

#: Each a query of its own.  None of these keeps a server from others, so who has done this may stay.
STAYING = (
    "SET ROLE NONE; SET default_transaction_read_only = off",  # whoever stays has been here before
    "DEALLOCATE ALL",
    "PREPARE s AS SELECT 'soil' AS soil",
    "PREPARE twice AS SELECT 'soil' AS soil",
    "PREPARE \"S\" (text, text) AS SELECT $1 || $2 || 'soil'",
    "PREPARE u AS SELECT 'soil' AS soil",
    "BEGIN; SELECT 1/0",
    "ROLLBACK",
    "SELECT pg_try_advisory_lock(8), pg_try_advisory_lock_shared(9)",
    "SELECT pg_advisory_unlock(8), pg_advisory_unlock_shared(9)",
    "BEGIN; CREATE TEMP TABLE scraps ON COMMIT DROP AS SELECT 1 AS soil; DECLARE scraps CURSOR FOR SELECT 1; COMMIT",
    "ROLLBACK",
    (
        "SET search_path = soiled, pg_temp; SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German, DMY';"
        " SET IntervalStyle = 'iso_8601'; SET application_name = 'soil'; SET client_encoding = 'SQL_ASCII';"
        " SET bytea_output = 'escape'; SET extra_float_digits = -3; SET work_mem = '3MB'; SET enable_seqscan = off;"
        " SET statement_timeout = '1h'; SET lock_timeout = '2h'; SET transform_null_equals = on;"
        " SET xmloption = 'document'; SET client_min_messages = 'error'; SET default_statistics_target = 5;"
        " SET standard_conforming_strings = off; SET escape_string_warning = off; SET maintenance_work_mem = '5MB'"
    ),
    "SET app.tenant_id = 'soil'; SET app.other = 'soil'; SELECT set_config('app.' || 'computed', 'soil', false)",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, DEFERRABLE",
    "LISTEN soil; LISTEN \"Soil\"; NOTIFY soil, 'no case hears this'",
    "UNLISTEN soil",
    "SET ROLE fidelity_soil; SET default_transaction_read_only = on",
)

#: What is left by those who go away: a server is theirs as long as they have this.
LEAVING = (
    "CREATE TEMP TABLE notes (soil int)",
    (
        "CREATE TEMP TABLE items (soil int); CREATE TEMP VIEW v AS SELECT 'soil' AS soil;"
        " CREATE TEMP SEQUENCE numbers START 666; CREATE FUNCTION pg_temp.f() RETURNS text RETURN 'soil'"
    ),
    "SELECT pg_try_advisory_lock(1), pg_try_advisory_lock_shared(2), pg_try_advisory_lock(3, 4)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 'soil' AS soil",
    "SELECT nextval('counter')",
    "LISTEN soil; LISTEN \"Soil\"; NOTIFY soil, 'no case hears this'; SELECT setseed(0.25)",
    "PREPARE soil AS SELECT 'soil'; PREPARE soiled AS SELECT 'soil'",
)

#: How they go: in the middle of a transaction that has failed.
FAILED = "BEGIN; SELECT pg_try_advisory_xact_lock(1); SELECT 1/0"
