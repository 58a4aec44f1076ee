"""What operators can do about clients that keep their servers: allow it, be told, refuse it, bound it, and look."""

import threading

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.postgres import Postgres
from tests.kit.wire import Replies

pytestmark = pytest.mark.usefixtures("paranoid")

TEMP = "CREATE TEMP TABLE mine (x int)"

#: What a text shows before it is run, by the reason's name in `pin`.
TOLD_BEFORE = {
    TEMP: "temporary_object",
    "CREATE OR REPLACE LOCAL TEMPORARY VIEW v AS SELECT 1": "temporary_object",
    "SELECT 1 AS a INTO TEMP mine": "temporary_object",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1": "holdable_cursor",
    "SELECT pg_advisory_lock(77)": "advisory_lock",
    "LOAD 'plpgsql'": "load",
    "SELECT setseed(0.5)": "random_seed",
    "PREPARE a AS SELECT 1; PREPARE b AS SELECT 2": "named_statement",
    "SELECT 'lost'; CREATE TEMP TABLE mine (x int)": "temporary_object",
}
#: What leaves nothing, though it looks alike.
HARMLESS = [
    "BEGIN; CREATE TEMP TABLE t (x int) ON COMMIT DROP; COMMIT",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_advisory_unlock_all()",
    "LISTEN mine",
    "UNLISTEN *",
    "CREATE TABLE IF NOT EXISTS lasting (x int)",
    "DROP TABLE IF EXISTS lasting",
    "SET work_mem = '7MB'",
    "PREPARE a AS SELECT 1",
]
#: Fails when it is run.
BROKEN = "CREATE TEMP TABLE broken (x no_such_type)"
#: What it does is hidden from the look at its text.
HIDDEN = "DO $$ BEGIN CREATE TEMP TABLE mine (x int); END $$"


@pytest.fixture
def one_server(pooler: Pooler) -> Pooler:
    pooler.settings |= {"default_pool_size": 1, "workers": 1}
    return pooler


def by_simple_query(client: Client, text: str) -> Replies:
    return client.query(text)


def by_unnamed_statement(client: Client, text: str) -> Replies:
    return client.ask(wire.extended(text), wire.sync())


def by_named_statement(client: Client, text: str) -> Replies:
    client.ask(wire.parse(text, "s"), wire.sync())
    return client.ask(wire.bind(statement="s"), wire.execute(), wire.sync())


WAYS = {"simple": by_simple_query, "unnamed": by_unnamed_statement, "named": by_named_statement}


# ---- pin_timeout


def test_a_client_that_keeps_its_server_idle_is_sent_away(one_server: Pooler) -> None:
    one_server.run_with(pin_timeout="300ms")
    with one_server.client() as client, one_server.client() as other:
        client.query(TEMP)
        error = client.read_to_end().errors[-1]
        assert (error.sqlstate, error.fields["S"]) == ("57P05", "FATAL")
        assert "pin_timeout" in error.fields["M"]
        assert "temporary table" in error.fields["M"]
        assert other.query("SELECT to_regclass('pg_temp.mine')").value is None
    one_server.wait_until_idle()
    one_server.wait_for_log("pin_timeout")


def test_the_time_of_a_kept_server_begins_anew_with_each_transaction(one_server: Pooler) -> None:
    one_server.run_with(pin_timeout="1s")
    with one_server.client() as client:
        client.query(TEMP)
        for _ in range(4):
            assert client.query("SELECT pg_sleep(0.4)").errors == []
        client.query("BEGIN; SELECT 1")
        assert client.query("SELECT pg_sleep(1.3)").errors == []  # in a transaction, and busy
        client.query("COMMIT; DROP TABLE mine")
        one_server.wait_until_idle()
        assert client.query("SELECT pg_sleep(1.3)").errors == []
    assert not one_server.logged("pin_timeout")


def test_idle_in_a_transaction_is_not_what_pin_timeout_is_about(one_server: Pooler) -> None:
    one_server.run_with(pin_timeout="200ms")
    with one_server.client() as client, one_server.client() as pinned:
        client.begin()
        client.query(TEMP)
        pinned.send(wire.query("SELECT 'waits'"))
        one_server.wait_for_pool(cl_waiting=1)
        assert client.query("SELECT 'still here'").value == "still here"
        client.query("ROLLBACK")
        assert pinned.read_until("Z").value == "waits"
        assert client.query("SELECT 'and here'").value == "and here"


