"""Session-level advisory locks: held over transactions, and another client is kept out."""

from tests.fidelity.case import case, extended, leave, other

_TRY = "SELECT pg_try_advisory_lock(1) AS got"

CASES = (
    case("held", "SELECT pg_advisory_lock(1)", other(_TRY), "SELECT 'meanwhile' AS body", other(_TRY),
         "SELECT pg_advisory_unlock(1)", other(_TRY)),
    case("try", _TRY, other(_TRY), "SELECT pg_advisory_unlock(1)", other(_TRY), other("SELECT pg_advisory_unlock(1)"),
         _TRY),
    case("shared", "SELECT pg_advisory_lock_shared(1)", other("SELECT pg_try_advisory_lock_shared(1)"), other(_TRY),
         other("SELECT pg_advisory_unlock_shared(1)"), "SELECT pg_advisory_unlock_shared(1)", other(_TRY)),
    case("two-keys", "SELECT pg_advisory_lock(3, 4)", other("SELECT pg_try_advisory_lock(3, 4)"),
         other("SELECT pg_try_advisory_lock(4, 3)"), "SELECT pg_advisory_unlock(3, 4)",
         other("SELECT pg_try_advisory_lock(3, 4)")),
    case("counted", f"{_TRY}; {_TRY}", "SELECT pg_advisory_unlock(1)", other(_TRY), "SELECT pg_advisory_unlock(1)",
         other(_TRY), "SELECT pg_advisory_unlock(1)"),
    case("unlock-all", "SELECT pg_advisory_lock(1), pg_advisory_lock(2)", "SELECT pg_advisory_unlock_all()",
         other(_TRY), other("SELECT pg_try_advisory_lock(2)")),
    case("one-of-two-given-back", "SELECT pg_advisory_lock(1), pg_advisory_lock(2)", "SELECT pg_advisory_unlock(2)",
         other(_TRY), other("SELECT pg_try_advisory_lock(2)"), "SELECT pg_advisory_unlock(1)", other(_TRY)),
    case("not-held", "SELECT pg_advisory_unlock(1)", "SELECT pg_advisory_unlock_shared(5)", other(_TRY)),
    case("rolled-back-stays", "BEGIN; SELECT pg_advisory_lock(1)", "ROLLBACK", other(_TRY),
         "SELECT pg_advisory_unlock(1)", other(_TRY)),
    case("of-a-failed-transaction-stays", "BEGIN; SELECT pg_advisory_lock(1)", "SELECT 1/0", "ROLLBACK", other(_TRY),
         "SELECT pg_advisory_unlock(1)"),
    case("of-a-failed-string-stays", "SELECT pg_advisory_lock(1); SELECT 1/0", other(_TRY),
         "SELECT pg_advisory_unlock(1)"),
    case("of-the-transaction", "BEGIN; SELECT pg_advisory_xact_lock(1)", other(_TRY), "COMMIT", other(_TRY)),
    case("by-a-function", "SELECT take_lock(1)", other(_TRY), "SELECT pg_advisory_unlock(1)", other(_TRY)),
    case("by-a-do-block", "DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$", other(_TRY),
         "SELECT pg_advisory_unlock(1)"),
    case("in-a-where-clause", "SELECT id FROM items WHERE pg_try_advisory_lock(id) ORDER BY id", other(_TRY),
         "SELECT pg_advisory_unlock_all()", other(_TRY)),
    case("extended", extended("SELECT pg_advisory_lock($1)", "1"), other(_TRY),
         extended("SELECT pg_advisory_unlock($1)", "1"), other(_TRY)),
    case("waited-for-in-vain", "SELECT pg_advisory_lock(1)", other("SET lock_timeout = '40ms'"),
         other("SELECT pg_advisory_lock(1)"), "SELECT pg_advisory_unlock(1)", other("SELECT pg_advisory_lock(1)")),
    case("ends-with-the-session", "SELECT pg_advisory_lock(1)", other(_TRY), leave(),
         other("SET lock_timeout = '3s'; SELECT pg_advisory_lock(1)")),
    case("discard-all", "SELECT pg_advisory_lock(1)", "DISCARD ALL", other(_TRY)),
    case("seen-in-pg-locks", "SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)",
         "SELECT objid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY objid",
         "SELECT pg_advisory_unlock_all()", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
             " AND pid = pg_backend_pid()"),
)  # fmt: skip
