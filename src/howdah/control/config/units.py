"""Values with units: durations, sizes and what else a setting can be written as.

Each reader takes what TOML or the environment gives and returns the value, or raises BadValueError with a
sentence that says what is wrong and what would be right.  Nothing here knows a setting's name.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

#: Units of duration in microseconds.  The names are PostgreSQL's.
DURATIONS: Mapping[str, int] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
#: Units of size in bytes, PostgreSQL's again: a kB is 1024 bytes.
SIZES: Mapping[str, int] = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

#: What people write for a unit and which one they mean.
_MEANT = {
    "m": "min",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "msec": "ms",
    "millis": "ms",
    "µs": "us",
    "usec": "us",
    "hr": "h",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "b": "B",
    "k": "kB",
    "kb": "kB",
    "kib": "kB",
    "mb": "MB",
    "mib": "MB",
    "gb": "GB",
    "gib": "GB",
    "g": "GB",
    "tb": "TB",
    "tib": "TB",
}
_QUANTITY = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]*)\s*")

#: A hundred years: longer is a typing error, and microseconds still fit 64 bits.
LONGEST_US = 100 * 365 * DURATIONS["d"]
LARGEST_COUNT = 2**31 - 1


class BadValueError(ValueError):
    """A value no setting of its type can have.  A ValueError, because that is what pydantic collects."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the reference says about a type of value."""

    name: str
    unit: str = ""  # of a bare number


def _unit_factor(unit: str, units: Mapping[str, int], what: str, others: Mapping[str, int], other: str) -> int:
    if unit in units:
        return units[unit]
    known = ", ".join(units)
    if unit in others:
        raise BadValueError(f"{unit} is a unit of {other}, and this is a {what}; use one of {known}")
    meant = _MEANT.get(unit, _MEANT.get(unit.lower(), unit.lower()))
    if meant in units:
        raise BadValueError(f"unknown unit {unit!r}; did you mean {meant!r}? (units of {what}: {known})")
    raise BadValueError(f"unknown unit {unit!r}; use one of {known}")


def _quantity(value: object, bare: str, units: Mapping[str, int], what: str) -> Fraction:
    """`value` in the smallest of `units`; a bare number is in unit `bare`."""
    example = {"duration": "30s", "size": "16kB"}[what]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadValueError(f"must be a {what} such as {example!r}")
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise BadValueError(f"{value!r} is not a {what}; write a number and a unit, such as {example!r}")
        others, other = (SIZES, "size") if what == "duration" else (DURATIONS, "duration")
        factor = _unit_factor(match[2] or bare, units, what, others, other)
        amount = Fraction(match[1]) * factor
    elif math.isfinite(value):
        amount = Fraction(value) * units[bare]
    else:
        raise BadValueError(f"must be a {what} such as {example!r}; 0 switches a limit off")
    if amount < 0:
        raise BadValueError(f"a {what} cannot be negative")
    return amount


def _microseconds(value: object, bare: str) -> Fraction:
    amount = _quantity(value, bare, DURATIONS, "duration")
    if amount > LONGEST_US:
        raise BadValueError(f"{value!r} is longer than a hundred years; check the unit")
    return amount


def _whole(amount: Fraction, value: object, unit: str) -> int:
    if amount.denominator != 1:
        raise BadValueError(f"{value!r} is not a whole number of {unit}")
    if amount.numerator > LARGEST_COUNT:
        raise BadValueError(f"{value!r} is too large")
    return amount.numerator


def seconds(value: object) -> float:
    """A duration; a bare number is seconds."""
    return float(_microseconds(value, "s") / DURATIONS["s"])


def whole_seconds(value: object) -> int:
    """A duration in whole seconds, for what the system counts in seconds."""
    return _whole(_microseconds(value, "s") / DURATIONS["s"], value, "seconds")


def milliseconds(value: object) -> int:
    """A duration in whole milliseconds; a bare number is milliseconds."""
    return _whole(_microseconds(value, "ms") / DURATIONS["ms"], value, "milliseconds")


def size(value: object) -> int:
    """A size in bytes; a bare number is bytes."""
    return _whole(_quantity(value, "B", SIZES, "size"), value, "bytes")


def count(value: object) -> int:
    """A whole number that is not negative."""
    if isinstance(value, str) and re.fullmatch(r"[ \t\r\n]*[+-]?[0-9]{1,20}[ \t\r\n]*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError(
            f"must be a whole number, not {value!r}" if isinstance(value, str) else "must be a whole number"
        )
    if value < 0:
        raise BadValueError("cannot be negative")
    if value > LARGEST_COUNT:
        raise BadValueError(f"{value} is too large (at most {LARGEST_COUNT})")
    return value


def switch(value: object) -> bool:
    """Read true or false; PgBouncer's 0 and 1 and the words people use are read too."""
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    known = words.get(str(value).strip().lower()) if isinstance(value, int | str) else None
    if known is None:
        raise BadValueError("must be true or false")
    return known


def text(value: object) -> str:
    """A string as C and PostgreSQL can hold it."""
    if not isinstance(value, str):
        raise BadValueError("must be a string, in quotes")
    if "\0" in value:
        raise BadValueError("must not hold a NUL character")
    return value


def words(value: object) -> tuple[str, ...]:
    """A list; a string is split at commas, as PgBouncer writes lists."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise BadValueError('must be a list of strings, such as ["a", "b"] or "a, b"')
    return tuple(stripped for item in value if (stripped := text(item).strip()))


def one_of(*known: str) -> Callable[[object], str]:
    """A word out of `known`."""

    def choice(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            raise BadValueError(f"must be one of {', '.join(known)}, not {value!r}")
        return value

    return choice


def between(least: int, most: int) -> Callable[[int], int]:
    """A check that a number is in range."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise BadValueError(f"must be between {least} and {most}, not {value}")
        return value

    return check


def rate(value: object) -> float:
    """How often a second; not negative."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not 0 <= number <= LARGEST_COUNT:
        raise BadValueError("must be a number, such as 10 or 0.5, of times a second; 0 switches the limit off")
    return number


def percentage(value: object) -> int:
    """Whole per cents.  The sign must be there: 1 could be all or next to nothing."""
    match = re.fullmatch(r"\s*([0-9]{1,3})\s*%\s*", value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 100:
        raise BadValueError('must be a percentage from "0%" to "100%", with its sign')
    return int(match[1])


Percentage = Annotated[int, BeforeValidator(percentage), Kind("percentage")]
Seconds = Annotated[float, BeforeValidator(seconds), Kind("duration", "s")]
WholeSeconds = Annotated[int, BeforeValidator(whole_seconds), Kind("duration", "s")]
Milliseconds = Annotated[int, BeforeValidator(milliseconds), Kind("duration", "ms")]
Size = Annotated[int, BeforeValidator(size), Kind("size", "B")]
Count = Annotated[int, BeforeValidator(count), Kind("number")]
Switch = Annotated[bool, BeforeValidator(switch), Kind("true or false")]
Text = Annotated[str, BeforeValidator(text), Kind("string")]
Words = Annotated[tuple[str, ...], BeforeValidator(words), Kind("list of strings")]
FILE = Kind("file")
File = Annotated[str, BeforeValidator(text), FILE]
Rate = Annotated[float, BeforeValidator(rate), Kind("number a second")]
