"""Console text to statements, and statements to words.

The console needs no SQL grammar: strings, quoted names, comments and semicolons are enough.
"""

import re
from typing import NamedTuple

from howdah.control.console.action import ConsoleError

#: Of one text, in characters and in words: it is read in the loop's thread.
LONGEST_TEXT = 32 * 1024
MOST_TOKENS = 10_000

_TOKEN = re.compile(
    r"""
    (?P<space>   \s+ | --[^\n]* )
  | (?P<comment> /\* )
  | (?P<string>  [eE]?'(?:[^']|'')*' )
  | (?P<name>    "(?:[^"]|"")*" )
  | (?P<parameter> \$\d+ )
  | (?P<word>    [\w.]+ )
  | (?P<end>     ; )
  | (?P<symbol>  <= | >= | <> | != | \|\| | :: | ->>? | [^\s'"] )
    """,
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    kind: str  # string, name, parameter, word or symbol
    text: str  # without quotes; a word as it was written
    gap: bool = False  # there is something that separates it from the one before


Statement = tuple[Token, ...]


def split(text: str) -> list[Statement]:
    """The statements of `text`; empty ones are left out, as PostgreSQL does."""
    if len(text) > LONGEST_TEXT:
        raise ConsoleError("54000", f"text of {len(text)} characters is too long: the console reads {LONGEST_TEXT}")
    found: list[Statement] = []
    current: list[Token] = []
    at, gap, tokens = 0, False, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConsoleError("42601", f'unterminated quoted text at or near "{text[at : at + 40]}"')
        kind = match.lastgroup or ""
        at = _after_comment(text, match.end()) if kind == "comment" else match.end()
        if kind == "end":
            found.append(tuple(current))
            current = []
        elif kind not in ("space", "comment"):
            current.append(Token(kind, _plain(kind, match.group()), gap))
            tokens += 1
            if tokens > MOST_TOKENS:
                raise ConsoleError("54000", f"text has more than {MOST_TOKENS} words and signs")
        gap = kind in ("space", "comment")
    found.append(tuple(current))
    return [statement for statement in found if statement]


def _after_comment(text: str, at: int) -> int:
    """Comments nest in PostgreSQL."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, at)
        if edge is None:
            raise ConsoleError("42601", "unterminated /* comment")
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return at


def _plain(kind: str, text: str) -> str:
    if kind == "string":
        return text[text.index("'") + 1 : -1].replace("''", "'")
    return text[1:-1].replace('""', '"') if kind == "name" else text


def written(statement: Statement) -> str:
    """As somebody could have written it."""
    return "".join(f"{' ' if token.gap else ''}{_quoted(token)}" for token in statement).lstrip()


def _quoted(token: Token) -> str:
    if token.kind == "string":
        return "'" + token.text.replace("'", "''") + "'"
    return '"' + token.text.replace('"', '""') + '"' if token.kind == "name" else token.text