@pytest.mark.parametrize("table", ["database", "user", "user before database"])
def test_pin_timeout_can_be_a_databases_or_a_users(one_server: Pooler, table: str) -> None:
    if table != "user":
        one_server.databases["app"]["pin_timeout"] = "1h" if table == "user before database" else "200ms"
    if table != "database":
        one_server.users["alice"] = {"pin_timeout": "200ms"}
    one_server.run()
    with one_server.client() as client:
        client.query(TEMP)
        assert client.read_to_end().errors[-1].sqlstate == "57P05"


def test_a_reload_puts_pin_timeout_on_who_is_there(one_server: Pooler) -> None:
    one_server.run()
    with one_server.client() as client:
        client.query(TEMP)
        one_server.reload_with(pin_timeout="100ms")
        assert client.read_to_end().errors[-1].sqlstate == "57P05"


def test_a_session_of_its_own_has_no_pin_timeout(one_server: Pooler) -> None:
    one_server.run_with(pin_timeout="50ms", pool_mode="session", pin="deny", max_pinned="0%")
    with one_server.client() as client:
        assert client.query(TEMP).errors == []
        assert client.query("SELECT pg_sleep(0.3)").errors == []
        assert client.query("SELECT count(*) FROM mine").value == "0"


# ---- pin = warn


def test_a_warning_is_given_once_for_each_pin(one_server: Pooler) -> None:
    one_server.run_with(pin="warn")
    with one_server.client(application_name="reports") as client:
        assert client.query(TEMP).errors == []
        (notice,) = client.read_until("N").notices
        assert (notice.sqlstate, notice.fields["S"]) == ("01000", "WARNING")
        assert "temporary table" in notice.fields["M"]
        assert client.query("SELECT 'secret' FROM mine").notices == []
        client.query("SELECT pg_advisory_lock(1)")
        assert "advisory lock" in client.read_until("N")[-1].fields["M"]
        client.query("DROP TABLE mine")
        client.query(TEMP)
        assert client.read_until("N").notices
    first, *_ = one_server.wait_for_log("pin_temporary_object", count=2)
    assert (first["level"], first["statement"]) == ("warning", TEMP)
    assert first["client"].startswith("127.0.0.1:")


def test_the_log_names_the_statement_without_its_values(one_server: Pooler) -> None:
    one_server.run()
    with one_server.client() as client:
        client.query("SELECT 'secret', pg_advisory_lock(4711), $$also secret$$ -- and this")
        (line,) = one_server.wait_for_log("pin_advisory_lock")
    assert (line["level"], line["statement"]) == ("info", "SELECT ?, pg_advisory_lock(?), ?")
    assert "secret" not in one_server.log_text


@pytest.mark.parametrize("way", WAYS)
def test_the_statement_to_blame_is_found(one_server: Pooler, way: str) -> None:
    one_server.run()
    with one_server.client() as client:
        client.query("BEGIN")
        client.query("SELECT current_setting('work_mem')")
        WAYS[way](client, TEMP)
        client.query("DO $$ BEGIN END $$")
        client.query("COMMIT")
        (line,) = one_server.wait_for_log("pin_temporary_object")
        assert line["statement"] == TEMP


# ---- pin = deny


@pytest.mark.parametrize(
    "text, way", [(text, way) for text in TOLD_BEFORE for way in WAYS if way == "simple" or ";" not in text]
)
def test_what_is_denied_is_not_run(one_server: Pooler, text: str, way: str) -> None:
    one_server.run_with(pin=f"allow, {TOLD_BEFORE[text]}=deny")
    with one_server.client(user="postgres") as client, one_server.client(user="postgres") as other:
        pid = client.query("SELECT pg_backend_pid()").value
        replies = WAYS[way](client, text)
        assert (replies.error.sqlstate, replies.error.fields["S"], replies.statuses) == ("0A000", "ERROR", "I")
        assert "pin denies" in replies.error.fields["M"]
        assert replies.rows == []
        assert client.query("SELECT 1").value == "1"
        assert other.query("SELECT pg_backend_pid()").value == pid
    (line,) = one_server.wait_for_log("pin_denied")
    assert line["statement"]
    assert line["user"] == "postgres"


