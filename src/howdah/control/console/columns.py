"""Columns of console results: their types, and values as text or binary."""

import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

#: What a cell may hold; None is NULL.
Cell = str | int | float | bytes | None

INT4_MAX = 2**31 - 1
_NUMERIC_BASE = 10_000


class ColumnType(NamedTuple):
    """A PostgreSQL type by its OID and typlen, how its values are sent, and what SELECT calls it."""

    oid: int
    length: int
    binary: Callable[[Cell], bytes]
    name: str
    text: Callable[[Cell], str] = str


class Column(NamedTuple):
    name: str
    type: ColumnType


def _text_binary(value: Cell) -> bytes:
    return str(value).encode()


def _int4_binary(value: Cell) -> bytes:
    return struct.pack("!i", _whole(value))


def _int8_binary(value: Cell) -> bytes:
    return struct.pack("!q", _whole(value))


def _numeric_binary(value: Cell) -> bytes:
    """PostgreSQL's wire form (numeric_send): digits in base 10,000, most significant first."""
    rest, digits = abs(_whole(value)), list[int]()
    while rest:
        rest, digit = divmod(rest, _NUMERIC_BASE)
        digits.append(digit)
    digits.reverse()
    sign = 0x4000 if _whole(value) < 0 else 0
    return struct.pack(f"!hhHh{len(digits)}h", len(digits), max(len(digits) - 1, 0), sign, 0, *digits)


def _whole(value: Cell) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} in a column of numbers")
    return value


def _float8_binary(value: Cell) -> bytes:
    return struct.pack("!d", float(value or 0))


def _bytea_text(value: Cell) -> str:
    return "\\x" + _bytes(value).hex()


def _bytes(value: Cell) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _bool_binary(value: Cell) -> bytes:
    return b"\1" if value else b"\0"


def _bool_text(value: Cell) -> str:
    return "t" if value else "f"


TEXT = ColumnType(25, -1, _text_binary, "TEXT")
INT4 = ColumnType(23, 4, _int4_binary, "INT4")
INT8 = ColumnType(20, 8, _int8_binary, "INT8")
NUMERIC = ColumnType(1700, -1, _numeric_binary, "NUMERIC")
FLOAT8 = ColumnType(701, 8, _float8_binary, "FLOAT8")
BYTEA = ColumnType(17, -1, _bytes, "BYTEA", _bytea_text)
BOOL = ColumnType(16, 1, _bool_binary, "BOOL", _bool_text)

_BY_LETTER = {"t": TEXT, "i": INT4, "q": INT8, "n": NUMERIC, "b": BYTEA}


def columns(spec: str) -> tuple[Column, ...]:
    """`columns("database t, cl_active i")`: t text, i int4, q int8, n numeric, b bytea."""
    pairs = (item.split() for item in spec.split(","))
    return tuple(Column(name, _BY_LETTER[letter]) for name, letter in pairs)


def encode(column: Column, value: str | float | bytes, binary: bool) -> bytes:
    """`value` as it goes into a DataRow."""
    if column.type is INT4 and isinstance(value, int) and not -INT4_MAX <= value <= INT4_MAX:
        # A count past int4 (2,147,483,647) must not break the message: PgBouncer's type cannot say more.
        value = INT4_MAX if value > 0 else -INT4_MAX - 1
    return column.type.binary(value) if binary else column.type.text(value).encode()


def timestamp(at_us: int) -> str | None:
    """A time as PgBouncer writes it; NULL for one that has not come."""
    return _second(at_us // 1_000_000) if at_us else None


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    """Kept: thousands of clients connect in the same few seconds, and a time zone's rules take long to ask."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
