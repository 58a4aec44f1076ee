"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush and Sync in every order that is allowed."""

import socket

import pytest

from tests.kit import wire
from tests.kit.fix_pooler import Server

INT4, TEXT = 23, 25


def test_one_unnamed_statement(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SELECT $1::int + 1", "41"), wire.sync())
    assert (replies.shape, replies.rows, replies.statuses) == ("1 2 T D C Z", [("42",)], "I")


def test_parameters_are_described(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.parse("SELECT $1, $2::text", "", [INT4]), wire.describe_statement(), wire.sync())
    assert replies.shape == "1 t T Z"
    assert replies[1].body == b"\0\2" + INT4.to_bytes(4) + TEXT.to_bytes(4)


def test_null_and_empty_values_differ(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SELECT $1::text, $2::text", None, ""), wire.sync())
    assert (replies.shape, replies.rows) == ("1 2 T D C Z", [(None, "")])


def test_a_statement_without_rows(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SET LOCAL work_mem = '5MB'"), wire.sync())
    assert (replies.shape, replies.command_tags) == ("1 2 n C Z", ["SET"])


def test_an_empty_statement(server: Server) -> None:
    with server.client() as client:
        assert client.ask(wire.extended(""), wire.sync()).shape == "1 2 n I Z"


def test_sync_alone(server: Server) -> None:
    with server.client() as client:
        for _ in range(3):
            replies = client.ask(wire.sync())
            assert (replies.shape, replies.statuses) == ("Z", "I")
        client.send(wire.sync(), wire.sync(), wire.sync())
        assert client.read_ready(3).shape == "Z Z Z"


def test_flush_brings_what_is_ready_without_ending_anything(server: Server) -> None:
    with server.client() as client:
        client.send(wire.parse("SELECT 5"), wire.flush())
        assert client.read().tag == "1"
        client.send(wire.bind(), wire.describe_portal(), wire.flush())
        assert client.read_until("T").shape == "2 T"
        client.send(wire.execute(), wire.flush())
        assert client.read_until("C").rows == [("5",)]
        assert client.ask(wire.sync()).shape == "Z"


def test_an_error_skips_to_sync(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(
            wire.extended("SELECT 1 / (n - 1) FROM generate_series(1, 1) n"), wire.extended("SELECT 2"), wire.sync()
        )
        assert (replies.shape, replies.error.sqlstate, replies.statuses) == ("1 2 T E Z", "22012", "I")
        assert client.ask(wire.extended("SELECT 3"), wire.sync()).value == "3"


def test_a_failing_parse_skips_to_sync(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SELEKT"), wire.extended("SELECT 2"), wire.flush(), wire.sync())
    assert (replies.shape, replies.error.sqlstate) == ("E Z", "42601")


def test_a_query_between_error_and_sync_is_skipped_too(server: Server) -> None:
    with server.client() as client:
        client.send(wire.extended("SELEKT"), wire.query("SELECT 'skipped'"), wire.sync(), wire.query("SELECT 'seen'"))
        replies = client.read_ready(2)
    assert replies.shape == "E Z T D C Z"
    assert replies.value == "seen"


def test_a_pipeline_of_many_syncs(server: Server) -> None:
    with server.client() as client:
        client.send(*(wire.extended("SELECT $1::int", str(n)) + wire.sync() for n in range(300)))
        replies = client.read_ready(300)
    assert [int(row[0] or "") for row in replies.rows] == list(range(300))
    assert replies.statuses == "I" * 300


def test_in_a_pipeline_an_error_ends_only_its_own_part(server: Server) -> None:
    texts = ["SELECT 1", "SELECT 1/0", "SELEKT", "SELECT 4"]
    with server.client() as client:
        client.send(*(wire.extended(text) + wire.sync() for text in texts))
        replies = client.read_ready(4)
    assert [error.sqlstate for error in replies.errors] == ["22012", "42601"]
    assert replies.rows == [("1",), ("4",)]


def test_statements_before_one_sync_are_one_transaction(server: Server, table: str) -> None:
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int)")
        client.ask(wire.extended(f"INSERT INTO {table} VALUES (1)"), wire.extended("SELECT 1/0"), wire.sync())
        assert client.query(f"SELECT count(*) FROM {table}").value == "0"


def test_a_transaction_in_a_pipeline(server: Server) -> None:
    texts = ["BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "BEGIN", "SELECT 1/0", "SELECT 3", "ROLLBACK"]
    with server.client() as client:
        client.send(*(wire.extended(text) + wire.sync() for text in texts))
        replies = client.read_ready(len(texts))
    assert replies.statuses == "TTIITEEI"
    assert replies.rows == [("1",), ("2",)]


def test_simple_and_extended_messages_mix(server: Server) -> None:
    with server.client() as client:
        client.send(
            wire.extended("SELECT 1"), wire.sync(), wire.query("SELECT 2"), wire.extended("SELECT 3"), wire.sync()
        )
        assert client.read_ready(3).rows == [("1",), ("2",), ("3",)]


def test_a_simple_query_behind_extended_messages_without_sync(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.extended("SELECT 1"), wire.query("SELECT 2"))
        assert (replies.shape, replies.rows) == ("1 2 T D C T D C Z", [("1",), ("2",)])
        # No Sync here: PostgreSQL 18.6 gets out of step with itself by it and fails the next statement with XX000.


def test_a_portal_is_fetched_in_parts(server: Server) -> None:
    series = wire.parse("SELECT generate_series(1, 5)") + wire.bind()
    with server.client() as client:
        replies = client.ask(series, wire.execute(limit=2), wire.execute(limit=2), wire.execute(limit=2), wire.sync())
    assert replies.shape == "1 2 D D s D D s D C Z"


def test_several_open_portals_in_a_transaction(server: Server) -> None:
    with server.client() as client:
        client.query("BEGIN")
        client.ask(
            wire.parse("SELECT generate_series(1, 3)"), wire.bind(portal="a"), wire.bind(portal="b"), wire.sync()
        )
        parts = [client.ask(wire.execute(portal, limit=2), wire.sync()).rows for portal in ("a", "b", "a")]
        assert parts == [[("1",), ("2",)], [("1",), ("2",)], [("3",)]]
        assert client.ask(wire.close_portal("a"), wire.close_portal("b"), wire.sync()).shape == "3 3 Z"
        client.query("COMMIT")


def test_a_named_statement_is_used_again(server: Server) -> None:
    with server.client() as client:
        assert client.ask(wire.parse("SELECT $1::int * 2", "twice"), wire.sync()).shape == "1 Z"
        for number in range(20):
            replies = client.ask(wire.bind(str(number), statement="twice"), wire.execute(), wire.sync())
            assert replies.value == str(number * 2)
        assert client.ask(wire.close_statement("twice"), wire.sync()).shape == "3 Z"


def test_a_named_statement_cannot_be_parsed_twice(server: Server) -> None:
    with server.client() as client:
        client.ask(wire.parse("SELECT 1", "taken"), wire.sync())
        assert client.ask(wire.parse("SELECT 2", "taken"), wire.sync()).error.sqlstate == "42P05"
        client.ask(wire.close_statement("taken"), wire.sync())


def test_unknown_names_are_errors_and_closing_them_is_none(server: Server) -> None:
    with server.client() as client:
        assert client.ask(wire.bind(statement="nowhere"), wire.sync()).error.sqlstate == "26000"
        assert client.ask(wire.execute("nowhere"), wire.sync()).error.sqlstate == "34000"
        assert client.ask(wire.close_statement("nowhere"), wire.close_portal("nowhere"), wire.sync()).shape == "3 3 Z"


def test_the_unnamed_statement_lives_on_over_a_sync(server: Server) -> None:
    with server.client() as client:
        client.ask(wire.parse("SELECT $1::int + 100"), wire.sync())
        for number in ("1", "2"):
            assert client.ask(wire.bind(number), wire.execute(), wire.sync()).value == str(100 + int(number))


def test_the_unnamed_statement_described_in_one_turn_and_bound_in_the_next(server: Server) -> None:
    with server.client() as client:
        assert client.ask(wire.parse("SELECT $1::int"), wire.describe_statement(), wire.sync()).shape == "1 t T Z"
        assert client.ask(wire.bind("8"), wire.execute(), wire.sync()).value == "8"
        client.query("SELECT 1")
        assert client.ask(wire.bind("9"), wire.execute(), wire.sync()).error.sqlstate == "26000"


def test_the_wrong_number_of_parameters(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.parse("SELECT $1::int"), wire.bind("1", "2"), wire.execute(), wire.sync())
        assert (replies.shape, replies.error.sqlstate) == ("1 E Z", "08P01")


def test_function_call(server: Server) -> None:
    with server.client() as client:
        int4pl = int(client.query("SELECT 'int4pl'::regproc::oid").value or "")
        replies = client.ask(wire.function_call(int4pl, (40).to_bytes(4), (2).to_bytes(4)))
    assert replies.shape == "V Z"
    assert replies[0].body == (4).to_bytes(4) + (42).to_bytes(4)


def test_function_call_that_fails(server: Server) -> None:
    with server.client() as client:
        int4div = int(client.query("SELECT 'int4div'::regproc::oid").value or "")
        replies = client.ask(wire.function_call(int4div, (1).to_bytes(4), (0).to_bytes(4)))
        assert (replies.shape, replies.error.sqlstate) == ("E Z", "22012")
        assert client.query("SELECT 1").value == "1"


def test_messages_that_arrive_byte_by_byte(server: Server) -> None:
    with server.client() as client:
        for byte in wire.extended("SELECT $1::text", "in pieces") + wire.sync():
            client.send(bytes([byte]))
        assert client.read_until("Z").value == "in pieces"


def test_a_goodbye_behind_messages_without_a_sync_is_taken_at_once(server: Server) -> None:
    with server.client() as client:
        client.send(wire.extended("SELECT 1"), wire.terminate())
        assert client.read_to_end(within=3) == []


@pytest.mark.parametrize(
    "first",
    [
        wire.parse("SELECT 1", "s") + wire.sync() + wire.bind(statement="s") + wire.execute(),
        wire.query("SET work_mem = '5MB'"),
    ],
    ids=["a statement", "a setting"],
)
def test_all_that_came_before_a_goodbye_is_done(server: Server, table: str, first: bytes) -> None:
    """Also where it has to wait for the answers to what came first."""
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int)")
    for _ in range(10):
        with server.client() as client:
            client.send(first, wire.sync(), wire.query(f"INSERT INTO {table} VALUES (7)"), wire.terminate())
            client.socket.shutdown(socket.SHUT_WR)
            assert client.read_to_end().shape.endswith("C Z")
    with server.client() as client:
        assert client.query(f"SELECT count(*) FROM {table}").value == "10"
