"""Values as PgBouncer reads them, made into what the schema reads.

What is not in PgBouncer's form is left as it is, for the schema to say what is wrong with it: so `30s` and `true`,
which PgBouncer refuses, work here, too.
"""

import re
from typing import Any

from howdah.control.config.units import BadValueError, Kind

#: C's strtol with base 0, and strtod.
_INTEGER = re.compile(r"[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)")
_REAL = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_LONGEST_INTEGER = 20


def integer(text: str) -> int | None:
    """A number in decimal, octal (`010`) or hexadecimal (`0x10`) form; None when it is none."""
    if not _INTEGER.fullmatch(text) or len(text) > _LONGEST_INTEGER:
        return None
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
    try:
        number = int(digits, 8 if octal else 0)
    except ValueError:
        return None
    return -number if text.startswith("-") else number


def real(text: str) -> float | None:
    return float(text) if _REAL.fullmatch(text) else None


def read_value(kind: Kind, text: str) -> Any:
    """`text` for a setting of this kind."""
    number = integer(text)
    if kind.name in ("number", "port", "port, or 0", "size"):
        return text if number is None else number
    if kind.name == "true or false":
        return text if number is None else bool(number)
    if kind.name == "duration":
        seconds = real(text)
        return text if seconds is None else seconds
    if kind.name == "octal string":
        return _permissions(text, number)
    if kind.name.startswith("one of"):
        return text.lower()
    return text


def _permissions(text: str, number: int | None) -> str:
    """PgBouncer takes 770 for a decimal number, which leaves other permissions than anybody has in mind."""
    if number is None or number < 0:
        return text
    if number > 0o777 and not set(text) - set("01234567"):
        raise BadValueError(f"{text} without a 0 in front is a decimal number; write it as 0{text}")
    return f"0{number:o}"