@pytest.mark.parametrize("way", WAYS)
def test_a_denied_statement_fails_its_transaction(one_server: Pooler, way: str) -> None:
    one_server.run_with(pin="deny")
    with one_server.client() as client:
        client.query("BEGIN")  # put off: it comes with what is denied
        replies = WAYS[way](client, TEMP)
        assert (replies.error.sqlstate, replies.statuses) == ("0A000", "E")
        assert WAYS[way](client, "SELECT 2").errors[0].sqlstate in ("25P02", "26000")
        assert client.query("COMMIT").command_tags == ["ROLLBACK"]
        assert WAYS[way](client, "SELECT 1").errors == [] or way == "named"


def test_a_denied_statement_takes_the_rest_of_its_pipeline_with_it(one_server: Pooler) -> None:
    one_server.run_with(pin="deny")
    with one_server.client() as client:
        run = [wire.extended("SELECT 1"), wire.extended(TEMP), wire.extended("SELECT 3"), wire.sync()]
        client.send(*run, wire.extended("SELECT 4"), wire.sync())
        replies = client.read_ready(2)
        assert replies.rows == [("1",), ("4",)]
        assert (replies.error.sqlstate, replies.statuses) == ("0A000", "II")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_does_not_pin_is_not_denied(one_server: Pooler, text: str) -> None:
    one_server.run_with(pin="deny")
    with one_server.client(user="postgres") as client:
        assert client.query(text).errors == []
        assert client.query("SELECT 1").value == "1"
    assert not one_server.logged("pin_denied")


def test_what_no_text_shows_is_found_afterwards(one_server: Pooler) -> None:
    one_server.run_with(pin="deny")
    with one_server.client() as client, one_server.client() as other:
        client.send(wire.query(HIDDEN))
        replies = client.read_to_end()
        assert replies.command_tags == ["DO"]
        assert (replies.error.sqlstate, replies.error.fields["S"]) == ("0A000", "FATAL")
        assert "temporary table" in replies.error.fields["M"]
        assert other.query("SELECT to_regclass('pg_temp.mine')").value is None
    one_server.wait_until_idle()
    one_server.wait_for_log("pin_denied_late")
    assert not one_server.logged("pin_temporary_object")


def test_a_statement_that_cannot_follow_is_denied(one_server: Pooler) -> None:
    one_server.run_with(pin="deny", max_prepared_statements=0)
    with one_server.client() as client:
        replies = client.ask(wire.parse("SELECT 1", "s"), wire.bind(statement="s"), wire.execute(), wire.sync())
        assert (replies.error.sqlstate, replies.statuses) == ("0A000", "I")
        assert "named prepared statement" in replies.error.fields["M"]
        assert client.query("SELECT 1").value == "1"


def test_a_statement_prepared_by_sql_is_denied_when_it_is_run(one_server: Pooler) -> None:
    one_server.run_with(pin="deny")
    with one_server.client() as client:
        assert client.query("PREPARE taken AS SELECT pg_advisory_lock(5)").errors == []
        for _ in range(2):
            assert client.query("EXECUTE taken").error.sqlstate == "0A000"
            assert client.ask(wire.extended("EXECUTE taken"), wire.sync()).error.sqlstate == "0A000"
        assert client.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").value == "0"
        assert client.query("CREATE TEMP TABLE mine AS EXECUTE taken").error.sqlstate == "0A000"
        assert client.query("DEALLOCATE taken").errors == []


@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_a_statement_that_cannot_follow_may_be_parsed_in_a_failed_transaction(one_server: Pooler, policy: str) -> None:
    """Where PostgreSQL refuses most of them, and what it takes is known at the end."""
    one_server.run_with(pin=policy, max_prepared_statements=0)
    with one_server.client() as client:
        client.query("BEGIN")
        client.query("SELECT nonsense")
        assert client.ask(wire.parse("SELECT 1", "s"), wire.sync()).error.sqlstate == "25P02"
        assert client.ask(wire.extended("ROLLBACK"), wire.sync()).statuses == "I"
        assert client.query("SELECT 1").value == "1"
    one_server.wait_until_idle()


def test_numbers_of_sequences_are_forgotten_where_keeping_them_is_denied(one_server: Pooler) -> None:
    one_server.run_with(pin="allow, sequence=deny", session_sequences="pin")
    with one_server.client() as client:
        client.query("CREATE SEQUENCE IF NOT EXISTS counted")
        assert client.query("BEGIN; SELECT nextval('counted'); SELECT currval('counted'); COMMIT").errors == []
        error = client.query("SELECT currval('counted')").error
        assert error.sqlstate == "0A000"
        assert "numbers of sequences" in error.fields["M"]
    assert not one_server.logged("pin_sequence")


