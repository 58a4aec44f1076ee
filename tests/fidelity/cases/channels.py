"""LISTEN, NOTIFY and UNLISTEN.

A notification reaches PostgreSQL's own clients with the answer to what they ask next or while they are idle.  When
exactly is left open here (`hear` waits), but not the order, and not that there is none too many: whoever still listens
to "end" hears of it last.
"""

from tests.fidelity.case import Case, at_once, case, extended, hear, other


def _heard(name: str, *notifying: str, setup: str = "") -> Case:
    """What a client hears of another one that says this."""
    return case(name, "LISTEN news", 'LISTEN "end"', *map(other, notifying), other('NOTIFY "end"'),
                hear(_count(notifying) + 1), setup=setup)  # fmt: skip


def _count(notifying: tuple[str, ...]) -> int:
    return sum(said.count("news") for said in notifying)


_LONGEST = "p" * 7999

CASES = (
    case("own", "LISTEN news", "NOTIFY news, 'to myself'", hear(1), "SELECT 'after' AS body", hear(0)),
    case("own-in-a-string", "LISTEN news; NOTIFY news, 'one'; NOTIFY news, 'two'", hear(2)),
    case("foreign", "LISTEN news", other("NOTIFY news, 'from afar'"), hear(1), "SELECT 'after' AS body", hear(0)),
    _heard("without-payload", "NOTIFY news"),
    _heard("several-in-order", "NOTIFY news, '1'", "NOTIFY news, '2'", "NOTIFY news, '3'"),
    _heard("several-in-a-transaction", "BEGIN; NOTIFY news, '1'; NOTIFY news, '2'", "NOTIFY news, '3'; COMMIT"),
    _heard("pg-notify", "SELECT pg_notify('news', 'by a ' || 'function')"),
    _heard("quotes-in-the-payload", "NOTIFY news, 'it''s \"quoted\" \\ and ♞'"),
    _heard("longest-payload", f"NOTIFY news, '{_LONGEST}'"),
    case("too-long-a-payload", "LISTEN news", f"NOTIFY news, '{_LONGEST}x'",
         f"SELECT pg_notify('news', '{_LONGEST}x')", "NOTIFY news, 'short'", hear(1)),
    case("no-channel", "SELECT pg_notify('', 'x')", "SELECT pg_notify(repeat('c', 64), 'x')", 'LISTEN ""',
         f"LISTEN {'c' * 70}"),
    case("notify-rolled-back", 'LISTEN news; LISTEN "end"', other("BEGIN; NOTIFY news, 'never'"), other("ROLLBACK"),
         other('NOTIFY "end"'), hear(1)),
    case("notify-in-a-failed-transaction", 'LISTEN news; LISTEN "end"', other("NOTIFY news, 'never'; SELECT 1/0"),
         other('NOTIFY "end"'), hear(1)),
    case("duplicates-collapse", 'LISTEN news; LISTEN "end"',
         other("BEGIN; NOTIFY news, 'same'; NOTIFY news, 'same'; NOTIFY news, 'else'; NOTIFY news, 'same'; COMMIT"),
         other('NOTIFY "end"'), hear(3)),
    case("duplicates-of-two-transactions", "LISTEN news", other("NOTIFY news, 'same'"), other("NOTIFY news, 'same'"),
         hear(2)),
    case("savepoint-rolled-back", 'LISTEN news; LISTEN "end"',
         other("BEGIN; NOTIFY news, '1'; SAVEPOINT a; NOTIFY news, 'never'; ROLLBACK TO a; NOTIFY news, '2'; COMMIT"),
         other('NOTIFY "end"'), hear(3)),
    case("listen-rolled-back", 'LISTEN "end"', "BEGIN; LISTEN news", "ROLLBACK", other("NOTIFY news, 'never'"),
         other('NOTIFY "end"'), hear(1)),
    case("listen-at-commit", "BEGIN", "LISTEN news", other("NOTIFY news, 'too early'"), "COMMIT",
         other("NOTIFY news, 'in time'"), hear(1)),
    case("listen-to-a-savepoint-rolled-back", 'LISTEN "end"', "BEGIN; SAVEPOINT a; LISTEN news; ROLLBACK TO a; COMMIT",
         other("NOTIFY news"), other('NOTIFY "end"'), hear(1)),
    case("own-in-the-transaction-that-listens", "BEGIN; LISTEN news; NOTIFY news, 'to myself'; COMMIT", hear(1)),
    case("while-in-a-transaction", "LISTEN news", "BEGIN", "SELECT 'inside' AS body", other("NOTIFY news, 'later'"),
         hear(0), "SELECT 'still inside' AS body", hear(0), "COMMIT", hear(1)),
    case("while-in-a-failed-transaction", "LISTEN news", "BEGIN", "SELECT 1/0", other("NOTIFY news, 'later'"), hear(0),
         "ROLLBACK", hear(1)),
    case("own-in-a-transaction", "LISTEN news", "BEGIN; NOTIFY news, 'mine'", other("NOTIFY news, 'yours'"),
         "SELECT 'inside' AS body", hear(0), "COMMIT", hear(2)),
    case("while-idle", "LISTEN news", other("SELECT pg_notify('news', n::text) FROM generate_series(1, 5) AS n"),
         hear(5)),
    case("unlisten", 'LISTEN news; LISTEN "end"', "UNLISTEN news", other("NOTIFY news, 'never'"),
         other('NOTIFY "end"'), hear(1)),
    case("unlisten-all", "LISTEN news; LISTEN other_news", "UNLISTEN *", other("NOTIFY news"),
         other("NOTIFY other_news"), 'LISTEN "end"', other('NOTIFY "end"'), hear(1)),
    case("unlisten-rolled-back", "LISTEN news", "BEGIN; UNLISTEN news", "ROLLBACK", other("NOTIFY news, 'still'"),
         hear(1)),
    case("unlisten-and-listen", "LISTEN news", "BEGIN; UNLISTEN *; LISTEN other_news; COMMIT",
         other("NOTIFY news, 'never'"), other("NOTIFY other_news, 'heard'"), hear(1)),
    case("unlisten-what-is-not", "UNLISTEN nothing", "UNLISTEN *", "SELECT 'fine' AS body"),
    case("listen-twice", "LISTEN news", "LISTEN news", other("NOTIFY news, 'once'"), hear(1), "UNLISTEN news",
         'LISTEN "end"', other("NOTIFY news"), other('NOTIFY "end"'), hear(1)),
    case("discard-all", "LISTEN news", "DISCARD ALL", 'LISTEN "end"', other("NOTIFY news"), other('NOTIFY "end"'),
         hear(1)),
    case("case-of-names", "LISTEN News", 'LISTEN "News"', other("NOTIFY NEWS, 'folded'"),
         other("NOTIFY \"News\", 'mixed'"), other("NOTIFY \"NEWS\", 'nobody'"),
         other("SELECT pg_notify('News', 'by a function')"), hear(3)),
    case("quoted-names", "LISTEN \"it's, a \"\"channel\"\" ♞\"", other("NOTIFY \"it's, a \"\"channel\"\" ♞\", 'x'"),
         hear(1)),
    case("listening-channels", "LISTEN news", 'LISTEN "Other"', "SELECT pg_listening_channels() AS c ORDER BY c",
         "UNLISTEN news", "SELECT pg_listening_channels() AS c", "UNLISTEN *",
         "SELECT count(*) FROM pg_listening_channels()"),
    case("notifiers-process", "LISTEN news", other("SELECT pg_notify('news', pg_backend_pid()::text)::text"), hear(1),
         "SELECT pg_notify('news', pg_backend_pid()::text)::text", hear(1)),
    case("extended", extended("LISTEN news"), extended("SELECT pg_notify($1, $2)::text", "news", "own"), hear(1),
         extended("NOTIFY news, 'x'", who="b"), hear(1), extended("UNLISTEN *"), extended('LISTEN "end"'),
         other("NOTIFY news"), other('NOTIFY "end"'), hear(1)),
    case("at-once", at_once("LISTEN news", "NOTIFY news, '1'", "UNLISTEN news", "NOTIFY news, '2'", "LISTEN news",
                            "NOTIFY news, '3'"), hear(2)),
    case("listen-in-a-function", "SELECT listen_to('news')", other("NOTIFY news, 'heard'"), hear(1)),
    case("unlisten-in-a-do-block", 'LISTEN news; LISTEN "end"', "DO $$ BEGIN UNLISTEN news; END $$",
         other("NOTIFY news, 'never'"), other('NOTIFY "end"'), hear(1)),
    case("functions-between-savepoints", "LISTEN news", "BEGIN; SAVEPOINT a", "SELECT listen_to('other_news')",
         "SAVEPOINT b", "DO $$ BEGIN UNLISTEN *; END $$", "ROLLBACK TO b", 'DO $$ BEGIN LISTEN "end"; END $$',
         "COMMIT", other("NOTIFY news, 'x'"), other("NOTIFY other_news, 'y'"), other('NOTIFY "end"'), hear(3)),
    case("unlisten-between-savepoints", 'LISTEN news; LISTEN "end"', "BEGIN", "SELECT 1 AS n", "SAVEPOINT a",
         "UNLISTEN *", "SAVEPOINT b", "LISTEN news", "ROLLBACK TO b", 'LISTEN "end"', "COMMIT",
         other("NOTIFY news, 'never'"), other('NOTIFY "end"'), hear(1)),
    case("both-listen", "LISTEN news", other("LISTEN news"), "NOTIFY news, 'from a'", hear(1), hear(1, "b"),
         other("NOTIFY news, 'from b'"), hear(1), hear(1, "b")),
    case("each-its-own", "LISTEN news", other("LISTEN other_news"), other("NOTIFY news, 'for a'"),
         "NOTIFY other_news, 'for b'", hear(1), hear(1, "b")),
    case("by-a-trigger", "LISTEN news", other("INSERT INTO scratch.t VALUES (1), (2)"), hear(2),
         setup="CREATE TABLE scratch.t (x int); GRANT ALL ON scratch.t TO PUBLIC; CREATE FUNCTION scratch.tell()"
             " RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('news', NEW.x::text); RETURN NEW; END $$;"
             " CREATE TRIGGER tell AFTER INSERT ON scratch.t FOR EACH ROW EXECUTE FUNCTION scratch.tell()"),
    case("many-channels", "; ".join(f"LISTEN c{n}" for n in range(100)), other("NOTIFY c7, 'x'"),
         other("NOTIFY c99, 'y'"), hear(2), "SELECT count(*) FROM pg_listening_channels()"),
    case("encoding", "SET client_encoding = 'LATIN1'", "LISTEN news", other("NOTIFY news, 'café'"), hear(1),
         "SET client_encoding = 'UTF8'", other("NOTIFY news, 'café'"), hear(1)),
    case("in-a-do-block", "DO $$ BEGIN EXECUTE 'LISTEN news'; PERFORM pg_notify('news', 'x'); END $$", hear(1)),
)  # fmt: skip
