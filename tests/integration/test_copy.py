"""COPY in both directions and both protocols, and what goes wrong in the middle of it."""

from collections.abc import Iterator

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.fix_pooler import Server


@pytest.fixture
def numbers(table: str, server: Server) -> str:
    """A table of one integer column."""
    with server.client() as client:
        client.query(f"CREATE TABLE {table} (n int CHECK (n < 1000))")
    return table


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


def start_copy(client: Client, table: str) -> None:
    client.send(wire.query(f"COPY {table} FROM STDIN"))
    assert client.read().tag == "G"


def count(client: Client, table: str) -> str | None:
    return client.query(f"SELECT count(*) FROM {table}").value


def test_copy_in(client: Client, numbers: str) -> None:
    start_copy(client, numbers)
    client.send(*(wire.copy_data(f"{n}\n".encode()) for n in range(500)))
    replies = client.ask(wire.copy_done())
    assert (replies.shape, replies.command_tags, replies.statuses) == ("C Z", ["COPY 500"], "I")
    assert count(client, numbers) == "500"


def test_copy_in_by_the_extended_protocol(client: Client, numbers: str) -> None:
    client.send(wire.extended(f"COPY {numbers} FROM STDIN"), wire.flush())
    assert client.read_until("G").shape == "1 2 n G"
    client.send(wire.copy_data(b"1\n2\n"), wire.copy_done())
    replies = client.ask(wire.sync())
    assert (replies.shape, replies.command_tags) == ("C Z", ["COPY 2"])


def test_a_sync_sent_before_copy_done_is_ignored(client: Client, numbers: str) -> None:
    client.send(wire.extended(f"COPY {numbers} FROM STDIN"), wire.sync())
    assert client.read_until("G").shape == "1 2 n G"
    client.send(wire.copy_data(b"1\n"), wire.flush(), wire.copy_data(b"2\n"), wire.copy_done(), wire.sync())
    replies = client.read_until("Z")
    assert (replies.shape, replies.command_tags) == ("C Z", ["COPY 2"])
    assert count(client, numbers) == "2"


def test_all_of_an_extended_copy_in_one_go(client: Client, numbers: str) -> None:
    copy = wire.extended(f"COPY {numbers} FROM STDIN")
    client.send(copy, wire.copy_data(b"1\n2\n3\n"), wire.copy_done(), wire.sync(), wire.query("SELECT 'next'"))
    replies = client.read_ready(2)
    assert replies.shape == "1 2 n G C Z T D C Z"
    assert replies.command_tags[0] == "COPY 3"


def test_all_of_a_simple_copy_in_one_go(client: Client, numbers: str) -> None:
    data = wire.copy_data(b"1\n2\n3\n") + wire.copy_done()
    client.send(wire.query(f"COPY {numbers} FROM STDIN"), data, wire.query("SELECT 'next'"))
    replies = client.read_ready(2)
    assert (replies.shape, replies.value) == ("G C Z T D C Z", "next")


def test_copy_fail(client: Client, numbers: str) -> None:
    start_copy(client, numbers)
    replies = client.ask(wire.copy_data(b"1\n"), wire.copy_fail("changed my mind"))
    assert (replies.shape, replies.error.sqlstate, replies.statuses) == ("E Z", "57014", "I")
    assert "changed my mind" in replies.error.fields["M"]
    assert count(client, numbers) == "0"


def test_copy_fail_by_the_extended_protocol(client: Client, numbers: str) -> None:
    client.send(wire.extended(f"COPY {numbers} FROM STDIN"), wire.copy_data(b"1\n"), wire.copy_fail("no"), wire.sync())
    replies = client.read_until("Z")
    assert (replies.shape, replies.error.sqlstate) == ("1 2 n G E Z", "57014")
    assert count(client, numbers) == "0"


def test_data_sent_after_an_error_is_dropped(client: Client, numbers: str) -> None:
    start_copy(client, numbers)
    client.send(wire.copy_data(b"not a number\n"))
    assert client.read_until("Z").error.sqlstate == "22P02"
    client.send(*[wire.copy_data(b"2\n")] * 1000, wire.copy_done())
    assert client.query("SELECT 'in step'").value == "in step"
    assert count(client, numbers) == "0"


