"""currval and lastval: what a session remembers of sequences."""

from tests.fidelity.case import case, copy_in, extended, other

_S = "CREATE SEQUENCE scratch.s; GRANT ALL ON scratch.s TO PUBLIC"
_SERIAL = (
    "CREATE TABLE scratch.t (id serial, x text); CREATE TABLE scratch.u (id int GENERATED ALWAYS AS IDENTITY, x int);"
    " GRANT ALL ON ALL TABLES IN SCHEMA scratch TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA scratch TO PUBLIC"
)
_CURRENT = "SELECT currval('scratch.s')"

CASES = (
    case("nextval-then-currval", "SELECT nextval('scratch.s')", _CURRENT, "SELECT nextval('scratch.s')", _CURRENT,
         "SELECT lastval()", setup=_S),
    case("currval-of-two-clients", "SELECT nextval('scratch.s')", other("SELECT nextval('scratch.s')"), _CURRENT,
         other(_CURRENT), "SELECT lastval()", other("SELECT lastval()"), setup=_S),
    case("currval-before-nextval", _CURRENT, "SELECT lastval()", other("SELECT nextval('scratch.s')"), _CURRENT,
         "SELECT lastval()", setup=_S),
    case("setval", "SELECT setval('scratch.s', 40)", _CURRENT, "SELECT lastval()", "SELECT nextval('scratch.s')",
         _CURRENT, "SELECT lastval()", setup=_S),
    case("setval-not-called", "SELECT setval('scratch.s', 40, false)", _CURRENT, "SELECT nextval('scratch.s')",
         _CURRENT, setup=_S),
    case("insert-serial", "INSERT INTO scratch.t (x) VALUES ('a')", "SELECT lastval()",
         "SELECT currval(pg_get_serial_sequence('scratch.t', 'id'))", setup=_SERIAL),
    case("insert-identity", "INSERT INTO scratch.u (x) VALUES (1), (2)", "SELECT lastval()",
         "SELECT currval('scratch.u_id_seq')", setup=_SERIAL),
    case("insert-by-the-extended-protocol", extended("INSERT INTO scratch.t (x) VALUES ($1)", "a"),
         extended("SELECT lastval()"), extended("SELECT currval('scratch.t_id_seq')"), setup=_SERIAL),
    case("insert-of-two-clients", "INSERT INTO scratch.t (x) VALUES ('a')",
         other("INSERT INTO scratch.t (x) VALUES ('b')"), "SELECT lastval()", other("SELECT lastval()"),
         "SELECT x FROM scratch.t WHERE id = lastval()", setup=_SERIAL),
    case("rolled-back", "BEGIN; SELECT nextval('scratch.s')", "ROLLBACK", _CURRENT, setup=_S),
    case("copy", copy_in("COPY scratch.t (x) FROM STDIN", "a", "b"), "SELECT lastval()", setup=_SERIAL),
    case("in-a-function", "DO $$ BEGIN PERFORM nextval('scratch.s'); END $$", _CURRENT, setup=_S),
    case("lastval-of-several", "SELECT nextval('scratch.s'), nextval('scratch.s2')", "SELECT lastval()",
         "SELECT nextval('scratch.s')", "SELECT lastval()", "SELECT currval('scratch.s2')",
         setup=_S + "; CREATE SEQUENCE scratch.s2 START 100; GRANT ALL ON scratch.s2 TO PUBLIC"),
    case("discard-sequences", "SELECT nextval('scratch.s')", "DISCARD SEQUENCES", _CURRENT, "SELECT lastval()",
         setup=_S),
    case("discard-all", "SELECT nextval('scratch.s')", "DISCARD ALL", _CURRENT, setup=_S),
    case("cached", "SELECT nextval('scratch.c')", "SELECT nextval('scratch.c')", "SELECT currval('scratch.c')",
         setup="CREATE SEQUENCE scratch.c CACHE 10; GRANT ALL ON scratch.c TO PUBLIC"),
    case("dropped", "SELECT nextval('scratch.s')", "DROP SEQUENCE scratch.s", "SELECT lastval()", _CURRENT,
         setup=_S + "; ALTER SEQUENCE scratch.s OWNER TO fidelity_rider"),
)  # fmt: skip
