"""Values that a client binds to $1, $2 and so on: from the wire, by the type that they were said to have."""

import struct
from collections.abc import Callable, Mapping

from howdah.control.console.action import ConsoleError
from howdah.control.console.columns import BOOL, BYTEA, FLOAT8, INT4, INT8, NUMERIC, Cell

_INT2, _OID, _FLOAT4 = 21, 26, 700
_TRUE = frozenset(("t", "true", "y", "yes", "on", "1"))
_FALSE = frozenset(("f", "false", "n", "no", "off", "0"))
_NUMERIC_BASE = 10_000


def _fixed(form: str) -> Callable[[bytes], Cell]:
    def read(raw: bytes) -> Cell:
        (value,) = struct.unpack(form, raw)
        return int(value) if isinstance(value, bool) else value

    return read


def _numeric(raw: bytes) -> Cell:
    """numeric_send's form: digits in base 10,000, the first of them `weight` places in front of the point."""
    count, weight, sign, _ = struct.unpack_from("!hhHH", raw)
    if sign not in (0, 0x4000):
        raise ValueError
    value: float = 0
    for at, digit in enumerate(struct.unpack_from(f"!{count}H", raw, 8)):
        place = weight - at
        value += digit * _NUMERIC_BASE**place if place >= 0 else digit / _NUMERIC_BASE**-place
    return -value if sign else value


def _number(text: str) -> Cell:
    value = float(text)
    return int(text) if text.strip().lstrip("+-").isdigit() else value


def _truth(text: str) -> Cell:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return int(word in _TRUE)


def _bytes(text: str) -> Cell:
    return bytes.fromhex(text[2:]) if text.startswith("\\x") else text.encode()


_BINARY: Mapping[int, Callable[[bytes], Cell]] = {
    _INT2: _fixed("!h"),
    INT4.oid: _fixed("!i"),
    INT8.oid: _fixed("!q"),
    _OID: _fixed("!I"),
    _FLOAT4: _fixed("!f"),
    FLOAT8.oid: _fixed("!d"),
    BOOL.oid: _fixed("!?"),
    NUMERIC.oid: _numeric,
    BYTEA.oid: bytes,
}
_TEXT: Mapping[int, Callable[[str], Cell]] = {
    **dict.fromkeys((_INT2, INT4.oid, INT8.oid, _OID), int),
    **dict.fromkeys((_FLOAT4, FLOAT8.oid), float),
    BOOL.oid: _truth,
    NUMERIC.oid: _number,
    BYTEA.oid: _bytes,
}
#: text, "unknown", bpchar, varchar and name: whose binary form is their text.
_TEXTUAL = frozenset((0, 18, 19, 25, 705, 1042, 1043))


def value_of(number: int, oid: int, binary: bool, raw: bytes | None) -> Cell:
    """What $`number` stands for; ConsoleError where these bytes are nothing of that type."""
    if raw is None:
        return None
    try:
        if binary and oid in _BINARY:
            value = _BINARY[oid](raw)
        elif binary and oid not in _TEXTUAL:
            raise ConsoleError("0A000", f"parameter ${number} has a type (OID {oid}) that the console does not read")
        else:
            value = _TEXT.get(oid, str)(raw.decode())
    except UnicodeDecodeError:
        raise ConsoleError("22021", 'invalid byte sequence for encoding "UTF8"') from None
    except (ValueError, struct.error):
        what = "22P03" if binary else "22P02"
        raise ConsoleError(what, f"the value of parameter ${number} is none of its type (OID {oid})") from None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConsoleError("22003", f"the value of parameter ${number} is out of range")
    return value
