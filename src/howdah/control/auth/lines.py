"""The form that HBA files, ident files and the lists they name share: lines of fields, fields of words.

It is that of PostgreSQL's hba.c: blanks between fields, commas inside one, double quotes, `#` comments, a backslash at
the end of a line, `@file` for the words of another file and `include` for its lines.  What the words mean is the
business of `hba` and `ident`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from howdah.control.config.errors import Problem

#: How deep files may name files; PostgreSQL's own limit.
DEEPEST = 10
#: Together these hold off files that name each other so that a few of them make an endless list.
MOST_FILES = 1_000
MOST_WORDS = 1_000_000
MOST_PROBLEMS = 100
LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer ones off when it makes a role or database

_BLANKS = " \t\r"
_PIECE = re.compile(r'[^ \t\r,#"]+|"((?:[^"]|"")*+)"')
_SURROGATE = re.compile("[\ud800-\udfff]")  # what "surrogateescape" makes of bytes that are no UTF-8


@dataclass(frozen=True, slots=True)
class Word:
    """`quoted` words have no special meaning."""

    text: str
    quoted: bool
    where: str  # "pg_hba.conf:12", where it is written


@dataclass(frozen=True, slots=True)
class Line:
    where: str
    fields: tuple[tuple[Word, ...], ...]  # none of them empty, but for what an empty @file gives
    fine: bool = True  # whether all files that it names could be read


@dataclass(slots=True)
class Lines:
    """Reads one file and those it names; what is wrong collects in `problems`.

    `read` gives the text of a file, or raises OSError or ValueError.
    """

    read: Callable[[str], str]
    problems: list[Problem] = field(default_factory=list)
    files: int = 0
    words: int = 0

    def of(self, path: str, text: str, inside: tuple[str, ...] = ()) -> Iterator[Line]:
        """All lines that have fields; `inside` are the files that led here."""
        inside = (*inside, os.path.normpath(path))
        for number, joined in _joined(text.removeprefix("\ufeff")):
            where, before = f"{path}:{number}", len(self.problems)
            fields = self._fields(joined, where, inside)
            if fields and self._is_include(fields):
                yield from self._included(fields, where, inside)
            elif fields:
                yield Line(where, tuple(fields), len(self.problems) == before)

    def line(self, text: str, where: str) -> Line:
        """`text` as one line that stands in no file."""
        return Line(where, tuple(self._fields(text, where, ())))

    def _complain(self, where: str, message: str, advice: str) -> None:
        self.problems.append(Problem(where, "", message, advice))

    def _fields(self, text: str, where: str, inside: tuple[str, ...]) -> list[tuple[Word, ...]]:
        if reason := _not_text(text):
            self._complain(where, reason, "is this a text file in UTF-8?")
            return []
        fields: list[list[Word]] = []
        open_field = False  # a comma at the end of a word goes on with the field, blanks or not
        try:
            for word, comma in _words(text, where):
                if not open_field:
                    fields.append([])
                fields[-1] += self._expanded(word, inside)
                open_field = comma
        except _UnterminatedQuote:
            self._complain(where, "a quote is not closed", 'end it with "; a quote inside quotes is written ""')
            return []
        return [tuple(words) for words in fields]

    def _expanded(self, word: Word, inside: tuple[str, ...]) -> tuple[Word, ...]:
        """The word itself, or those of the file it names."""
        self.words += 1
        if self.words == MOST_WORDS:
            self._complain(word.where, f"more than {MOST_WORDS:,} names", "do the files name each other?")
        if self.words >= MOST_WORDS:
            return ()
        if word.quoted or not word.text.startswith("@") or word.text == "@":
            return (word,)
        path, text = self._opened(word.text[1:], word.where, inside)
        return tuple(named for line in self.of(path, text, inside) for words in line.fields for named in words)

    def _is_include(self, fields: list[tuple[Word, ...]]) -> bool:
        return len(fields) == 2 and fields[0][:1] != () and fields[0][0].text in _INCLUDES

    def _included(self, fields: list[tuple[Word, ...]], where: str, inside: tuple[str, ...]) -> Iterator[Line]:
        how = fields[0][0].text
        if how == "include_dir":
            self._complain(where, "include_dir is not supported", "include the files one by one")
            return
        if len(fields[1]) != 1:
            self._complain(where, f"{how} takes one file", "write a line for each")
            return
        path, text = self._opened(fields[1][0].text, where, inside, may_lack=how == "include_if_exists")
        yield from self.of(path, text, inside)

    def _opened(self, name: str, where: str, inside: tuple[str, ...], may_lack: bool = False) -> tuple[str, str]:
        """Path and text of a file named in another one; no text where there is something wrong with it."""
        path = os.path.normpath(Path(inside[-1]).parent / name if inside else name)
        text = ""
        self.files += 1
        if path in inside:
            self._complain(where, f"{shown(path)} includes itself", "remove one of the lines that lead there")
        elif len(inside) >= DEEPEST:
            self._complain(where, f"files are nested more than {DEEPEST} deep", "name the file further up")
        elif self.files > MOST_FILES:
            if self.files == MOST_FILES + 1:
                self._complain(where, f"more than {MOST_FILES:,} files are named", "put them together")
        else:
            text = self._read(path, where, may_lack)
        return path, text

    def _read(self, path: str, where: str, may_lack: bool) -> str:
        try:
            return self.read(path)
        except FileNotFoundError:
            if not may_lack:
                self._complain(where, f"{shown(path)}: no such file", "names are relative to this file's folder")
        except UnicodeDecodeError:
            self._complain(where, f"{shown(path)} is not UTF-8", "save it as UTF-8")
        except OSError as error:
            self._complain(where, f"{shown(path)} cannot be read: {error.strerror}", "check its permissions")
        except ValueError as error:
            self._complain(where, f"{shown(path)} cannot be read: {printable(str(error))}", "check its name")
        return ""


_INCLUDES = ("include", "include_if_exists", "include_dir")


class _UnterminatedQuote(Exception):
    pass


def _not_text(text: str) -> str:
    """Why `text` cannot be compared with anything a client sends; empty: it can."""
    if "\0" in text:
        return "holds a NUL character"
    return "is not UTF-8" if _SURROGATE.search(text) else ""


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Each line and its number, counted from 1; one that ends with a backslash goes on in the next.

    As in PostgreSQL (14 and later) comments go on too, and the number is that of the first line.
    """
    begun: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        begun.append(line.removesuffix("\r"))
        if begun[-1].endswith("\\") and number < len(lines):
            begun[-1] = begun[-1][:-1]
            continue
        yield number - len(begun) + 1, "".join(begun)
        begun = []


