"""Cursors: those WITH HOLD outlive their transaction."""

from tests.fidelity.case import case, extended, other

_HOLD = "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY id"

CASES = (
    case("with-hold", f"BEGIN; {_HOLD}; COMMIT", "FETCH c", "FETCH c", "FETCH c", "FETCH c", "CLOSE c", "FETCH c"),
    case("with-hold-outside", _HOLD, "FETCH 2 FROM c", "CLOSE c", "FETCH c"),
    case("close-all", _HOLD, "DECLARE d CURSOR WITH HOLD FOR SELECT 1 AS x", "CLOSE ALL", "FETCH c", "FETCH d"),
    case("one-of-two-closed", _HOLD, "DECLARE d CURSOR WITH HOLD FOR SELECT 1 AS x", "CLOSE c", "FETCH d", "CLOSE d",
         "FETCH d"),
    case("rolled-back", f"BEGIN; {_HOLD}", "FETCH c", "ROLLBACK", "FETCH c"),
    case("without-hold", "BEGIN", "DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id", "FETCH c", "COMMIT",
         "FETCH c"),
    case("without-hold-outside", "DECLARE c CURSOR FOR SELECT 1", "FETCH c"),
    case("scroll", "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY id", "FETCH LAST FROM c",
         "FETCH PRIOR FROM c", "MOVE FIRST IN c", "FETCH RELATIVE 0 FROM c", "FETCH ALL FROM c"),
    case("quoted", 'DECLARE "My ""Cursor""" CURSOR WITH HOLD FOR SELECT 1 AS x', 'FETCH "My ""Cursor"""',
         'CLOSE "My ""Cursor"""'),
    case("listed", _HOLD, "SELECT name, is_holdable FROM pg_cursors WHERE name <> ''", "CLOSE c",
         "SELECT count(*) FROM pg_cursors WHERE name <> ''"),
    case("by-a-function", "SELECT hold_cursor()", "FETCH c", "CLOSE c", "FETCH c"),
    case("extended", extended(_HOLD), extended("FETCH c"), extended("FETCH c"), extended("CLOSE c"),
         extended("FETCH c")),
    case("declared-twice", _HOLD, _HOLD, "FETCH c"),
    case("discard-all", _HOLD, "DISCARD ALL", "FETCH c"),
    case("of-two-clients", _HOLD, other("DECLARE c CURSOR WITH HOLD FOR SELECT 'yours' AS body"), "FETCH c",
         other("FETCH c"), "CLOSE c", other("FETCH c"), "FETCH c"),
    case("keeps-what-it-saw", "DECLARE c CURSOR WITH HOLD FOR SELECT count(*) FROM scratch.t",
         other("INSERT INTO scratch.t VALUES (1)"), "FETCH c", "SELECT count(*) FROM scratch.t",
         setup="CREATE TABLE scratch.t (x int); GRANT ALL ON scratch.t TO PUBLIC"),
)  # fmt: skip
