"""A pgbouncer.ini as a howdah.toml that means the same.  Only what the file sets, and PgBouncer's own defaults where
howdah has others, is written; what has no counterpart becomes a comment.
"""

from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from howdah.control.config.agreement import findings
from howdah.control.config.draft import Draft
from howdah.control.config.errors import Problem
from howdah.control.config.locate import KeyPath
from howdah.control.config.schema import Config, Table
from howdah.control.config.toml import key, kind_of, quoted, written


def converted(draft: Draft) -> tuple[str, tuple[Problem, ...]]:
    """The text of the howdah.toml, and what there is to say about it.  ConfigError when the draft has faults."""
    config = draft.finish()
    lines = [
        f"# Made by 'howdah convert' from {_one_line(config.source)}; deploy/howdah.toml has all settings there are.",
        *(f"# Note: {_one_line(str(note))}" for note in draft.notes),
        "",
        *_toml(config, draft),
    ]
    return "\n".join(lines) + "\n", config.warnings


def _toml(config: Config, draft: Draft) -> Iterator[str]:
    idle = _without_effect(config)
    yield "[howdah]"
    yield from _settings(config.settings, ("howdah",), idle, draft)
    tables: Mapping[str, Mapping[str, Table]] = {
        "databases": config.databases,
        "users": config.users,
        "peers": config.peers,
    }
    for table, entries in tables.items():
        for name, entry in entries.items():
            yield ""
            yield f"[{table}.{key(name)}]"
            yield from _settings(entry, (table, name), idle, draft)


def _without_effect(config: Config) -> Mapping[KeyPath, str]:
    """What PgBouncer takes and makes nothing of, and howdah refuses in a file of its own, with the reason."""
    return {
        finding.keys[0]: finding.message
        for finding in findings(config.tables())
        if finding.tolerated and finding.fatal and finding.keys[0] != ("howdah", "auth_type")
    }


def _settings(table: Table, path: KeyPath, idle: Mapping[KeyPath, str], draft: Draft) -> Iterator[str]:
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        if name not in table.model_fields_set or value is None:
            continue
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        line = f"{name} = {written(value, kind_of(field))}"
        full = (*path, name)
        if full in idle:
            yield f"#{line}  # without effect: {_one_line(idle[full])}"
        else:
            yield line + (_origin(full, draft) if path == ("howdah",) else "")


def _origin(full: KeyPath, draft: Draft) -> str:
    return "" if full in draft.lines or draft.places.get(full) != draft.path else "  # PgBouncer's default"


def _one_line(text: str) -> str:
    """Names of files and databases may hold anything."""
    return quoted(text)[1:-1].replace('\\"', '"')
