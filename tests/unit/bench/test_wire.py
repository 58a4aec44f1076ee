"""The benches' own little client."""

from bench.pgbouncer import version
from bench.wire import Connection, copy_data, error_fields, messages, parse, query, startup
from tests.unit.bench.fake_postgres import FakePostgres


def test_whole_messages_are_taken_and_a_cut_one_stays() -> None:
    buffer = bytearray(b"Z\0\0\0\x05I" + b"D\0\0\0\x08ab")
    assert messages(buffer) == [("Z", b"I")]
    assert buffer == b"D\0\0\0\x08ab"
    buffer += b"cd"
    assert messages(buffer) == [("D", b"abcd")]
    assert buffer == b""


def test_packets_announce_their_own_length() -> None:
    assert int.from_bytes(startup("bench", "bench")[:4]) == len(startup("bench", "bench"))
    assert query("SELECT 1") == b"Q\0\0\0\x0dSELECT 1\0"
    assert int.from_bytes(query("SELECT 'ü'")[1:5]) == len(query("SELECT 'ü'")) - 1
    assert parse("s1", b"SELECT 1") == b"P\0\0\0\x12s1\0SELECT 1\0\0\0"
    assert copy_data(b"row\n") == b"d\0\0\0\x08row\n"


def test_copy_in_sends_all_messages_and_gives_the_tag() -> None:
    with FakePostgres() as server, Connection(server.port) as connection:
        tag = connection.copy_in("COPY t FROM STDIN", [copy_data(b"a\nb\n"), copy_data(b"c\n")])
        assert tag == "COPY 3"
        assert server.copied == b"a\nb\nc\n"
        assert connection.run("SELECT 1") == []  # the connection goes on


def test_error_fields_are_found_by_letter() -> None:
    fields = error_fields(b"SFATAL\0C53300\0Msorry, too many clients already\0\0")
    assert fields["C"] == "53300"
    assert fields["M"] == "sorry, too many clients already"


def test_pgbouncers_version_is_compared_by_number() -> None:
    assert version("PgBouncer 1.24.1\nlibevent 2.1.12-stable") == (1, 24, 1)
    assert version("PgBouncer 1.9.0") < (1, 24) < version("PgBouncer 1.24.0")
    assert version("no such program") == ()
