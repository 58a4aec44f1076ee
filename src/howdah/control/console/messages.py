"""The console's side of the wire: reading frontend message bodies, writing backend messages.

Only what a console needs; the data plane's own framing is in `howdah.wire`.
"""

import struct
from collections.abc import Sequence

from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import Cell, Column, encode


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
NO_PARAMETERS = message(b"t", b"\0\0")


def ready_for_query(status: bytes) -> bytes:
    return message(b"Z", status)


def command_complete(tag: str) -> bytes:
    return message(b"C", _string(tag))


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", _string(name) + _string(value))


def row_description(columns: Sequence[Column], binary: Sequence[bool]) -> bytes:
    fields = (
        _string(column.name) + struct.pack("!ihihih", 0, 0, column.type.oid, column.type.length, -1, int(wanted))
        for column, wanted in zip(columns, binary, strict=True)
    )
    return message(b"T", struct.pack("!h", len(columns)) + b"".join(fields))


def data_row(columns: Sequence[Column], binary: Sequence[bool], cells: Sequence[Cell]) -> bytes:
    parts = [len(columns).to_bytes(2, "big")]
    for column, wanted, cell in zip(columns, binary, cells, strict=True):
        if cell is None:
            parts.append(_NULL)
        else:
            value = encode(column, cell, wanted)
            parts += (len(value).to_bytes(4, "big"), value)
    return message(b"D", b"".join(parts))


def error(failure: ConsoleError) -> bytes:
    return _report(b"E", failure.severity, failure.sqlstate, failure.message, failure.hint)


def notice(text: str) -> bytes:
    return _report(b"N", "NOTICE", "00000", text, "")


def _report(tag: bytes, severity: str, sqlstate: str, text: str, hint: str) -> bytes:
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", text)]
    if hint:
        fields.append(("H", hint))
    return message(tag, b"".join(name.encode() + _string(value) for name, value in fields) + b"\0")
