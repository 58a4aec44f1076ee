"""The statements of a file like pgbouncer.ini: sections and assignments, with those of included files in between.

Python's configparser has other rules: here only whole lines are comments, a line may begin with blanks, a value never
goes on in the next line, names are case-sensitive, and a file that is included goes on in the section of the line that
includes it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from howdah.control.config.errors import Problem

#: As many files may be on the way to an included one, itself counted.
DEEPEST_INCLUDE = 10
#: C's isspace, but for the end of a line.
_BLANKS = " \t\v\f\r"
_INCLUDE = re.compile(r"%include[ \t]+(?P<name>.*)")
#: A name needs quotes when it holds anything else; letters beyond ASCII are PgBouncer's to refuse.
_ASSIGNMENT = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[\w.*-]*))[ \t]*=[ \t]*(?P<value>.*)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """`[section]`, where `key` is None, or an assignment in that section."""

    file: str
    line: int
    section: str
    key: str | None = None
    value: str = ""

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Reader:
    """Reads one file and what it includes; `load` gives a file's bytes or raises OSError."""

    load: Callable[[str], bytes]
    problems: list[Problem]  # goes on with this list
    _section: str | None = None
    _open: list[str] = field(default_factory=list)

    def read(self, path: str) -> Iterator[Statement]:
        """The statements in their order.  What is none goes to `problems`, and reading goes on behind it."""
        yield from self._text(path, self.load(path))

    def _text(self, path: str, raw: bytes) -> Iterator[Statement]:
        self._open.append(str(Path(path).resolve()))
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            yield from self._line(path, number, line.strip(_BLANKS))
        self._open.pop()

    def _line(self, path: str, number: int, line: str) -> Iterator[Statement]:
        where = f"{path}:{number}"
        while line.startswith("["):  # more may stand behind a section's name
            name, bracket, rest = line[1:].partition("]")
            if not bracket:
                self._complain(where, "there is no ] behind the section's name", "write it as [pgbouncer]")
                return
            self._section = name
            yield Statement(path, number, name)
            line = rest.strip(_BLANKS)
        if not line or line[0] in "#;":
            return
        if fault := unreadable(line):
            self._complain(where, *fault)
        elif include := _INCLUDE.fullmatch(line):
            yield from self._include(where, include["name"])
        else:
            yield from self._assignment(path, number, line)

    def _assignment(self, path: str, number: int, line: str) -> Iterator[Statement]:
        where = f"{path}:{number}"
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:
            advice = "write it as name = value; a name with other characters than letters, digits and _ . - needs "
            self._complain(where, "this is neither a setting nor a [section]", f'{advice}"quotes"')
            return
        quoted = found["quoted"]
        key = found["bare"] if quoted is None else quoted.replace('""', '"')
        if not key:
            self._complain(where, "there is no name before the =", "write it as name = value")
        elif self._section is None:
            self._complain(where, f"{key} stands before any section", "put it below [pgbouncer] or [databases]")
        else:
            yield Statement(path, number, self._section, key, found["value"])

    def _include(self, where: str, name: str) -> Iterator[Statement]:
        try:
            if str(Path(name).resolve()) in self._open:
                self._complain(where, f"{name} includes itself", "remove this line")
                return
            if len(self._open) >= DEEPEST_INCLUDE:
                self._complain(where, f"{name}: files are included over more than {DEEPEST_INCLUDE} levels")
                return
            raw = self.load(name)
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            advice = "a name without / in front is looked for in the directory that howdah was started in"
            self._complain(where, f"cannot include {name}: {reason}", advice)
            return
        yield from self._text(name, raw)

    def _complain(self, where: str, message: str, advice: str = "") -> None:
        self.problems.append(Problem(where, "", message, advice))


def unreadable(text: str) -> tuple[str, str] | None:
    """What keeps `text` from being read, and what to do about it.  In comments anything may stand."""
    if "\0" in text:
        return "holds a NUL character", "remove it"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "is not UTF-8", "save the file as UTF-8"
    return None