def test_a_users_rule_is_before_the_databases(one_server: Pooler) -> None:
    one_server.databases["app"]["pin"] = "deny"
    one_server.users["alice"] = {"pin": "allow"}
    one_server.run_with(pin="deny")
    with one_server.client() as client, one_server.client(user="bob") as other:
        assert client.query(TEMP).errors == []
        assert other.query(TEMP).error.sqlstate == "0A000"


def test_a_reload_denies_what_comes_and_leaves_what_is(one_server: Pooler) -> None:
    one_server.run()
    with one_server.client() as client:
        client.query(TEMP)
        one_server.reload_with(pin="deny")
        assert client.query("SELECT count(*) FROM mine").value == "0"
        assert client.query("SELECT pg_advisory_lock(1)").error.sqlstate == "0A000"
        assert client.query("SELECT count(*) FROM mine").value == "0"


# ---- max_pinned


def once_there_is_a_share(client: Client, text: str) -> Replies:
    """A share goes back when the server has been asked, which is a moment after the answer to what gave it up."""

    def replies() -> Replies | None:
        found = client.query(text)
        return None if found.errors and found.error.sqlstate == "53300" else found

    return wait_until(replies, f"{text!r} to be let through") or Replies()


def test_no_more_servers_are_kept_than_max_pinned_allows(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=4, max_pinned="50%", workers=2)
    clients = [pooler.client() for _ in range(4)]
    replies = [client.query(TEMP) for client in clients]
    assert [bool(reply.errors) for reply in replies] == [False, False, True, True]
    error = replies[-1].error
    assert (error.sqlstate, error.fields["S"]) == ("53300", "ERROR")
    assert "max_pinned" in error.fields["M"]
    assert "2" in error.fields["M"]
    assert "max_pinned" in error.fields["H"]
    assert clients[3].query("SELECT 'served'").value == "served"
    assert clients[0].query("SELECT pg_advisory_lock(1)").errors == []  # its server is kept already
    clients[1].query("DROP TABLE mine")
    once_there_is_a_share(clients[3], TEMP)
    clients[0].vanish()
    once_there_is_a_share(clients[2], TEMP)
    for client in clients:
        client.close()
    pooler.wait_until_idle()


def test_a_share_that_was_not_used_goes_back(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, max_pinned="50%", workers=1)
    with pooler.client() as client, pooler.client() as other:
        client.query("BEGIN")
        client.query(TEMP)
        assert other.query("SELECT pg_advisory_lock(1)").error.sqlstate == "53300"
        client.query("ROLLBACK")
        once_there_is_a_share(other, "SELECT pg_advisory_lock(1)")
        assert client.query(BROKEN).error.sqlstate == "53300"
        other.query("SELECT pg_advisory_unlock(1)")
        assert once_there_is_a_share(client, BROKEN).error.sqlstate == "42704"
        once_there_is_a_share(other, "SELECT pg_advisory_lock(1)")


def test_who_pins_too_much_without_a_word_has_to_go(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, max_pinned="50%", workers=1)
    with pooler.client() as client, pooler.client() as other, pooler.client() as third:
        client.query(TEMP)
        other.send(wire.query(HIDDEN))
        error = other.read_to_end().errors[-1]
        assert (error.sqlstate, error.fields["S"]) == ("53300", "FATAL")
        assert third.query("SELECT 'served'").value == "served"
        assert client.query("SELECT count(*) FROM mine").value == "0"


