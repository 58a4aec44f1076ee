"""What a client does to its session in transaction mode: it follows the client, or keeps the server while it exists."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres

pytestmark = pytest.mark.usefixtures("paranoid")

PID = "SELECT pg_backend_pid()"

#: What keeps a server: how it begins, under which reason it is logged, how it ends.
PINS = {
    "table": ("CREATE TEMP TABLE mine (x int)", "pin_temporary_object", "DROP TABLE mine"),
    "all of a kind": ("CREATE TEMP VIEW v AS SELECT 1", "pin_temporary_object", "DISCARD TEMP"),
    "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "pin_holdable_cursor", "CLOSE c"),
    "lock": ("SELECT pg_advisory_lock(77)", "pin_advisory_lock", "SELECT pg_advisory_unlock(77)"),
    "everything": ("CREATE TEMP TABLE mine (x int)", "pin_temporary_object", "DISCARD ALL"),
    "statements": ("PREPARE a AS SELECT 1; PREPARE b AS SELECT 2", "pin_named_statement", "DEALLOCATE a; DEALLOCATE b"),
}

#: What a client may leave behind, and how another one would notice.
DIRT = {
    "setting": ("SET work_mem = '7MB'", "SHOW work_mem", "4MB"),
    "role": ("SET ROLE pg_monitor", "SELECT current_user", "alice"),
    "table": ("CREATE TEMP TABLE mine (x int)", "SELECT to_regclass('pg_temp.mine')", None),
    "lock": ("SELECT pg_advisory_lock(78)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0"),
    "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors WHERE name = 'c'", "0"),
    "statement": (
        "PREPARE mine AS SELECT 1; SELECT 2",
        "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'",
        "0",
    ),
    "channel": ("LISTEN mine", "SELECT count(*) FROM pg_listening_channels()", "0"),
}


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=1, workers=1)
    return pooler


@pytest.mark.parametrize("name", PINS)
def test_a_pin_lasts_as_long_as_its_reason(one_server: Pooler, name: str) -> None:
    begin, reason, end = PINS[name]
    with one_server.client() as client, one_server.client() as other:
        client.query(begin)
        one_server.wait_for_log(reason)
        assert client.query("SELECT 1").value == "1"
        other.send(wire.query("SELECT 'served'"))
        one_server.wait_for_pool(cl_waiting=1, sv_active=1)
        assert client.query(end).errors == []
        assert other.read_until("Z").value == "served"
    one_server.wait_until_idle()


@pytest.mark.parametrize("inside", [False, True], ids=["idle", "in a transaction"])
@pytest.mark.parametrize("name", DIRT)
def test_nothing_is_left_of_a_client_that_vanishes(
    one_server: Pooler, postgres: Postgres, name: str, inside: bool
) -> None:
    soil, look, clean = DIRT[name]
    postgres.sql("GRANT pg_monitor TO alice")
    client = one_server.client()
    before = client.query(PID).value
    if inside:
        client.begin()
    assert client.query(soil).errors == []
    client.vanish()
    with one_server.client() as other:
        assert other.query(look).value == clean
        assert other.query(PID).value == before
    one_server.wait_until_idle()


@pytest.mark.parametrize(
    "spoil",
    [
        "LOAD 'plpgsql'",
        "SELECT setseed(0.5)",
        "SELECT pg_create_physical_replication_slot('of_a_session', false, true)",
    ],
)
def test_what_cannot_be_undone_ends_with_its_server(one_server: Pooler, postgres: Postgres, spoil: str) -> None:
    with one_server.client(user="postgres") as client:
        pid = client.query(PID).value
        assert client.query(spoil).errors == []
        assert [client.query(PID).value for _ in range(3)] == [pid] * 3
    with one_server.client(user="postgres") as other:
        assert other.query(PID).value != pid


@pytest.fixture
def hidden(postgres: Postgres, table: str) -> str:
    """A table whose trigger sets something, which no text shows that inserts into it."""
    postgres.sql_in(
        "app",
        f"CREATE TABLE {table} (x int); GRANT ALL ON {table} TO PUBLIC;"
        f" CREATE FUNCTION f{table}() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('work_mem', '7MB', false); RETURN NEW; END $$;"
        f" CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f{table}()",
    )
    return table


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_what_no_text_shows_is_found_by_always_asking(pooler: Pooler, hidden: str, extended: bool) -> None:
    pooler.run_with(default_pool_size=2, workers=1, session_check="always")
    insert = f"INSERT INTO {hidden} VALUES (1)"
    with pooler.client() as client, pooler.client() as other:
        for _ in range(3):
            if extended:
                assert client.ask(wire.extended(insert), wire.sync()).errors == []
            else:
                assert client.query(insert).errors == []
            other.begin()
            assert client.query("SHOW work_mem").value == "7MB"
            other.query("COMMIT")
            assert other.query("SHOW work_mem").value == "4MB"
            client.query("RESET work_mem")


def test_without_checks_what_is_said_in_so_many_words_still_counts(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, workers=1, session_check="off")
    with pooler.client() as client, pooler.client() as other:
        client.query("SET work_mem = '7MB'")
        assert other.query("SHOW work_mem").value == "4MB"
        assert client.query("SHOW work_mem").value == "7MB"
        client.query("DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); END $$")
        client.query("SELECT pg_advisory_lock(2)")
        pooler.wait_for_log("pin_advisory_lock")


def test_a_server_that_is_already_right_is_preferred(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, workers=1, server_check_delay=30)
    with pooler.client() as tuned, pooler.client() as plain:
        tuned.begin()
        plain.begin()
        pids = [client.query(PID).value for client in (tuned, plain)]
        plain.query("COMMIT")
        tuned.query("SET work_mem = '7MB'")
        tuned.query("COMMIT")
        pooler.wait_for_pool(sv_idle=2)
        for _ in range(4):
            assert [client.query(PID).value for client in (tuned, plain)] == pids
        assert [client.query("SHOW work_mem").value for client in (tuned, plain)] == ["7MB", "4MB"]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_more_settings_than_can_follow_are_refused(one_server: Pooler, extended: bool) -> None:
    with one_server.client() as client, one_server.client() as other:
        for part in range(3):
            settings = [f"SET app.s{part * 90 + number} = 'x'" for number in range(90)]
            if extended:
                for text in settings:
                    client.send(wire.extended(text))
                client.send(wire.sync())
            else:
                client.send(wire.query("; ".join(settings)))
        error = client.read_to_end().errors[-1]
        assert (error.sqlstate, error.fields["S"]) == ("54000", "FATAL")
        assert "256" in error.fields["M"]
        assert other.query("SELECT current_setting('app.s0', true)").value in (None, "")
    one_server.wait_until_idle()


def test_a_value_too_large_to_follow_is_refused(one_server: Pooler) -> None:
    with one_server.client() as client, one_server.client() as other:
        client.send(wire.query(f"SET app.large = '{'x' * 100_000}'"))
        assert client.read_to_end().errors[-1].sqlstate == "54000"
        assert other.query("SHOW work_mem").value == "4MB"


def test_a_question_that_has_no_time_is_asked_again(one_server: Pooler) -> None:
    """The client's own statement_timeout holds for what is asked, too."""
    one_server.run_with(server_check_delay=30)
    with one_server.client() as client, one_server.client() as other:
        client.query("SET statement_timeout = '1ms'")
        for _ in range(5):
            client.query("SET work_mem = '7MB'")
        client.query("SET statement_timeout = 0")
        assert client.query("SHOW work_mem").value in ("4MB", "7MB")  # each SET had a millisecond, too
        assert other.query("SHOW statement_timeout").value == "0"
    one_server.wait_until_idle()


def run_everything(client: Client, statements: list[str]) -> None:
    for statement in statements:
        assert client.query(statement).errors == []


def test_a_session_of_its_own_is_not_asked_about(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(pool_mode="session", default_pool_size=1, workers=1)
    with pooler.client() as client:
        run_everything(client, [begin for begin, *_ in PINS.values() if "mine" not in begin] + ["SET work_mem = '7MB'"])
        assert client.query("SHOW work_mem").value == "7MB"
        assert not [event for event in pooler.events if event.get("reason", "").startswith("pin_")]
    with pooler.client() as other:
        assert other.query("SHOW work_mem").value == "4MB"


@pytest.mark.parametrize("reset", ["RESET work_mem", "SET work_mem TO DEFAULT"])
def test_what_has_been_reset_is_nobodys_own(one_server: Pooler, reset: str) -> None:
    """It goes by the server's configuration again, also where that changes."""
    with one_server.client() as client, one_server.client() as other:
        client.query("SET work_mem = '7MB'")
        client.query(reset)
        other.query("SET work_mem = '8MB'")
        look = "SELECT setting, source = 'session' FROM pg_settings WHERE name = 'work_mem'"
        assert client.query(look).rows == [("4096", "f")]
