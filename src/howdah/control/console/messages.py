"""The console's side of the wire: reading frontend message bodies, writing backend messages.

Only what a console needs; the data plane's own framing is in `howdah.wire`.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import INT4, INT4_MAX, INT8, NUMERIC, TEXT, Cell, Column, encode


class BodyReader:
    """Reads one message body from front to back and never past its end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._body):
            raise ConsoleError("08P01", "insufficient data left in message")
        self._at += count
        return self._body[self._at - count : self._at]

    def byte(self) -> bytes:
        return self._take(1)

    def int16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def int32(self) -> int:
        return int.from_bytes(self._take(4), "big", signed=True)

    def text(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ConsoleError("08P01", "invalid string in message")
        raw = self._take(end - self._at)
        self._at += 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ConsoleError("22021", 'invalid byte sequence for encoding "UTF8"') from None

    def value(self) -> bytes | None:
        """A length-prefixed value; length -1 is NULL."""
        length = self.int32()
        return None if length == -1 else self._take(length)

    def end(self) -> None:
        if self._at != len(self._body):
            raise ConsoleError("08P01", "invalid message format")


def message(tag: bytes, body: bytes = b"") -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def _string(text: str) -> bytes:
    return text.encode().replace(b"\0", b"") + b"\0"


PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
EMPTY_QUERY = message(b"I")
PORTAL_SUSPENDED = message(b"s")
_NULL = b"\xff\xff\xff\xff"  # a length of -1


_USUAL = frozenset((TEXT, INT4, INT8, NUMERIC))


def ready_for_query(status: bytes) -> bytes:
    return message(b"Z", status)


def command_complete(tag: str) -> bytes:
    return message(b"C", _string(tag))


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", _string(name) + _string(value))


def parameter_description(oids: Sequence[int]) -> bytes:
    return message(b"t", struct.pack(f"!h{len(oids)}i", len(oids), *oids))


def row_description(columns: Sequence[Column], binary: Sequence[bool]) -> bytes:
    fields = (
        _string(column.name) + struct.pack("!ihihih", 0, 0, column.type.oid, column.type.length, -1, int(wanted))
        for column, wanted in zip(columns, binary, strict=True)
    )
    return message(b"T", struct.pack("!h", len(columns)) + b"".join(fields))


class _Cells(dict[Any, bytes]):
    """Texts and whole numbers in text format, each with its length in front.

    Most values of a table are in it a thousand times: each is put together once, whatever its column.
    """

    def __init__(self) -> None:
        self[None] = _NULL

    def __missing__(self, cell: Any) -> bytes:
        if type(cell) is int and not -INT4_MAX <= cell <= INT4_MAX:
            raise OverflowError  # how that is written is the column's affair
        value = str(cell).encode()
        found = self[cell] = len(value).to_bytes(4, "big") + value
        return found


def data_rows(columns: Sequence[Column], binary: Sequence[bool], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """A DataRow for each."""
    usual = not any(binary) and all(column.type in _USUAL for column in columns)
    count, cells = len(columns).to_bytes(2, "big"), _Cells()
    for row in rows:
        try:
            body = b"".join(map(cells.__getitem__, row)) if usual else _body(columns, binary, row)
        except OverflowError:
            body = _body(columns, binary, row)
        yield b"D" + (len(body) + 6).to_bytes(4, "big") + count + body


def _body(columns: Sequence[Column], binary: Sequence[bool], row: Sequence[Cell]) -> bytes:
    parts: list[bytes] = []
    for column, wanted, cell in zip(columns, binary, row, strict=True):
        if cell is None:
            parts.append(_NULL)
        else:
            value = encode(column, cell, wanted)
            parts += (len(value).to_bytes(4, "big"), value)
    return b"".join(parts)


def error(failure: ConsoleError) -> bytes:
    return _report(b"E", failure.severity, failure.sqlstate, failure.message, H=failure.hint)


def notice(text: str, detail: str = "") -> bytes:
    return _report(b"N", "NOTICE", "00000", text, D=detail)


def _report(tag: bytes, severity: str, sqlstate: str, text: str, **more: str) -> bytes:
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", text)]
    fields += [(name, value) for name, value in more.items() if value]
    return message(tag, b"".join(name.encode() + _string(value) for name, value in fields) + b"\0")
