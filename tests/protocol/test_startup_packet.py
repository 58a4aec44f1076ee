"""Startup packets: what is read is what was written, and what is wrong is refused with the right verdict."""

import re
import struct

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.kit import wire

startup = pytest.importorskip("howdah_probe.startup", reason="the release build has no probes")

TEXT = st.binary(max_size=30).filter(lambda value: b"\0" not in value)
NAMES = TEXT.filter(bool)
PARAMETERS = st.lists(st.tuples(NAMES, TEXT), max_size=8)
VERSIONS = st.integers(0, 0xFFFF).map(lambda minor: 3 << 16 | minor)


def packet(code: int, body: bytes = b"") -> bytes:
    return wire.packet(struct.pack("!I", code) + body)


def message(version: int, parameters: list[tuple[bytes, bytes]]) -> bytes:
    return packet(version, b"".join(name + b"\0" + value + b"\0" for name, value in parameters) + b"\0")


def verdict(data: bytes) -> str:
    return str(startup.read_startup(data)[0].name)


@given(VERSIONS, PARAMETERS, NAMES, st.binary(max_size=40))
def test_parameters_are_read_as_written(
    version: int, parameters: list[tuple[bytes, bytes]], user: bytes, rest: bytes
) -> None:
    assume(all(name not in {b"user", b"database", b"replication"} for name, _ in parameters))
    parameters = [*parameters, (b"user", user)]
    data = message(version, parameters)
    found, fields = startup.read_startup(data + rest)
    assert found.name == "STARTUP_MESSAGE"
    assert fields == {
        "size": len(data),
        "code": version,
        "parameters": parameters,
        "user": user,
        "database": user,
        "replication": None,
        "unknown_options": sum(name.startswith(b"_pq_.") for name, _ in parameters),
    }


@given(st.permutations([(b"user", b"ann"), (b"database", b"shop"), (b"replication", b"off"), (b"_pq_.x", b"1")]))
def test_the_order_of_parameters_does_not_matter(parameters: list[tuple[bytes, bytes]]) -> None:
    fields = startup.read_startup(message(3 << 16, parameters))[1]
    assert (fields["user"], fields["database"], fields["replication"]) == (b"ann", b"shop", b"off")
    assert fields["unknown_options"] == 1


