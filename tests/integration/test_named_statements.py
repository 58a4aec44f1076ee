"""Prepared statements with names follow their client from server to server."""

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.pooler import Pooler
from tests.kit.wire import Replies

PID = "SELECT pg_backend_pid()"


class Elsewhere:
    """Sees that a client's next transaction runs on another server than its last one: the pool has two."""

    def __init__(self, pooler: Pooler) -> None:
        self.holder = pooler.client()
        self.holds = False

    def __call__(self) -> None:
        if self.holds:
            self.holder.query("COMMIT")
        self.holds = True
        # The server used last is taken first.
        self.holder.query(f"BEGIN; {PID}")


@pytest.fixture
def pooler_of_two(pooler: Pooler) -> Pooler:
    pooler.run_with(default_pool_size=2, workers=1)
    with pooler.client() as first, pooler.client() as second:  # both servers are open
        first.query(f"BEGIN; {PID}")
        second.query(f"BEGIN; {PID}")
    pooler.wait_for_pool(sv_idle=2)
    return pooler


@pytest.fixture
def client(pooler_of_two: Pooler) -> Client:
    return pooler_of_two.client()


@pytest.fixture
def elsewhere(pooler_of_two: Pooler, client: Client) -> Elsewhere:
    return Elsewhere(pooler_of_two)


def run(client: Client, name: str, *values: str) -> Replies:
    return client.ask(wire.bind(*values, statement=name), wire.describe_portal(), wire.execute(), wire.sync())


def test_a_statement_is_bound_on_a_server_that_has_never_seen_it(client: Client, elsewhere: Elsewhere) -> None:
    assert client.ask(wire.parse(f"{PID}, $1::int * 2", "twice"), wire.sync()).shape == "1 Z"
    pids = set()
    for number in range(6):
        replies = run(client, "twice", str(number))
        assert replies.shape == "2 T D C Z"
        pid, doubled = replies.rows[0]
        assert doubled == str(number * 2)
        pids.add(pid)
        elsewhere()
    assert len(pids) == 2


def test_a_statement_is_described_where_it_was_never_parsed(client: Client, elsewhere: Elsewhere) -> None:
    client.ask(wire.parse("SELECT $1::int", "s"), wire.sync())
    elsewhere()
    assert client.ask(wire.describe_statement("s"), wire.sync()).shape == "t T Z"


def test_a_name_is_taken_wherever_the_client_goes(client: Client, elsewhere: Elsewhere) -> None:
    client.ask(wire.parse("SELECT 1", "s"), wire.sync())
    for _ in range(3):
        elsewhere()
        error = client.ask(wire.parse("SELECT 2", "s"), wire.sync()).error
        assert (error.sqlstate, error.fields["M"]) == ("42P05", 'prepared statement "s" already exists')
    assert run(client, "s").value == "1"


def test_two_clients_with_one_name_have_two_statements(pooler_of_two: Pooler, client: Client) -> None:
    with pooler_of_two.client() as other:
        client.ask(wire.parse("SELECT 'mine'", "s"), wire.sync())
        other.ask(wire.parse("SELECT 'theirs'", "s"), wire.sync())
        assert (run(client, "s").value, run(other, "s").value) == ("mine", "theirs")
        assert other.ask(wire.close_statement("s"), wire.sync()).shape == "3 Z"
        assert (run(client, "s").value, run(other, "s").error.sqlstate) == ("mine", "26000")


def test_unknown_names_are_unknown_by_their_own_name(client: Client, elsewhere: Elsewhere) -> None:
    for name in ("nowhere", "howdah_1", "howdah_-", 'a "quoted" name'):
        error = run(client, name).error
        assert (error.sqlstate, error.fields["M"]) == ("26000", f'prepared statement "{name}" does not exist')


def test_a_failed_parse_leaves_no_trace(client: Client, elsewhere: Elsewhere) -> None:
    for _ in range(2):
        assert client.ask(wire.parse("SELECT nothing_of_this_name", "s"), wire.sync()).error.sqlstate == "42703"
        assert run(client, "s").error.sqlstate == "26000"
        elsewhere()
    assert client.ask(wire.parse("SELECT 'now'", "s"), wire.sync()).shape == "1 Z"
    assert run(client, "s").value == "now"


def test_what_an_error_skips_has_not_happened(client: Client) -> None:
    client.ask(wire.parse("SELECT 'kept'", "kept"), wire.sync())
    replies = client.ask(
        wire.bind(statement="nowhere"), wire.parse("SELECT 1", "new"), wire.close_statement("kept"), wire.sync()
    )
    assert replies.shape == "E Z"
    assert (run(client, "kept").value, run(client, "new").error.sqlstate) == ("kept", "26000")


