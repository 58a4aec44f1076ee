"""PROXY headers: what HAProxy's specification allows is read, all else is refused as soon as it is sure to be wrong."""

import ipaddress
import struct
from functools import cache

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

proxy_header = pytest.importorskip("howdah_probe.proxy_header", reason="the release build has no probes")

NEED_MORE, OK, LOCAL, MALFORMED = "PROXY_NEED_MORE", "PROXY_OK", "PROXY_LOCAL", "PROXY_MALFORMED"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4, TCP6, UNIX = 0x11, 0x21, 0x31
STARTUP = b"\0\0\0\x08\x04\xd2\x16\x2f"

V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
PAIRS = st.one_of(st.tuples(V4, V4), st.tuples(V6, V6))
PORTS = st.integers(0, 0xFFFF)
FIELDS = st.lists(st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=60)), max_size=6)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def verdict(data: bytes) -> str:
    return str(proxy_header.read_proxy_header(data)[0].name)


def read(data: bytes) -> tuple[str, object]:
    found, given = proxy_header.read_proxy_header(data)
    return found.name, given


def line(source: Address, destination: Address, *ports: int) -> bytes:
    return f"PROXY TCP{source.version} {source} {destination} {ports[0]} {ports[1]}\r\n".encode()


def field(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def binary(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def addresses(source: Address, destination: Address, *ports: int) -> bytes:
    return source.packed + destination.packed + struct.pack("!HH", *ports)


ANN, US = ipaddress.IPv4Address("192.0.2.1"), ipaddress.IPv4Address("192.0.2.2")
BLOCK = addresses(ANN, US, 40000, 6432)


@cache
def crc_table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli), a byte at a time."""

    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
        return value

    return tuple(map(entry, range(256)))


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc_table()[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def with_checksum(before: bytes, after: bytes) -> bytes:
    whole = binary(0x21, TCP4, BLOCK + before + field(3, bytes(4)) + after)
    at = len(whole) - len(after) - 4
    return whole[:at] + struct.pack("!I", crc32c(whole)) + whole[at + 4 :]


# what must be read


@given(PAIRS, PORTS, PORTS, st.binary(max_size=20))
def test_a_line_gives_the_clients_address(pair: tuple[Address, Address], port: int, other: int, rest: bytes) -> None:
    data = line(*pair, port, other)
    assert read(data + rest) == (OK, (len(data), (pair[0].packed, port)))


@given(PAIRS, PORTS, PORTS, FIELDS, st.binary(max_size=20))
def test_a_binary_header_gives_the_clients_address(
    pair: tuple[Address, Address], port: int, other: int, fields: list[tuple[int, bytes]], rest: bytes
) -> None:
    block = addresses(*pair, port, other) + b"".join(field(*one) for one in fields)
    data = binary(0x21, TCP4 if pair[0].version == 4 else TCP6, block)
    assert read(data + rest) == (OK, (len(data), (pair[0].packed, port)))


@pytest.mark.parametrize(
    "text,packed",
    [
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::", "::"),
    ],
)
def test_addresses_may_be_written_in_any_way_of_their_family(text: str, packed: str) -> None:
    data = f"PROXY TCP6 {text} ::1 1 2\r\n".encode()
    assert read(data) == (OK, (len(data), (ipaddress.ip_address(packed).packed, 1)))


@given(st.text(st.characters(codec="latin-1"), max_size=91).map(lambda text: text.encode("latin-1")))
@example(b"ffff:f...f:ffff ffff:f...f:ffff 65535 65535")
@example(b"\r \0")
def test_of_an_unknown_protocol_nothing_more_is_read(text: bytes) -> None:
    assume(b"\r\n" not in text)
    assert read(b"PROXY UNKNOWN\r\n" + STARTUP) == (LOCAL, (15, None))
    data = b"PROXY UNKNOWN " + text + b"\r\n"
    assert read(data + STARTUP) == (LOCAL, (len(data), None))


@given(st.binary(max_size=100), st.integers(0, 255))
def test_a_proxy_that_speaks_for_itself_is_let_through(block: bytes, family: int) -> None:
    data = binary(0x20, family, block)
    assert read(data + STARTUP) == (LOCAL, (len(data), None))


@pytest.mark.parametrize("family,block", [(0, b""), (0, b"anything"), (UNIX, bytes(216)), (UNIX, bytes(219))])
def test_a_client_without_an_internet_address_has_the_proxys(family: int, block: bytes) -> None:
    data = binary(0x21, family, block)
    assert read(data + STARTUP) == (LOCAL, (len(data), None))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_right_checksum_is_accepted(before: bytes, after: bytes) -> None:
    assert verdict(with_checksum(field(0xEA, before), field(4, after))) == OK
    assert verdict(with_checksum(b"", b"")) == OK


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@given(st.integers(0), st.integers(0, 7))
def test_a_header_that_does_not_match_its_checksum_is_refused(at: int, bit: int) -> None:
    data = bytearray(with_checksum(field(0xEA, b"vpce"), b""))
    at = 16 + at % (12 + 7)  # addresses and the field; not the kind and the length of the checksum
    if at in {29, 30}:  # the field's length: then it may be the fields that are wrong
        at = 31
    data[at] ^= 1 << bit
    assume(data[28] != 3)
    assert read(bytes(data)) == (MALFORMED, "does not match its checksum")


@pytest.mark.parametrize("size", [0, 1, 3, 5, 8])
def test_a_checksum_of_another_size_is_refused(size: int) -> None:
    assert verdict(binary(0x21, TCP4, BLOCK + field(3, bytes(size)))) == MALFORMED


# sizes


def test_the_longest_line_has_107_bytes() -> None:
    assert read(b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n") == (LOCAL, (107, None))
    assert verdict(b"PROXY UNKNOWN " + b"x" * 92) == NEED_MORE
    assert verdict(b"PROXY UNKNOWN " + b"x" * 92 + b"\r") == MALFORMED
    assert verdict(b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n") == MALFORMED


def test_the_longest_binary_header_has_536_bytes() -> None:
    room = 536 - 16 - len(BLOCK) - 3
    assert verdict(binary(0x21, TCP4, BLOCK + field(4, bytes(room)))) == OK
    assert verdict(binary(0x21, TCP4, BLOCK + field(4, bytes(room + 1)))[:16]) == MALFORMED
    assert verdict(binary(0x20, 0, bytes(521))[:16]) == MALFORMED


WHOLE = (
    line(ANN, US, 40000, 6432),
    line(ipaddress.ip_address("2001:db8::1"), ipaddress.ip_address("::1"), 40000, 6432),
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN x y z\r\n",
    binary(0x21, TCP4, BLOCK + field(1, b"postgresql")),
    binary(0x20, 0, b""),
    with_checksum(b"", b""),
)


@pytest.mark.parametrize("data", WHOLE)
def test_every_cut_needs_more(data: bytes) -> None:
    assert [verdict(data[:at]) for at in range(len(data))] == [NEED_MORE] * len(data)
    assert verdict(data) in {OK, LOCAL}


@given(st.sampled_from(WHOLE), st.integers(0), st.integers(0, 255))
def test_a_verdict_stays_as_it_was_first_said(data: bytes, at: int, byte: int) -> None:
    at %= len(data)
    data = data[:at] + bytes([byte]) + data[at + 1 :] + STARTUP
    said = [verdict(data[:size]) for size in range(len(data) + 1)]
    waited = said.count(NEED_MORE)
    assert said[:waited] == [NEED_MORE] * waited
    assert len(set(said[waited:])) <= 1


# what is wrong


@pytest.mark.parametrize(
    "text",
    [
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 6432 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 6432 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 \r\n",
        "PROXY TCP4 192.0.2.1  192.0.2.2 40000 6432\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 40000 6432\r\n",
        "PROXY TCP4 192.0.2.1\t192.0.2.2 40000 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 40000 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 99999999999 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4294967296 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 00 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1.5 6432\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 a 6432\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1.5 192.0.2.2 1 2\r\n",
        "PROXY TCP4 3221225985 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 ::1%lo ::1 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
        "PROXY TCP6 :::: ::1 1 2\r\n",
        "PROXY TCP6 " + "0" * 60 + ":: ::1 1 2\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UNKNOWN\rX\r\n",
        "PROXY unknown\r\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        " PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n",
        "PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\0 2\r\n",
    ],
)
def test_lines_that_are_nearly_right(text: str) -> None:
    found, problem = read(text.encode() + STARTUP)
    assert found == MALFORMED
    assert problem


@pytest.mark.parametrize(
    "data",
    [
        binary(0x21, TCP4, BLOCK[:11]),
        binary(0x21, TCP6, BLOCK + bytes(23)),
        binary(0x21, TCP6, BLOCK),
        binary(0x21, UNIX, bytes(215)),
        binary(0x21, TCP4, b""),
        binary(0x21, 0x12, BLOCK),
        binary(0x21, 0x22, BLOCK + bytes(24)),
        binary(0x21, 0x32, bytes(216)),
        binary(0x21, 0x10, BLOCK),
        binary(0x21, 0x01, BLOCK),
        binary(0x21, 0x41, BLOCK),
        binary(0x22, TCP4, BLOCK),
        binary(0x11, TCP4, BLOCK),
        binary(0x01, TCP4, BLOCK),
        binary(0x31, TCP4, BLOCK),
        binary(0x21, TCP4, BLOCK + b"\x01"),
        binary(0x21, TCP4, BLOCK + b"\x01\0"),
        binary(0x21, TCP4, BLOCK + b"\x01\0\x01"),
        binary(0x21, TCP4, BLOCK + field(1, b"postgresql")[:-1]),
        binary(0x21, TCP4, BLOCK + b"\x01\xff\xff"),
        binary(0x21, UNIX, bytes(216) + b"\x01\0\x01"),
    ],
)
def test_binary_headers_that_are_nearly_right(data: bytes) -> None:
    found, problem = read(data + STARTUP)
    assert found == MALFORMED
    assert problem


@pytest.mark.parametrize(
    "data,said_at",
    [
        (STARTUP, 1),
        (b"\x16\x03\x01", 1),
        (b"GET / HTTP/1.1\r\n", 1),
        (b"POST / HTTP/1.1\r\n", 2),
        (b"PROXY\t", 6),
        (b"PROXY TCP7", 10),
        (b"PROXY TCP4x", 11),
        (b"PROXY UNKNOWNx", 14),
        (b"PROXY TCP4 192.0.2.1,", 21),
        (b"\r\n\r\n\0\r\nQUIT\r", 12),
        (b"\r\n\r\n\n", 5),
        (SIGNATURE + b"\x12", 13),
        (SIGNATURE + b"\x21\x12", 14),
        (SIGNATURE + b"\x21\x11\x02\x09", 16),
        (SIGNATURE + b"\x21\x11\x00\x0b", 16),
    ],
)
def test_what_is_sure_to_be_wrong_is_said_at_once(data: bytes, said_at: int) -> None:
    assert verdict(data[: said_at - 1]) == NEED_MORE
    assert verdict(data[:said_at]) == MALFORMED