def test_the_limit_holds_among_all_workers(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=10, max_pinned="30%", workers=4)
    clients = [pooler.client() for _ in range(10)]
    kept: list[bool] = []

    def pin(client: Client) -> None:
        kept.append(not client.query(TEMP).errors)

    threads = [threading.Thread(target=pin, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(kept) == 3
    wait_until(lambda: [int(row["now"]) for row in pooler.admin("SHOW PIN_REASONS")] == [3], "all pins to be known")


# ---- SHOW


def test_pins_are_shown_with_client_server_and_statement(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2)
    with pooler.client(application_name="reports") as client:
        client.query(TEMP)
        client.query("SELECT pg_advisory_lock(4711)")
        pooler.wait_for_log("pin_advisory_lock")
        rows = {row["reason"]: row for row in pooler.admin("SHOW PINS")}
        assert set(rows) == {"pin_temporary_object", "pin_advisory_lock"}
        assert rows["pin_temporary_object"]["statement"] == TEMP
        assert rows["pin_advisory_lock"]["statement"] == "SELECT pg_advisory_lock(?)"
        (own,) = [row for row in pooler.admin("SHOW CLIENTS") if row["application_name"] == "reports"]
        (server,) = [row for row in pooler.admin("SHOW SERVERS") if row["link"] == own["ptr"]]
        for row in rows.values():
            assert (row["client"], row["server"]) == (own["id"], server["id"])
            assert (row["database"], row["user"], row["application_name"]) == ("app", "alice", "reports")
            assert row["since"]
        client.query("DROP TABLE mine")
        client.query("SELECT pg_advisory_unlock(4711)")
        wait_until(lambda: pooler.admin("SHOW PINS") == [], "no pins")


def test_reasons_are_counted_by_database(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2)
    with pooler.client() as client, pooler.client(database="other") as other:
        for _ in range(3):
            client.query(TEMP)
            client.query("DROP TABLE mine")
        client.query(TEMP)
        other.query("SELECT setseed(0.5)")
        pooler.wait_for_log("pin_random_seed")
        wait_until(lambda: len(pooler.admin("SHOW PINS")) == 2, "both pins")
        rows = [(row["database"], row["reason"], *map(int, (row["begun"], row["ended"], row["now"])))
                for row in pooler.admin("SHOW PIN_REASONS")]  # fmt: skip
        assert rows == [("app", "pin_temporary_object", 4, 3, 1), ("other", "pin_random_seed", 1, 0, 1)]
        client.vanish()

        def gone() -> bool:
            return [int(row["now"]) for row in pooler.admin("SHOW PIN_REASONS")] == [0, 1]

        wait_until(gone, "the pin to end with its client")


def test_a_pin_ends_with_its_server(pooler: Pooler, postgres: Postgres) -> None:
    pooler.run_with(default_pool_size=2, max_pinned="50%", workers=1)
    with pooler.client() as client, pooler.client() as other:
        pid = client.query("SELECT pg_backend_pid()").value
        client.query(TEMP)
        postgres.sql(f"SELECT pg_terminate_backend({pid})")
        client.read_to_end()
        assert pooler.admin("SHOW PINS") == []
        assert other.query(TEMP).errors == []


def test_no_share_is_lost_however_pins_end(pooler: Pooler, postgres: Postgres) -> None:
    """Each way for a pin to end, and each way for it not to come about, gives its share back."""
    pooler.run_with(default_pool_size=4, max_pinned="50%", workers=2, pin_timeout="2s", server_check_delay=30)

    def leave_inside(client: Client) -> None:
        client.query("BEGIN")
        client.query(TEMP)
        client.vanish()

    def leave_unanswered(client: Client) -> None:
        client.send(wire.query(TEMP))
        client.vanish()

    def lose_the_server(client: Client) -> None:
        pid = client.query("SELECT pg_backend_pid()").value
        client.query(TEMP)
        postgres.sql(f"SELECT pg_terminate_backend({pid})")
        client.read_to_end()

    def be_cleaned(client: Client) -> None:
        client.query(TEMP)
        client.query("DISCARD ALL")
        client.close()

    def spoil(client: Client) -> None:
        client.query("SELECT setseed(0.5)")
        client.close()

    def fail(client: Client) -> None:
        client.query(BROKEN)
        client.ask(wire.extended(BROKEN), wire.extended(TEMP), wire.sync())
        client.reset()

    def go_too_far(client: Client) -> None:
        client.send(wire.query(HIDDEN))
        client.vanish()

    def stay_too_long(client: Client) -> None:
        once_there_is_a_share(client, TEMP)
        client.read_to_end()

    for way in (
        leave_inside,
        leave_unanswered,
        lose_the_server,
        be_cleaned,
        spoil,
        fail,
        go_too_far,
        stay_too_long,
    ) * 2:
        way(pooler.client())
    pooler.wait_until_idle()
    with pooler.client() as one, pooler.client() as two, pooler.client() as three:
        once_there_is_a_share(one, TEMP)
        once_there_is_a_share(two, TEMP)
        assert three.query(TEMP).error.sqlstate == "53300"
