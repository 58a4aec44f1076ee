"""What a client takes along to another process: only what can be read without further questions is let through."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.dataplane.engine import is_baggage

DATABASE, USER, PROTOCOL, KEY, PEER, TIMES, SETTING, FIRST_SETTING, STATEMENT, UNNAMED, CHANNELS = range(1, 12)
SECRET, CLIENT_KEY, UNKNOWN = 12, 13, 14


def item(number: int, content: bytes) -> bytes:
    return struct.pack("!BI", number, len(content)) + content


def parse(text: bytes, *types: int) -> bytes:
    return text + b"\0" + struct.pack(f"!h{len(types)}i", len(types), *types)


def message(body: bytes) -> bytes:
    return b"P" + struct.pack("!I", len(body) + 4) + body


NEEDED = {DATABASE: b"app\0", USER: b"alice\0", PROTOCOL: struct.pack("!I", 196608), KEY: bytes(36)}
CLIENT = b"".join(item(number, content) for number, content in NEEDED.items())
SOUND = [
    (PEER, bytes(19)),
    (TIMES, bytes(16)),
    (SETTING, b"DateStyle\0German\0"),
    (FIRST_SETTING, b"search_path\0\0"),
    (STATEMENT, bytes(4) + b"\0name\0" + parse(b"SELECT $1", 23)),
    (STATEMENT, bytes(4) + b"\x01name\0 (int) AS SELECT $1\0"),
    (UNNAMED, message(b"\0" + parse(b"SELECT 1"))),
    (CHANNELS, b"news\0weather\0"),
    (SECRET, b"\x02md5" + b"0" * 32),
    (CLIENT_KEY, bytes(32)),
]
UNSOUND = [
    (UNKNOWN, b""),
    (DATABASE, b"again\0"),
    (PEER, bytes(18)),
    (TIMES, bytes(17)),
    (SETTING, b"DateStyle\0German"),
    (SETTING, b"\0German\0"),
    (SETTING, b"a\0b\0c\0"),
    (STATEMENT, bytes(4) + b"\x02name\0" + parse(b"SELECT 1")),
    (STATEMENT, bytes(4) + b"\0\0" + parse(b"SELECT 1")),
    (STATEMENT, bytes(4) + b"\0name\0no end"),
    (STATEMENT, bytes(4) + b"\0name\0SELECT 1\0\0\x02" + bytes(4)),
    (UNNAMED, message(b"x\0" + parse(b"SELECT 1"))),
    (UNNAMED, message(b"\0" + parse(b"SELECT 1"))[:-1]),
    (UNNAMED, b"Q" + message(b"\0" + parse(b"SELECT 1"))[1:]),
    (CHANNELS, b"x" * 64 + b"\0"),
    (CHANNELS, b"\0"),
    (SECRET, b"\x04"),
    (CLIENT_KEY, bytes(31)),
]


@pytest.mark.parametrize("number, content", SOUND)
def test_what_is_sound_is_let_through(number: int, content: bytes) -> None:
    assert is_baggage(CLIENT + item(number, content))


@pytest.mark.parametrize("number, content", UNSOUND)
def test_what_is_not_sound_is_not(number: int, content: bytes) -> None:
    assert not is_baggage(CLIENT + item(number, content))


@pytest.mark.parametrize("number", NEEDED)
def test_nothing_that_is_needed_may_be_missing(number: int) -> None:
    rest = b"".join(item(other, content) for other, content in NEEDED.items() if other != number)
    assert is_baggage(CLIENT)
    assert not is_baggage(rest)


@given(st.integers(1, len(CLIENT) - 1))
def test_what_is_cut_off_is_not_sound(end: int) -> None:
    assert not is_baggage(CLIENT[:end])


@given(st.lists(st.tuples(st.integers(0, 15), st.binary(max_size=80)), max_size=8), st.binary(max_size=6))
def test_whatever_comes_is_answered(items: list[tuple[int, bytes]], rest: bytes) -> None:
    baggage = CLIENT + b"".join(item(number, content) for number, content in items) + rest
    assert is_baggage(baggage) in (True, False)
