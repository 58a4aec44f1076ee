"""Values of parameters, from the wire."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer

from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import BOOL, BYTEA, FLOAT8, INT4, INT8, NUMERIC, TEXT, Cell
from howdah.control.console.parameters import value_of


@pytest.mark.parametrize(
    "oid, binary, raw, value",
    [
        (INT4.oid, False, b"-7", -7),
        (INT4.oid, True, struct.pack("!i", -7), -7),
        (21, True, struct.pack("!h", 300), 300),
        (26, True, struct.pack("!I", 4_000_000_000), 4_000_000_000),
        (INT8.oid, True, struct.pack("!q", 1 << 40), 1 << 40),
        (700, True, struct.pack("!f", 0.5), 0.5),
        (FLOAT8.oid, False, b"1e3", 1000.0),
        (NUMERIC.oid, False, b"12", 12),
        (NUMERIC.oid, False, b"1.25", 1.25),
        (BOOL.oid, False, b"t", 1),
        (BOOL.oid, False, b"off", 0),
        (BOOL.oid, True, b"\1", 1),
        (BYTEA.oid, False, b"\\x00ff", b"\0\xff"),
        (BYTEA.oid, True, b"\0\xff", b"\0\xff"),
        (TEXT.oid, False, "ä".encode(), "ä"),
        (TEXT.oid, True, "ä".encode(), "ä"),
        (1043, True, b"varchar", "varchar"),
        (0, False, b"unknown", "unknown"),
        (INT4.oid, True, None, None),
    ],
)
def test_values_are_read_by_their_type(oid: int, binary: bool, raw: bytes | None, value: Cell) -> None:
    found = value_of(1, oid, binary, raw)
    assert (found, type(found)) == (value, type(value))


@given(st.decimals(-(10**15), 10**15, places=3))
def test_binary_numerics_are_read_as_psycopg_writes_them(value: Decimal) -> None:
    raw = bytes(Transformer().get_dumper(value, PyFormat.BINARY).dump(value) or b"")
    assert value_of(1, NUMERIC.oid, True, raw) == pytest.approx(float(value))


@pytest.mark.parametrize(
    "oid, binary, raw, sqlstate",
    [
        (INT4.oid, False, b"seven", "22P02"),
        (INT4.oid, True, b"\0", "22P03"),
        (BOOL.oid, False, b"perhaps", "22P02"),
        (NUMERIC.oid, True, b"\0\1", "22P03"),
        (NUMERIC.oid, True, struct.pack("!hhHH", 0, 0, 0xC000, 0), "22P03"),
        (BYTEA.oid, False, b"\\xzz", "22P02"),
        (TEXT.oid, False, b"\xff", "22021"),
        (INT8.oid, False, b"99999999999999999999", "22003"),
        (1114, True, b"12345678", "0A000"),
    ],
)
def test_what_is_none_is_refused(oid: int, binary: bool, raw: bytes, sqlstate: str) -> None:
    with pytest.raises(ConsoleError) as raised:
        value_of(1, oid, binary, raw)
    assert raised.value.sqlstate == sqlstate
