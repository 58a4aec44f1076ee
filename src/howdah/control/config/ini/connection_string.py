"""Connection strings of [databases], [users] and [peers]: `host=db port=5433 password='it''s'`."""

import re
from collections.abc import Iterator

_PAIR = re.compile(r"(?P<key>[^= \t]+)[ \t]*=[ \t]*(?:'(?P<quoted>(?:[^']|'')*)'(?P<glued>[^ \t]*)|(?P<bare>[^ \t]*))")
_BLANKS = re.compile(r"[ \t]*")


class ConnectionStringError(ValueError):
    """A sentence for people, advice behind "; "; it never holds a value, which may be a password."""


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """The keys and values in their order."""
    at = _skip(text, 0)
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            raise ConnectionStringError(_what_is_wrong(text[at:]))
        key, quoted = found["key"], found["quoted"]
        if found["glued"]:
            raise ConnectionStringError(f"behind the closing ' of {key} there must be a blank")
        value = found["bare"] if quoted is None else quoted.replace("''", "'")
        if quoted is None and value.startswith("'"):
            raise ConnectionStringError(f"there is no closing ' behind the value of {key}")
        if not value:
            raise ConnectionStringError(f"{key} has no value; remove it")
        yield key, value
        at = _skip(text, found.end())


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _what_is_wrong(rest: str) -> str:
    word = re.split(r"[= \t]", rest, maxsplit=1)[0]
    if not word:
        return "there is no name before a =; write it as host=db port=5432"
    # Not shown: it may be the rest of a password that has a blank in it.
    return "there is a word without =; write it as host=db port=5432, with '...' around values that hold blanks"