def test_in_a_pipeline_what_depends_on_a_parse_waits_for_it(client: Client) -> None:
    client.send(
        wire.parse("SELEKT", "s"), wire.sync(), wire.bind(statement="s"), wire.execute(), wire.sync(),
        wire.parse("SELECT 'good'", "s"), wire.sync(), wire.bind(statement="s"), wire.execute(), wire.sync(),
        wire.close_statement("s"), wire.sync(), wire.bind(statement="s"), wire.sync(),
    )  # fmt: skip
    replies = client.read_ready(6)
    assert replies.shape == "E Z E Z 1 Z 2 D C Z 3 Z E Z"
    assert [error.sqlstate for error in replies.errors] == ["42601", "26000", "26000"]


@pytest.mark.parametrize("command", ["DEALLOCATE ALL", "DISCARD ALL", "/* a */ deallocate ALL; SELECT 1"])
def test_dropping_all_drops_the_clients_names(client: Client, elsewhere: Elsewhere, command: str) -> None:
    client.ask(wire.parse("SELECT 1", "s"), wire.sync())
    client.send(wire.query(command), wire.bind(statement="s"), wire.sync(), wire.parse("SELECT 2", "s"), wire.sync())
    replies = client.read_ready(3)
    assert (replies.error.sqlstate, replies.shape.split()[-4:]) == ("26000", ["E", "Z", "1", "Z"])
    elsewhere()
    assert run(client, "s").value == "2"


@pytest.mark.parametrize("command", ["DEALLOCATE s", "deallocate PREPARE S ;", '/* x */ DEALLOCATE "s"'])
@pytest.mark.parametrize("before", ["", "BEGIN", "BEGIN; SELECT 1"])
def test_sql_drops_what_the_protocol_has_prepared(
    client: Client, elsewhere: Elsewhere, command: str, before: str
) -> None:
    client.ask(wire.parse("SELECT 1", "s"), wire.sync())
    elsewhere()
    if before:
        client.query(before)
    replies = client.query(command)
    assert (replies.command_tags, replies.statuses) == (["DEALLOCATE"], "T" if before else "I")
    assert run(client, "s").error.sqlstate == "26000"
    client.query("ROLLBACK")
    assert client.query(command).error.sqlstate == "26000"
    assert client.ask(wire.parse("SELECT 2", "s"), wire.sync()).shape == "1 Z"


def test_sql_drops_in_the_middle_of_a_pipeline(client: Client) -> None:
    client.send(
        wire.parse("SELECT 'x'", "s"), wire.sync(), wire.query("DEALLOCATE s"), wire.parse("SELECT 'y'", "s"),
        wire.bind(statement="s"), wire.execute(), wire.sync(), wire.query("DEALLOCATE s"), wire.bind(statement="s"),
        wire.sync(),
    )  # fmt: skip
    replies = client.read_ready(5)
    assert replies.shape == "1 Z C Z 1 2 D C Z C Z E Z"


def test_in_a_failed_transaction_nothing_is_dropped(client: Client) -> None:
    client.ask(wire.parse("SELECT 'kept'", "s"), wire.sync())
    client.query("BEGIN; SELECT 1/0")
    assert client.query("DEALLOCATE s").error.sqlstate == "25P02"
    client.query("ROLLBACK")
    assert run(client, "s").value == "kept"


def test_what_is_parsed_behind_a_drop_of_all_is_there(client: Client) -> None:
    client.send(
        wire.query("DEALLOCATE ALL"),
        wire.parse("SELECT 'new'", "s"),
        wire.sync(),
        wire.bind(statement="s"),
        wire.sync(),
    )
    assert client.read_ready(3).shape == "C Z 1 Z 2 Z"


def test_what_one_client_drops_others_still_have(pooler_of_two: Pooler, client: Client, elsewhere: Elsewhere) -> None:
    client.ask(wire.parse("SELECT 'still here'", "s"), wire.sync())
    for _ in range(3):
        elsewhere()
        with pooler_of_two.client() as other:
            other.query("DEALLOCATE ALL")
        assert run(client, "s").value == "still here"