@given(PARAMETERS, st.data())
def test_a_cut_packet_needs_more(parameters: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    whole = message(3 << 16, [*parameters, (b"user", b"ann")])
    assert verdict(whole[: data.draw(st.integers(0, len(whole) - 1))]) == "STARTUP_NEED_MORE"


@given(st.one_of(st.integers(0, 7), st.integers(0x8000_0000, 0xFFFF_FFFF)), st.binary(max_size=20))
def test_a_length_below_eight_or_negative_is_too_short(length: int, rest: bytes) -> None:
    assert verdict(struct.pack("!I", length) + rest) == "STARTUP_TOO_SHORT"


@given(st.integers(10_001, 0x7FFF_FFFF), st.binary(max_size=20))
@example(10_001, b"")
def test_a_length_above_ten_thousand_is_refused_before_its_body_arrives(length: int, rest: bytes) -> None:
    assert verdict(struct.pack("!I", length) + rest) == "STARTUP_TOO_LONG"


def test_the_longest_packet_is_read() -> None:
    room = 10_000 - len(message(3 << 16, [(b"user", b"")]))
    assert verdict(message(3 << 16, [(b"user", b"x" * room)])) == "STARTUP_MESSAGE"


@given(st.integers(0, 0xFFFF_FFFF), st.binary(max_size=40))
def test_other_protocol_versions_are_refused(code: int, body: bytes) -> None:
    assume(code >> 16 != 3)
    assume(code not in {wire.SSL_REQUEST_CODE, wire.GSSENC_REQUEST_CODE, wire.CANCEL_REQUEST_CODE})
    assert verdict(packet(code, body)) == "STARTUP_BAD_VERSION"


@given(st.binary(max_size=200))
def test_any_body_gets_the_verdict_of_the_documentations_grammar(body: bytes) -> None:
    assert verdict(packet(3 << 16, body)) == expected_verdict(body)


def expected_verdict(body: bytes) -> str:
    """Name and value strings in turn, then one empty name, then nothing."""
    user, rest = b"", body
    while True:
        name, nul, rest = rest.partition(b"\0")
        if not nul:
            return "STARTUP_MALFORMED"
        if not name:
            break
        value, nul, rest = rest.partition(b"\0")
        if not nul:
            return "STARTUP_MALFORMED"
        user = value if name == b"user" else user
    if rest:
        return "STARTUP_MALFORMED"
    return "STARTUP_MESSAGE" if user else "STARTUP_NO_USER"


@pytest.mark.parametrize(
    "body,expected",
    [
        (b"", "STARTUP_MALFORMED"),
        (b"\0", "STARTUP_NO_USER"),
        (b"user\0ann\0", "STARTUP_MALFORMED"),
        (b"user\0", "STARTUP_MALFORMED"),
        (b"user\0\0\0", "STARTUP_NO_USER"),
        (b"user\0ann\0\0x", "STARTUP_MALFORMED"),
        (b"database\0shop\0\0", "STARTUP_NO_USER"),
    ],
)
def test_layouts_that_are_nearly_right(body: bytes, expected: str) -> None:
    assert verdict(packet(3 << 16, body)) == expected


@pytest.mark.parametrize(
    "code,expected",
    [(wire.SSL_REQUEST_CODE, "STARTUP_SSL"), (wire.GSSENC_REQUEST_CODE, "STARTUP_GSSENC")],
)
def test_requests_for_encryption_have_no_body(code: int, expected: str) -> None:
    assert verdict(packet(code)) == expected
    assert verdict(packet(code, b"x")) == "STARTUP_MALFORMED"


@given(st.integers(0, 0xFFFF_FFFF), st.binary(min_size=1, max_size=256))
def test_a_cancel_request_gives_process_and_key(pid: int, secret: bytes) -> None:
    data = packet(wire.CANCEL_REQUEST_CODE, struct.pack("!I", pid) + secret)
    found, fields = startup.read_startup(data)
    assert (found.name, fields) == ("STARTUP_CANCEL", {"pid": pid, "secret": secret})


@pytest.mark.parametrize("key_size", [0, 257])
def test_a_cancel_key_has_between_one_and_256_bytes(key_size: int) -> None:
    data = packet(wire.CANCEL_REQUEST_CODE, struct.pack("!I", 1) + b"x" * key_size)
    assert verdict(data) == "STARTUP_BAD_CANCEL"


BOOLEANS = {
    **dict.fromkeys(["true", "yes", "on", "1"], "REPLICATION_PHYSICAL"),
    **dict.fromkeys(["false", "no", "off", "0"], "REPLICATION_NONE"),
}


def replication_of(value: bytes) -> str:
    """PostgreSQL's rules (ProcessStartupPacket, parse_bool), written down another way."""
    word = value.decode("latin-1")
    if word == "database":
        return "REPLICATION_LOGICAL"
    if not re.fullmatch(r"[a-z01]+", word, re.IGNORECASE | re.ASCII) or word in "oO":
        return "REPLICATION_BAD"
    meant = [spelled for spelled in BOOLEANS if spelled.startswith(word.lower())]
    return BOOLEANS[meant[0]] if meant else "REPLICATION_BAD"


NEARLY = st.sampled_from(["true", "false", "yes", "no", "on", "off", "1", "0", "database", "truest", "of f"])
PREFIXES = st.builds(lambda word, size: word[:size], NEARLY, st.integers(0, 9))


@given(st.one_of(TEXT, PREFIXES.map(str.encode), PREFIXES.map(lambda word: word.upper().encode())))
@example(b"")
@example(b"o")
@example(b"of")
@example(b"on")
@example(b"database")
@example(b"DATABASE")
def test_what_replication_asks_for(value: bytes) -> None:
    assert startup.replication_wanted(value) == replication_of(value)


def test_no_replication_where_nothing_is_said() -> None:
    assert startup.replication_wanted(None) == "REPLICATION_NONE"