def _words(text: str, where: str) -> Iterator[tuple[Word, bool]]:
    """Each word, and whether a comma ends it."""
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in _BLANKS + ",":
            at += 1
        if at == end or text[at] == "#":
            return
        quoted = text[at] == '"'
        pieces: list[str] = []
        while piece := _PIECE.match(text, at):
            pieces.append(piece[0] if piece[1] is None else piece[1].replace('""', '"'))
            at = piece.end()
        if at < end and text[at] == '"':
            raise _UnterminatedQuote
        yield Word("".join(pieces), quoted, where), at < end and text[at] == ","


# --- what is said about them


def shown(text: str) -> str:
    """`text` in quotes for a message: short, and nothing in it that a terminal would obey."""
    return f'"{printable(text if len(text) <= 80 else f"{text[:77]}...")}"'


def printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def is_too_long(name: str) -> bool:
    return len(name) > LONGEST_NAME or len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME


def first_of(problems: Iterable[Problem]) -> list[Problem]:
    """At most `MOST_PROBLEMS` of them: a wrong file has one in each line."""
    problems = list(problems)
    if len(problems) <= MOST_PROBLEMS:
        return problems
    left = problems[MOST_PROBLEMS - 1 :]
    last = replace(left[0], message=f"{len(left):,} more problems", advice="", fatal=any(one.fatal for one in left))
    return [*problems[: MOST_PROBLEMS - 1], last]