def test_data_sent_after_an_error_by_the_extended_protocol(client: Client, numbers: str) -> None:
    client.send(wire.extended(f"COPY {numbers} FROM STDIN"), wire.flush())
    client.read_until("G")
    client.send(*[wire.copy_data(b"not a number\n")] * 100, wire.copy_done(), wire.sync())
    assert client.read_until("Z").error.sqlstate == "22P02"
    assert client.query("SELECT 'in step'").value == "in step"


def test_copy_fail_after_an_error_is_dropped(client: Client, numbers: str) -> None:
    start_copy(client, numbers)
    client.send(wire.copy_data(b"5000\n"), wire.copy_data(b"1\n" * 10_000), wire.copy_fail("too late"))
    assert client.read_until("Z").error.sqlstate == "23514"
    assert client.query("SELECT 1").value == "1"


def test_copy_that_never_starts(client: Client) -> None:
    client.send(wire.query("COPY no_such_table FROM STDIN"), wire.copy_data(b"1\n"), wire.copy_done())
    assert client.read_until("Z").error.sqlstate == "42P01"
    assert client.query("SELECT 1").value == "1"


def test_other_messages_during_copy_in_end_it(client: Client, numbers: str) -> None:
    start_copy(client, numbers)
    client.send(wire.copy_data(b"1\n"), wire.query("SELECT 1"))
    assert [error.sqlstate for error in client.read_to_end().errors] == ["08P01", "08P01"]


def test_copy_inside_a_transaction(client: Client, numbers: str) -> None:
    client.begin()
    start_copy(client, numbers)
    assert client.ask(wire.copy_data(b"1\n"), wire.copy_done()).statuses == "T"
    start_copy(client, numbers)
    assert client.ask(wire.copy_fail("enough")).statuses == "E"
    assert client.query("ROLLBACK").statuses == "I"
    assert count(client, numbers) == "0"


def test_copy_in_twice_in_one_message(client: Client, numbers: str) -> None:
    start_copy_twice = f"COPY {numbers} FROM STDIN; COPY {numbers} FROM STDIN; SELECT count(*) FROM {numbers}"
    client.send(wire.query(start_copy_twice), wire.copy_data(b"1\n"), wire.copy_done(), wire.copy_data(b"2\n3\n"))
    replies = client.ask(wire.copy_done())
    assert (replies.shape, replies.value) == ("G C G C T D C Z", "3")


def test_copy_out(client: Client) -> None:
    replies = client.query("COPY (SELECT generate_series(1, 1000)) TO STDOUT")
    assert replies.shape == " ".join(["H", *["d"] * 1000, "c", "C", "Z"])
    assert replies.command_tags == ["COPY 1000"]


def test_copy_out_by_the_extended_protocol(client: Client) -> None:
    replies = client.ask(wire.extended("COPY (SELECT generate_series(1, 3)) TO STDOUT"), wire.sync())
    assert replies.shape == "1 2 n H d d d c C Z"


def test_an_error_in_the_middle_of_copy_out(client: Client) -> None:
    replies = client.query("COPY (SELECT 10 / (5 - n) FROM generate_series(1, 9) AS n) TO STDOUT")
    assert (replies.shape, replies.error.sqlstate) == ("H d d d d E Z", "22012")
    assert client.query("SELECT 1").value == "1"


def test_copy_out_then_in_of_the_same_bytes(client: Client, numbers: str) -> None:
    out = client.query("COPY (SELECT n % 1000 FROM generate_series(1, 20000) AS n) TO STDOUT WITH (FORMAT binary)")
    client.send(wire.query(f"COPY {numbers} FROM STDIN WITH (FORMAT binary)"))
    assert client.read().tag == "G"
    client.send(*(wire.copy_data(reply.body) for reply in out if reply.tag == "d"))
    assert client.ask(wire.copy_done()).command_tags == ["COPY 20000"]


@pytest.mark.parametrize("piece", [1, 7, 8192, 100_000])
def test_rows_cut_anywhere_between_messages(client: Client, numbers: str, piece: int) -> None:
    data = b"".join(b"%d\n" % (n % 1000) for n in range(500 if piece == 1 else 50_000))
    start_copy(client, numbers)
    client.send(*(wire.copy_data(data[at : at + piece]) for at in range(0, len(data), piece)))
    rows = data.count(b"\n")
    assert client.ask(wire.copy_done()).command_tags == [f"COPY {rows}"]
    assert count(client, numbers) == str(rows)
