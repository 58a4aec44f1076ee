"""The line of each key: held against tomllib, which says which keys there are, and against texts made line by line."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.config.locate import KeyPath, locate

TRICKY = '''\
# [not.a.table]
top = "[howdah]"  # = 1
[howdah]  # trailing
a.b = "x # y"
"q.k" = [1, 2,  # ]
  {z = 1, 'y' = [ ]},
]
text = """
[fake]
x = 1 \\""" still \\
"""
quotes = """"two quotes at the end: """""
literal = \'\'\'
y = 2 \\\'\'\'
[databases."a\\u0041b"]
when = 1979-05-27 07:32:00
[[array]]
k = 1
[[array]]
k = 2
[array.sub]
x.y = {a = 1, b = {c = 2}}
[ d . "e" . f ]
last = 1'''


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Every key there is, by tomllib."""
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths(item, (*path, key)) for key, item in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(item, (*path, number)) for number, item in enumerate(value)))
    return found


@pytest.mark.parametrize(
    "path, line",
    [
        (("top",), 2),
        (("howdah",), 3),
        (("howdah", "a", "b"), 4),
        (("howdah", "q.k"), 5),
        (("howdah", "q.k", 2, "y"), 6),
        (("howdah", "text"), 8),
        (("howdah", "quotes"), 12),
        (("howdah", "literal"), 13),
        (("databases",), 15),
        (("databases", "aAb", "when"), 16),
        (("array",), 17),
        (("array", 1, "k"), 20),
        (("array", 1, "sub", "x", "y", "b", "c"), 22),
        (("d", "e", "f", "last"), 24),
    ],
)
def test_lines_in_a_tricky_text(path: KeyPath, line: int) -> None:
    assert locate(TRICKY)[path] == line


@pytest.mark.parametrize("text", [TRICKY, TRICKY.replace("\n", "\r\n"), "", "\n\n", "# only a comment", "a = []"])
def test_all_keys_are_found_and_no_others(text: str) -> None:
    assert set(locate(text)) == paths(tomllib.loads(text))


KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True), st.text(max_size=5))
STRINGS = st.text(max_size=12)


def quoted(text: str) -> str:
    escaped = "".join(f"\\U{ord(c):08X}" if not c.isprintable() or c in '"\\' else c for c in text)
    return f'"{escaped}"'


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """A TOML value's text, over one line or several."""
    kind = draw(st.sampled_from(["string", "lines", "literal", "number", *(["array", "table"] if depth else [])]))
    if kind == "string":
        return quoted(draw(STRINGS))
    if kind == "lines":
        body = draw(st.lists(st.sampled_from(["", "[x]", "a = 1", "# c", 'say ""', "\\\\", '\\"'])))
        return '"""' + "\n".join(body) + draw(st.sampled_from(["", "\n"])) + '\n"""'
    if kind == "literal":
        return draw(st.sampled_from(["'a # b'", "'''\n[x]\ny = '1'\n'''", "'\\'", "''"]))
    if kind == "number":
        return draw(st.sampled_from(["1", "-2.5", "true", "inf", "0x1F", "1979-05-27T07:32:00Z", "07:32:00"]))
    items = draw(st.lists(values(depth - 1), max_size=3))
    if kind == "array":
        space = draw(st.sampled_from(["", " ", "\n  ", " # ] comment\n"]))
        return f"[{space}" + "".join(f"{item}{space},{space}" for item in items) + "]"
    names = draw(st.lists(KEYS, min_size=len(items), max_size=len(items), unique=True))
    return "{" + ", ".join(f"{quoted(name)} = {item}" for name, item in zip(names, items, strict=True)) + "}"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A TOML text, and on which line each key was put."""
    lines: list[str] = []
    where: dict[KeyPath, int] = {}
    for table in draw(st.lists(KEYS, max_size=3, unique=True)):
        lines += draw(st.lists(st.sampled_from(["", "# [x]", "  # a = 1"]), max_size=2))
        lines.append(f"[{quoted(table)}]")
        where[table,] = len(lines)
        for key in draw(st.lists(KEYS, max_size=4, unique=True)):
            lines += draw(st.lists(st.sampled_from(["", "#", "# k = '''"]), max_size=1))
            where[table, key] = len(lines) + 1
            lines += f"  {quoted(key)}= {draw(values())} # c".split("\n")
    return "\n".join(lines), where


@given(documents())
def test_any_text_gives_the_right_line_for_every_key(document: tuple[str, dict[KeyPath, int]]) -> None:
    text, where = document
    found = locate(text)
    assert set(found) == paths(tomllib.loads(text))
    assert {path: found[path] for path in where} == where
