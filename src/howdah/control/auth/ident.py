"""PostgreSQL's pg_ident.conf: which names of the outside (certificates, the operating system) may be which users."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from howdah.control.auth.hba import HbaLine
from howdah.control.auth.lines import LONGEST_NAME, Line, Lines, Word, first_of, is_too_long, shown
from howdah.control.auth.pattern import Pattern, posix
from howdah.control.config.errors import Problem
from howdah.dataplane.plan import MapLine, NameKind, NameMatch


@dataclass(frozen=True, slots=True)
class Ident:
    """What a file says; not to be used when a problem is fatal."""

    lines: tuple[MapLine, ...]
    problems: list[Problem]


def _nothing(_path: str) -> str:
    raise ValueError("no other files are read here")


def read_ident(path: str, text: str, read: Callable[[str], str] = _nothing) -> Ident:
    """Read a whole file; `path` names it in problems.  Raises nothing: what is wrong is in `problems`.

    `read` gives the text of files that `include` and `@` name; see `read_hba`.
    """
    lines = Lines(read)
    maps = [_Row(line, lines.problems).map_line() for line in lines.of(path, text)]
    return Ident(tuple(line for line in maps if line is not None), first_of(lines.problems))


def missing_maps(lines: Iterable[HbaLine], maps: Iterable[MapLine]) -> list[Problem]:
    """The rules whose map= names a map that is not there: nobody could log in by them."""
    known = {line.map for line in maps}
    advice = f"maps are {', '.join(sorted(known))}" if known else "add it to the file of auth_ident_file"
    return [
        Problem(line.rule.where, "", f"there is no ident map {shown(line.rule.map)}", advice)
        for line in lines
        if line.rule.map and line.rule.map not in known
    ]


@dataclass(slots=True)
class _Row:
    line: Line
    problems: list[Problem]
    fine: bool = True

    def map_line(self) -> MapLine | None:
        """The line's entry; None: it has problems."""
        words = self._words()
        if words is None:
            return None
        name, system, user = words
        pattern = self._regex(system) if system.text.startswith("/") else None
        system_user = NameMatch(NameKind.REGEX, pattern.text) if pattern else NameMatch(NameKind.EXACT, system.text)
        made = MapLine(name.text, system_user, self._user(user, pattern))
        return made if self.fine and self.line.fine else None

    def _words(self) -> tuple[Word, Word, Word] | None:
        fields = self.line.fields
        if len(fields) < 3:
            missing = ("map", "system user", "database user")[len(fields)]
            self._complain(f"the line ends before the {missing}", "lines are: map system-user database-user")
            return None
        if len(fields) > 3:
            # PostgreSQL passes over it.  It may be the second half of a name, and then the user is another one.
            advice = "put names with blanks in double quotes, and # in front of comments"
            self._complain("there is more on the line than map, system user and database user", advice)
            return None
        if any(len(words) != 1 for words in fields):
            self._complain("map, system user and database user are one name each", "write a line for each")
            return None
        return fields[0][0], fields[1][0], fields[2][0]

    def _complain(self, message: str, advice: str, fatal: bool = True) -> None:
        self.fine = self.fine and not fatal
        self.problems.append(Problem(self.line.where, "", message, advice, fatal))

    def _user(self, word: Word, system: Pattern | None) -> NameMatch:
        text = word.text
        if text.startswith("/"):
            pattern = self._regex(word)
            return NameMatch(NameKind.REGEX, pattern.text) if pattern else NameMatch(NameKind.EXACT, text)
        if not word.quoted and text == "all":
            return NameMatch(NameKind.ALL)
        if not word.quoted and text.startswith("+"):
            self._complain(f"{shown(text)}: roles' members are known to PostgreSQL alone", "write a line for each user")
        if "\\1" in text and (system is None or system.groups == 0):
            advice = "make it /... with ( ) around the part that is meant"
            self._complain("\\1 is the first group of a regular expression, and the system user has none", advice)
        elif is_too_long(text):
            advice = f"PostgreSQL's names have at most {LONGEST_NAME} bytes"
            self._complain(f"{shown(text)} is no user: it is too long", advice, fatal=False)
        return NameMatch(NameKind.EXACT, text)

    def _regex(self, word: Word) -> Pattern | None:
        try:
            return posix(word.text[1:])
        except ValueError as error:
            message, _, advice = str(error).partition("; ")
            self._complain(f"the regular expression {shown(word.text[1:])}: {message}", advice)
            return None
