"""What has become different from one configuration to the next, a sentence for each: for the log and for RELOAD."""

from collections.abc import Iterator, Mapping

from howdah.control.config.schema import Config
from howdah.control.config.shown import shown
from howdah.control.config.table import Table


def changes(before: Config, after: Config) -> tuple[str, ...]:
    """Settings, then databases, then users, each in alphabetical order.  Secrets are not shown."""
    return (
        *(f"{name}: {old} -> {new}" for name, old, new in _differences(before.settings, after.settings)),
        *_entries("database", before.databases, after.databases),
        *_entries("user", before.users, after.users),
    )


def _differences(before: Table, after: Table) -> Iterator[tuple[str, str, str]]:
    for name in sorted(type(after).model_fields):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield name, _worded(name, old), _worded(name, new)


def _worded(name: str, value: object) -> str:
    return "unset" if value is None else shown(name, value) or "(empty)"


def _entries(kind: str, before: Mapping[str, Table], after: Mapping[str, Table]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{kind} {name}: removed"
        elif name not in before:
            yield f"{kind} {name}: added"
        elif before[name] != after[name]:
            differences = _differences(before[name], after[name])
            yield f"{kind} {name}: {', '.join(f'{key}: {old} -> {new}' for key, old, new in differences)}"
