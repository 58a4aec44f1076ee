"""A configuration in the making: raw tables, and for each key where it came from.

`Draft.finish` checks everything at once: each value by its type, then what values must agree on.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from howdah.control.config.agreement import findings
from howdah.control.config.errors import ConfigError, Problem
from howdah.control.config.faults import Fault, describe
from howdah.control.config.finding import Finding
from howdah.control.config.locate import KeyPath
from howdah.control.config.schema import Config, Tables


@dataclass(slots=True)
class Draft:
    """Filled by the readers in `load`, later values over earlier ones."""

    source: str  # for people
    tables: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    locate: Callable[[], dict[KeyPath, int]] = dict  # finds the lines of the keys in the file
    places: dict[KeyPath, str] = field(default_factory=dict)  # of the keys from elsewhere
    notes: list[Problem] = field(default_factory=list)  # warnings about what is not a key
    embedded: bool = False
    sample_database: str | None = None
    sample_user: str = ""
    pgbouncer: bool = False  # read by PgBouncer's rules
    _lines: dict[KeyPath, int] | None = None

    @property
    def lines(self) -> dict[KeyPath, int]:
        """Of the keys in the file: looked for when somebody wants to know, mostly because something is wrong."""
        if self._lines is None:
            self._lines = self.locate()
        return self._lines

    def put(self, table: str, key: str, value: object, *, where: str) -> None:
        """Set one global setting."""
        entries = self.tables.setdefault(table, {})
        if isinstance(entries, dict):  # else it is at fault itself, and told so
            entries[key] = value
            self.places[table, key] = where

    def put_default(self, table: str, key: str, value: object, *, where: str) -> None:
        """Set one global setting that nobody else has set."""
        entries = self.tables.get(table, {})
        if isinstance(entries, dict) and key not in entries:
            self.put(table, key, value, where=where)

    def put_entries(self, table: str, name: str, settings: dict[str, Any], *, where: str) -> None:
        """Settings of one database or user; those that the file has win."""
        entries = self.tables.setdefault(table, {})
        if not isinstance(entries, dict) or not isinstance(entries.setdefault(name, {}), dict):
            return  # at fault itself, and told so
        for key in settings.keys() - entries[name].keys():
            entries[name][key] = settings[key]
            self.places[table, name, key] = where
        if (table, name) not in self.lines:
            self.places[table, name] = where

    def finish(self) -> Config:
        """The configuration; ConfigError with all that is wrong, in the order of the file."""
        tables, faults = self._validate()
        problems = sorted([*self._problems(faults), *self.notes], key=self._line)
        if tables is None or any(problem.fatal for problem in problems):
            raise ConfigError([problem for problem in problems if problem.fatal])
        return Config(
            settings=tables.howdah,
            databases=tables.databases,
            users=tables.users,
            peers=tables.peers,
            pgbouncer=self.pgbouncer,
            source=self.source,
            path=self.path,
            embedded=self.embedded,
            warnings=tuple(problems),
            sample_database=self.sample_database or _sample(tables),
            sample_user=self.sample_user,
        )

    def _line(self, problem: Problem) -> float:
        """What to sort by: problems of the file stand in its order, all others behind them as they came."""
        file, _, line = problem.where.rpartition(":")
        return int(line) if file == self.path and line.isdecimal() else math.inf

    def _validate(self) -> tuple[Tables | None, list[Fault]]:
        """The tables and what is wrong.  With some values at fault the others are still held against each other."""
        try:
            tables = Tables.model_validate(self.tables)
        except ValidationError as error:
            faults = [describe(details, pgbouncer=self.pgbouncer) for details in error.errors(include_url=False)]
            return None, faults + list(self._agreement_of_the_rest([fault.keys[0] for fault in faults]))
        return tables, [self._as_fault(finding) for finding in findings(tables)]

    def _agreement_of_the_rest(self, at_fault: list[KeyPath]) -> Iterator[Fault]:
        try:
            tables = Tables.model_validate(_without(self.tables, (), set(at_fault)))
        except ValidationError:
            return
        for finding in findings(tables):
            if not any(key[: len(bad)] == bad or bad[: len(key)] == key for key in finding.keys for bad in at_fault):
                yield self._as_fault(finding)

    def _as_fault(self, finding: Finding) -> Fault:
        return Fault(tuple(finding.keys), finding.message, finding.advice, finding.stops(pgbouncer=self.pgbouncer))

    def _problems(self, faults: Iterable[Fault]) -> list[Problem]:
        placed = [(*self._where(fault.keys), fault) for fault in faults]
        placed.sort(key=lambda entry: entry[0])
        return [
            Problem(where, _shown(key), fault.message, fault.advice, fault.fatal) for _, where, key, fault in placed
        ]

    def _where(self, keys: Iterable[KeyPath]) -> tuple[float, str, KeyPath]:
        """The line to sort by, the place in words, and which of `keys` it is about: the first that somebody has set."""
        candidates = list(keys)
        for key in candidates:
            if key in self.places:
                return math.inf, self.places[key], key
            if key in self.lines:
                return self.lines[key], f"{self.path}:{self.lines[key]}", key
        key = candidates[0]
        for length in range(len(key) - 1, 0, -1):
            if line := self.lines.get(key[:length]):
                return line, f"{self.path}:{line}", key
        return math.inf, self.source, key


def _without(raw: dict[str, Any], path: KeyPath, at_fault: set[KeyPath]) -> dict[str, Any]:
    return {
        key: _without(value, (*path, key), at_fault) if isinstance(value, dict) else value
        for key, value in raw.items()
        if (*path, key) not in at_fault
    }


def _shown(key: KeyPath) -> str:
    """A key as a person would write it; [howdah] goes without saying."""
    parts = key[1:] if key[0] == "howdah" and len(key) > 1 else key
    return ".".join(str(part) if _is_bare(str(part)) else f'"{part}"' for part in parts)


def _is_bare(part: str) -> bool:
    return part.isascii() and part.replace("_", "").replace("-", "").isalnum()


def _sample(tables: Tables) -> str | None:
    return next((name for name in tables.databases if name != "*"), None)
