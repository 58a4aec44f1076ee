"""Settings as they are written in a howdah.toml: for the example, the reference and `howdah convert`."""

import json

from pydantic.fields import FieldInfo

from howdah.control.config.units import DURATIONS, Kind

_STRING = Kind("string")


def kind_of(field: FieldInfo) -> Kind:
    """The type's name; that of `X | None` is X's, one level down."""
    return next((mark for mark in _marks(field) if isinstance(mark, Kind)), _STRING)


def _marks(field: FieldInfo) -> list[object]:
    parts = getattr(field.annotation, "__args__", ())
    return [*field.metadata, *(mark for part in parts for mark in getattr(part, "__metadata__", ()))]


def written(value: object, kind: Kind) -> str:
    """A value as it stands in a howdah.toml."""
    if kind.name == "octal string":
        return f'"0{value:o}"'
    if kind.name == "duration" and isinstance(value, int | float):
        return duration(value, kind.unit)
    if kind.name == "percentage":
        return f'"{value}%"'
    if isinstance(value, tuple):
        return f"[{', '.join(quoted(str(item)) for item in value)}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def duration(value: float, unit: str) -> str:
    """In the largest unit that leaves a whole number; 0 needs none, nor does what is no whole number of any."""
    microseconds = round(value * DURATIONS[unit])
    if microseconds / DURATIONS[unit] != value:
        return repr(value)
    if not microseconds:
        return "0"
    larger = next(name for name, size in reversed(list(DURATIONS.items())) if microseconds % size == 0)
    return f'"{microseconds // DURATIONS[larger]}{larger}"'


def quoted(text: str) -> str:
    """A basic string; JSON's escapes are TOML's, but for the one character that JSON lets pass."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A name in a table's header or in front of a =."""
    return name if name and name.isascii() and name.replace("_", "").replace("-", "").isalnum() else quoted(name)
