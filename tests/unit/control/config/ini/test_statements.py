"""The lines of a pgbouncer.ini: each case was compared with what PgBouncer makes of it, unless it says otherwise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.config.errors import Problem
from howdah.control.config.ini.statements import DEEPEST_INCLUDE, Reader

#: What tells a file's lines apart, so that most examples are nearly right.
PIECES = st.sampled_from(["%include ", "pgbouncer", *"[]=\"'a \t\r\n;#*\0\ufeff\xe4"])
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def statements(text: str | bytes) -> list[tuple[str, str | None, str]]:
    """Section, key and value of each, of a file without faults."""
    found, problems = told(text)
    assert problems == []
    return found


def told(text: str | bytes) -> tuple[list[tuple[str, str | None, str]], list[str]]:
    raw = text if isinstance(text, bytes) else text.encode()
    problems: list[Problem] = []
    reader = Reader(lambda name: raw if name == "p.ini" else Path(name).read_bytes(), problems)
    found = [(statement.section, statement.key, statement.value) for statement in reader.read("p.ini")]
    return found, [str(problem) for problem in problems]


def test_sections_and_assignments() -> None:
    assert statements("[pgbouncer]\nlisten_port = 6432\n  pool_mode=session  \n\n[databases]\n*=host=db\n") == [
        ("pgbouncer", None, ""),
        ("pgbouncer", "listen_port", "6432"),
        ("pgbouncer", "pool_mode", "session"),
        ("databases", None, ""),
        ("databases", "*", "host=db"),
    ]


@pytest.mark.parametrize(
    "line, key, value",
    [
        ("a=1", "a", "1"),
        ("\t a \t=\t 1 \t", "a", "1"),
        ("a=1\r", "a", "1"),
        ("a =", "a", ""),
        ("a = 1 ; not a comment", "a", "1 ; not a comment"),
        ("a = # neither", "a", "# neither"),
        ("a = b = c", "a", "b = c"),
        ("u.n-d_x* = 1", "u.n-d_x*", "1"),
        ("a = '[x]'", "a", "'[x]'"),
        # PgBouncer refuses these; its manual has the first two.
        ('"a b" = 1', "a b", "1"),
        ('"a""b" = 1', 'a"b', "1"),
        ("größe = 1", "größe", "1"),
    ],
)
def test_an_assignment(line: str, key: str, value: str) -> None:
    assert statements(f"[s]\n{line}\n")[1:] == [("s", key, value)]


@pytest.mark.parametrize("line", ["", "   ", "\t\r", "; comment", "# comment", "  ; comment", "#a=1", "; caf\xe9 \0"])
def test_what_says_nothing(line: str) -> None:
    assert statements(b"[s]\n" + line.encode("latin-1") + b"\n") == [("s", None, "")]


def test_more_may_stand_behind_a_sections_name() -> None:
    found = statements("[a] [b] x=1\n[c] # comment\n")
    assert [(section, key) for section, key, _ in found] == [("a", None), ("b", None), ("b", "x"), ("c", None)]


def test_a_byte_order_mark_and_windows_lines_are_no_obstacle() -> None:
    assert statements("\ufeff[s]\r\na = 1\r\n") == [("s", None, ""), ("s", "a", "1")]


@pytest.mark.parametrize(
    "text, says",
    [
        ("a = 1", "p.ini:1: a stands before any section; put it below [pgbouncer] or [databases]"),
        ("[s]\na b = 1", "p.ini:2: this is neither a setting nor a [section]"),
        ("[s]\na", "p.ini:2: this is neither"),
        ('[s]\n"a = 1', "p.ini:2: this is neither"),
        ("[s]\na@b = 1", "p.ini:2: this is neither"),
        ("[s]\n = 1", "p.ini:2: there is no name before the ="),
        ("[s\na = 1", "p.ini:1: there is no ] behind the section's name"),
        ("[s]\n%includex.ini", "p.ini:2: this is neither"),
        ("[s]\na = \0", "p.ini:2: holds a NUL character"),
        (b"[s]\na = \xff", "p.ini:2: is not UTF-8; save the file as UTF-8"),
    ],
)
def test_what_is_no_statement(text: str | bytes, says: str) -> None:
    _, problems = told(text)
    assert problems[0].startswith(says)


def test_reading_goes_on_behind_a_fault() -> None:
    found, problems = told("[s]\n!\na = 1\n!\n")
    assert found == [("s", None, ""), ("s", "a", "1")]
    assert [problem.split(": ")[0] for problem in problems] == ["p.ini:2", "p.ini:4"]


def test_an_included_file_goes_on_in_the_section_and_may_leave_another(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/more.ini").write_text("b = 2\n%include other.ini")
    (folder / "other.ini").write_text("[t]\nc = 3")  # beside the working directory's files, not those of sub
    assert statements("[s]\na = 1\n %include \t sub/more.ini \nd = 4\n") == [
        ("s", None, ""),
        ("s", "a", "1"),
        ("s", "b", "2"),
        ("t", None, ""),
        ("t", "c", "3"),
        ("t", "d", "4"),
    ]


def test_statements_know_the_file_and_line_they_come_from(folder: Path) -> None:
    (folder / "more.ini").write_text("\n\nb = 2\n")
    reader = Reader(lambda name: b"[s]\n%include more.ini\nc = 3" if name == "p.ini" else Path(name).read_bytes(), [])
    assert [statement.where for statement in reader.read("p.ini")] == ["p.ini:1", "more.ini:3", "p.ini:3"]


def test_a_file_may_be_included_twice_side_by_side(folder: Path) -> None:
    (folder / "more.ini").write_text("[s]\n")
    assert statements("%include more.ini\n%include more.ini\n") == [("s", None, "")] * 2


def test_what_cannot_be_included(folder: Path) -> None:
    (folder / "loop.ini").write_text("%include ./loop.ini")
    (folder / "p.ini").touch()
    _, problems = told("%include nowhere.ini\n%include .\n%include p.ini\n%include loop.ini\n%include a.ini ; x\n")
    assert [problem.split(";")[0] for problem in problems] == [
        "p.ini:1: cannot include nowhere.ini: No such file or directory",
        "p.ini:2: cannot include .: Is a directory",
        "p.ini:3: p.ini includes itself",
        "loop.ini:1: ./loop.ini includes itself",
        "p.ini:5: cannot include a.ini ",
    ]


def test_files_are_included_over_so_many_levels_only(folder: Path) -> None:
    for level in range(DEEPEST_INCLUDE):
        (folder / f"{level}.ini").write_text(f"[{level}]\n%include {level + 1}.ini\n")
    found, (problem,) = told("%include 0.ini")
    assert len(found) == DEEPEST_INCLUDE - 1
    assert "over more than 10 levels" in problem


@given(st.one_of(TEXTS.map(str.encode), st.binary(max_size=60)))
def test_no_text_is_more_than_a_fault(raw: bytes) -> None:
    found, problems = told(raw.replace(b"%include ", b"%include /dev/null/"))
    for section, key, value in found:
        assert "\n" not in section + (key or "") + value
    assert all(problem.startswith("p.ini:") for problem in problems)