def test_what_a_function_drops_is_prepared_again(client: Client, elsewhere: Elsewhere) -> None:
    client.ask(wire.parse("SELECT 'again'", "s"), wire.sync())
    client.query("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
    assert run(client, "s").value == "again"


def test_the_least_recently_used_makes_room(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, max_prepared_statements=3, workers=1)
    with pooler.client() as client:
        for number in range(8):
            client.ask(wire.parse(f"SELECT {number}", f"s{number}"), wire.sync())
        for number in (0, 7, 3, 0, 5):
            assert run(client, f"s{number}").value == str(number)
            count = client.query("SELECT count(*) FROM pg_prepared_statements").value
            assert int(count or 0) <= 3


def test_the_console_counts_them(pooler_of_two: Pooler, client: Client, elsewhere: Elsewhere) -> None:
    client.ask(wire.parse("SELECT $1::text", "a"), wire.parse("SELECT 2", "b"), wire.sync())
    for _ in range(2):
        assert run(client, "a", "x").value == "x"
        elsewhere()
    assert run(client, "b").value == "2"
    (shown,) = [row for row in pooler_of_two.admin("SHOW CLIENTS") if row["prepared_statements"]]
    assert shown["prepared_statements"] == 2
    assert sorted(row["prepared_statements"] for row in pooler_of_two.admin("SHOW SERVERS")) == [2, 2]
    (totals,) = [row for row in pooler_of_two.admin("SHOW STATS_TOTALS") if row["database"] == "app"]
    counted = tuple(totals[f"{what}_count"] for what in ("client_parse", "server_parse", "bind"))
    assert counted == (2, 4, 3)


def test_what_was_to_make_room_and_did_not_is_dropped_later(pooler: Pooler) -> None:
    """An error keeps PostgreSQL from the Close of what falls off the shelf."""
    pooler.run_with(default_pool_size=1, max_prepared_statements=2)
    with pooler.client() as client:
        for number in range(10):
            client.ask(wire.parse(f"SELECT {number}", f"s{number}"), wire.sync())
            failing = wire.parse("SELECT 1/0") + wire.bind() + wire.execute()
            client.ask(failing, wire.parse(f"SELECT -{number}", f"t{number}"), wire.sync())
        assert int(client.query("SELECT count(*) FROM pg_prepared_statements").value or "") <= 2
        assert run(client, "s3").value == "3"


def test_what_another_client_has_prepared_by_sql_is_not_there(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client, pooler.client() as other:
        client.query("PREPARE s AS SELECT 'a secret'")
        assert run(other, "s").error.sqlstate == "26000"
        assert other.ask(wire.close_statement("s"), wire.sync()).shape == "3 Z"
        other.query("BEGIN; PREPARE t AS SELECT 'its own'")
        assert run(other, "t").value == "its own"
        other.query("ROLLBACK; DEALLOCATE t")
        client.query("DEALLOCATE s")


def test_a_name_is_taken_also_where_it_keeps_its_server(client: Client) -> None:
    client.ask(wire.parse("SELECT 'old'", "s"), wire.sync())
    client.ask(wire.parse(f"SELECT '{'x' * 1_100_000}'", "large"), wire.sync())
    assert client.ask(wire.parse("SELECT 'new'", "s"), wire.sync()).error.sqlstate == "42P05"
    assert run(client, "s").value == "old"


@pytest.mark.parametrize("size", [10, 100_000])
def test_idle_clients_with_an_unnamed_statement_keep_no_server(pooler: Pooler, size: int) -> None:
    pooler.run_with(default_pool_size=1, query_wait_timeout=5)
    failing, text = wire.extended("SELECT 1/0"), f"SELECT length('{'x' * size}')"
    with pooler.client() as client, pooler.client() as other:
        for first in (b"", failing):
            client.ask(first, wire.extended(text), wire.sync())
            assert other.query("SELECT 1").value == "1"
        client.ask(wire.extended(text), wire.sync())
        other.query("SELECT 1")
        assert client.ask(wire.bind(), wire.execute(), wire.sync()).value == str(size)


def test_without_tracking_a_named_statement_pins(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=2, max_prepared_statements=0)
    with pooler.client() as client:
        client.ask(wire.parse("SELECT 1", "s"), wire.sync())
        assert pooler.wait_for_log("pin_named_statement")
        assert client.query("SELECT name FROM pg_prepared_statements").value == "s"


def test_a_statement_too_large_to_follow_pins(client: Client, pooler_of_two: Pooler) -> None:
    client.ask(wire.parse(f"SELECT '{'x' * 1_100_000}'", "large"), wire.sync())
    assert pooler_of_two.wait_for_log("pin_named_statement")
    assert len(run(client, "large").value or "") == 1_100_000
    assert client.ask(wire.parse("SELECT 1", "large"), wire.sync()).error.sqlstate == "42P05"


@pytest.mark.parametrize("size", [60_000, 130_000, 1_000_000])
def test_large_statements_follow(client: Client, elsewhere: Elsewhere, size: int) -> None:
    """As drivers make them that insert many rows at once."""
    text = f"SELECT {PID[7:]}, length('{'x' * size}') + $1"
    parsed = wire.parse(text, "large") + wire.sync()
    for piece in range(0, len(parsed), 50_000):
        client.send(parsed[piece : piece + 50_000])
    assert client.read_until("Z").shape == "1 Z"
    pids = set()
    for number in range(4):
        pid, length = run(client, "large", str(number)).rows[0]
        pids.add(pid)
        assert length == str(size + number)
        assert client.ask(wire.close_statement("large"), wire.parse(text, "large"), wire.sync()).shape == "3 1 Z"
        elsewhere()
    assert len(pids) == 2


def test_a_large_statement_may_wait_for_a_server(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as holder, pooler.client() as waiting:
        holder.begin()
        text = f"SELECT length('{'x' * 500_000}')"
        waiting.send(
            wire.parse(text, "s"), wire.bind(statement="s"), wire.execute(), wire.sync(), wire.query("SELECT 7")
        )
        pooler.wait_for_pool(cl_waiting=1)
        holder.query("COMMIT")
        assert waiting.read_until("Z").rows == [("500000",)]
        assert waiting.read_until("Z").value == "7"


def test_a_change_of_the_result_type_is_not_seen(client: Client, elsewhere: Elsewhere, table: str) -> None:
    client.query(f"CREATE TABLE {table} (n int); INSERT INTO {table} VALUES (7)")
    client.ask(wire.parse(f"SELECT n FROM {table}", "s"), wire.sync())
    for type_, value in (("text", "7"), ("numeric USING n::numeric", "7"), ("numeric(10, 2)", "7.00")):
        run(client, "s")
        elsewhere()
        run(client, "s")
        client.query(f"ALTER TABLE {table} ALTER n TYPE {type_}")
        replies = run(client, "s")
        assert (replies.shape, replies.value) == ("2 T D C Z", value)
    assert run(client, "s").shape == "2 T D C Z"


def test_in_a_transaction_a_change_of_the_result_type_is_told_once(client: Client, table: str) -> None:
    client.query(f"CREATE TABLE {table} (n int)")
    client.ask(wire.parse(f"SELECT n FROM {table}", "s"), wire.sync())
    run(client, "s")
    client.query(f"BEGIN; ALTER TABLE {table} ALTER n TYPE text")
    assert run(client, "s").error.sqlstate == "0A000"
    client.query("ROLLBACK")
    client.query(f"ALTER TABLE {table} ALTER n TYPE text")
    assert run(client, "s").shape == "2 T C Z"


def test_names_longer_than_postgresql_compares(client: Client) -> None:
    client.ask(wire.parse("SELECT 'long'", "n" * 70), wire.sync())
    assert run(client, "n" * 63).value == "long"
    for name in ("n" * 65, "n" * 63 + "ü"):
        for error in (
            client.ask(wire.parse("SELECT 1", name), wire.sync()).error,
            client.ask(wire.bind("one", "too many", statement=name), wire.sync()).error,
        ):
            assert f'prepared statement "{name}"' in error.fields["M"]


def test_fewer_at_a_time_after_a_reload(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client:
        for number in range(30):
            client.ask(wire.parse(f"SELECT {number}", f"s{number}"), wire.sync())
        pooler.reload_with(max_prepared_statements=10)
        for number in range(30, 55):
            client.ask(wire.parse(f"SELECT {number}", f"s{number}"), wire.sync())
        assert [run(client, f"s{number}").value for number in (0, 54)] == ["0", "54"]
        assert client.query("SELECT count(*) FROM pg_prepared_statements").value == "10"


def test_statements_behind_discard_all_in_one_pipeline(pooler: Pooler) -> None:
    pooler.run_with(default_pool_size=1, max_prepared_statements=1)
    with pooler.client() as client:
        client.send(wire.query("DISCARD ALL"), wire.parse("SELECT 1", "a"), wire.parse("SELECT 2", "b"), wire.sync())
        assert client.read_ready(2).shape == "C Z 1 1 Z"
        client.query("BEGIN; SELECT 1")
        assert [run(client, name).value for name in "ab"] == ["1", "2"]


def test_what_a_function_of_another_client_drops_is_not_missed(pooler: Pooler) -> None:
    """Also where no description is asked for."""
    pooler.run_with(default_pool_size=1)
    with pooler.client() as client, pooler.client() as neighbour:
        client.ask(wire.parse("SELECT 42", "s"), wire.describe_statement("s"), wire.sync())
        neighbour.query("DO $$BEGIN EXECUTE 'DEALLOCATE ALL'; END$$")
        assert client.ask(wire.bind(statement="s"), wire.execute(), wire.sync()).shape == "2 D C Z"


def test_a_name_without_end_is_refused(client: Client) -> None:
    """Rather than sent in part, where a large text has to go in front of it."""
    client.ask(wire.parse("SELECT 1", "s"), wire.sync())
    client.send(wire.bind(statement="s", portal="p" * 122_000), wire.sync())
    assert client.read_to_end()[-1].sqlstate == "08P01"
