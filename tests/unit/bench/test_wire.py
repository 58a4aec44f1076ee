"""The benches' own little client."""

from bench.pgbouncer import version
from bench.wire import error_fields, messages, query, startup


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


def test_error_fields_are_found_by_letter() -> None:
    fields = error_fields(b"SFATAL\0C53300\0Msorry, too many clients already\0\0")
    assert fields["C"] == "53300"
    assert fields["M"] == "sorry, too many clients already"


def test_pgbouncers_version_is_compared_by_number() -> None:
    assert version("PgBouncer 1.24.1\nlibevent 2.1.12-stable") == (1, 24, 1)
    assert version("PgBouncer 1.9.0") < (1, 24) < version("PgBouncer 1.24.0")
    assert version("no such program") == ()
