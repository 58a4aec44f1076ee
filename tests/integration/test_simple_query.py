"""The simple query protocol: one message, all its statements, one ReadyForQuery."""

import pytest

from tests.kit import wire
from tests.kit.fix_pooler import Server


def test_one_row(server: Server) -> None:
    with server.client() as client:
        replies = client.query("SELECT 1 AS one")
    assert (replies.shape, replies.rows, replies.statuses) == ("T D C Z", [("1",)], "I")


def test_an_empty_query_has_its_own_answer(server: Server) -> None:
    with server.client() as client:
        assert client.query("").shape == "I Z"
        assert client.query(" ; ;").shape == "I Z"


def test_each_statement_of_one_message_answers(server: Server) -> None:
    with server.client() as client:
        replies = client.query("SELECT 1; SELECT 2; SELECT 3")
    assert replies.shape == "T D C T D C T D C Z"
    assert replies.rows == [("1",), ("2",), ("3",)]


def test_an_error_ends_the_message_and_undoes_it(server: Server, table: str) -> None:
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int)")
        replies = client.query(f"INSERT INTO {table} VALUES (1); SELECT 1/0; INSERT INTO {table} VALUES (2)")
        assert (replies.shape, replies.error.sqlstate, replies.statuses) == ("C E Z", "22012", "I")
        assert client.query(f"SELECT count(*) FROM {table}").value == "0"


def test_an_error_outside_a_transaction_changes_nothing(server: Server) -> None:
    with server.client() as client:
        assert client.query("SELECT no_such_column").error.sqlstate == "42703"
        assert client.query("SELEKT 1").error.sqlstate == "42601"
        assert client.query("SELECT 2").value == "2"


def test_an_error_inside_a_transaction_holds_until_its_end(server: Server) -> None:
    with server.client() as client:
        assert client.query("BEGIN").statuses == "T"
        assert client.query("SELECT 1/0").statuses == "E"
        refused = client.query("SELECT 1")
        assert (refused.error.sqlstate, refused.statuses) == ("25P02", "E")
        ended = client.query("COMMIT")
        assert (ended.command_tags, ended.statuses) == (["ROLLBACK"], "I")
        assert client.query("SELECT 3").value == "3"


def test_transactions_opened_and_ended_within_one_message(server: Server) -> None:
    with server.client() as client:
        assert client.query("BEGIN; SELECT 1; COMMIT").statuses == "I"
        opened = client.query("SELECT 1; BEGIN; SELECT pg_backend_pid()")
        assert opened.statuses == "T"
        assert client.query("SELECT pg_backend_pid()").rows == opened.rows[1:]
        assert client.query("COMMIT; BEGIN").statuses == "T"
        assert client.query("ROLLBACK").statuses == "I"


def test_savepoints(server: Server, table: str) -> None:
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int)")
        client.query(f"BEGIN; INSERT INTO {table} VALUES (1); SAVEPOINT s")
        assert client.query("SELECT 1/0").statuses == "E"
        assert client.query("ROLLBACK TO s").statuses == "T"
        client.query(f"INSERT INTO {table} VALUES (2); COMMIT")
        assert client.query(f"SELECT sum(n) FROM {table}").value == "3"


def test_a_notice_comes_with_its_statement(server: Server) -> None:
    with server.client() as client:
        replies = client.query("DO $$ BEGIN RAISE NOTICE 'for you'; END $$")
        assert [notice.fields["M"] for notice in replies.notices] == ["for you"]
        assert client.query("SELECT 1").notices == []


def test_every_notice_of_a_flood_arrives_in_order(server: Server) -> None:
    with server.client() as client:
        replies = client.query("DO $$ BEGIN FOR i IN 1..5000 LOOP RAISE NOTICE '%', i; END LOOP; END $$")
    assert [int(notice.fields["M"]) for notice in replies.notices] == list(range(1, 5001))


def test_pipelined_queries_are_answered_in_order(server: Server) -> None:
    with server.client() as client:
        client.send(*(wire.query(f"SELECT {number}") for number in range(500)))
        replies = client.read_ready(500)
    assert [row[0] for row in replies.rows] == [str(number) for number in range(500)]
    assert replies.statuses == "I" * 500


def test_pipelined_queries_with_a_transaction_among_them(server: Server) -> None:
    script = ["SELECT 1", "BEGIN", "SELECT 1/0", "SELECT 2", "ROLLBACK", "SELECT 3", "", "SELECT 4"]
    with server.client() as client:
        client.send(*(wire.query(statement) for statement in script))
        replies = client.read_ready(len(script))
    assert replies.statuses == "ITEEIIII"
    assert [row[0] for row in replies.rows] == ["1", "3", "4"]
    assert [error.sqlstate for error in replies.errors] == ["22012", "25P02"]


def test_a_query_that_arrives_byte_by_byte(server: Server) -> None:
    with server.client() as client:
        for byte in wire.query("SELECT 'slowly'") + wire.query("SELECT 'but whole'"):
            client.send(bytes([byte]))
        assert client.read_ready(2).rows == [("slowly",), ("but whole",)]


def test_a_null_byte_inside_the_text_is_refused(server: Server) -> None:
    with server.client() as client:
        replies = client.ask(wire.message(b"Q", b"SELECT 1\0, 2\0"))
        assert replies.error.sqlstate == "08P01"
        assert client.query("SELECT 2").value == "2"


@pytest.mark.parametrize("size", [1, 8_000, 64_000, 65_536, 70_000, 1_000_000])
def test_texts_of_any_size_around_the_buffers(server: Server, size: int) -> None:
    text = ("0123456789" * (size // 10 + 1))[:size]
    with server.client() as client:
        assert client.query(f"SELECT '{text}'").value == text


def test_leaving_with_a_goodbye_in_the_same_packet_as_the_query(server: Server, table: str) -> None:
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int)")
    with server.client() as client:
        client.send(wire.query(f"INSERT INTO {table} VALUES (7)"), wire.terminate())
        assert client.read_to_end().shape == "C Z"
    with server.client() as client:
        assert client.query(f"SELECT n FROM {table}").value == "7"
