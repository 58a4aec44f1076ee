"""Where in a TOML file each key stands: tomllib reads values and forgets lines, error messages need them.

This only looks for positions in a text that tomllib has already accepted, so it checks nothing itself.
"""

import bisect
import re
import tomllib

#: A key's way from the top: ("databases", "app", "port"); numbers count the tables of an array.
KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: In the order in which they must be tried.
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def locate(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key and table in `text`; a table's is that of its first mention."""
    return _Search(text).lines


class _Search:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._tables_of_array: dict[KeyPath, int] = {}
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(text):
            if self._next("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        line, is_array = self._line(), self._next("[[")
        self._at += 2 if is_array else 1
        path = self._note((), self._keys(), line)
        self._at += 2 if is_array else 1
        if is_array:
            number = self._tables_of_array[path] = self._tables_of_array.get(path, -1) + 1
            path = (*path, number)
            self.lines[path] = line
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = self._note(table, self._keys(), line)
        self._at += 1  # the "="
        self._value(path)

    def _note(self, path: KeyPath, keys: list[str], line: int) -> KeyPath:
        """Record each key on the way.  A name that stands for an array of tables means its latest one."""
        for key in keys:
            if path in self._tables_of_array:
                path = (*path, self._tables_of_array[path])
            path = (*path, key)
            self.lines.setdefault(path, line)
        return path

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._next("."):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        if self._next('"') or self._next("'"):
            raw = self._string()
            key = str(tomllib.loads(f"key = {raw}")["key"])
        else:
            key = self._take(_BARE_KEY)
        self._skip(_SPACE)
        return key

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline_table(path)
        elif self._next('"') or self._next("'"):
            self._string()
        else:
            self._take(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        number = 0
        self._step_inside()
        while not self._next("]"):
            self.lines[*path, number] = self._line()
            self._value((*path, number))
            number += 1
            self._skip_comma()
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._step_inside()
        while not self._next("}"):
            self._pair(path)
            self._skip_comma()
        self._at += 1

    def _step_inside(self) -> None:
        self._at += 1
        self._skip(_BLANK)

    def _skip_comma(self) -> None:
        self._skip(_BLANK)
        if self._next(","):
            self._step_inside()

    def _string(self) -> str:
        return next(taken for pattern in _STRINGS if (taken := self._take(pattern)))

    def _next(self, start: str) -> bool:
        return self._text.startswith(start, self._at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _line(self) -> int:
        return bisect.bisect_left(self._breaks, self._at) + 1
