"""Regular expressions, from PostgreSQL's spelling to POSIX's; an integration test compares what they fit."""

import ctypes
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.auth.pattern import posix

EXTENDED = 1


def compiles(pattern: str) -> bool:
    """Whether libc takes it, as it must in the data plane."""
    libc = ctypes.CDLL(None)
    regex = ctypes.create_string_buffer(256)
    taken: bool = libc.regcomp(regex, pattern.encode(), EXTENDED) == 0
    if taken:
        libc.regfree(regex)
    return taken


@pytest.mark.parametrize(
    "written, spelled",
    [
        ("abc", "abc"),
        (r"^db\d{2,4}$", "^db[[:digit:]]{2,4}$"),
        (r"^([\w.\-]+)@example\.com$", r"^([[:alnum:]_.-]+)@example\.com$"),
        (r"\D\W\S", "[^[:digit:]][^[:alnum:]_][^[:space:]]"),
        (r"\Aa\Z", "^a$"),
        ("(a|b)*(c)+d?", "(a|b)*(c)+d?"),
        ("a{3}b{3,}c{3,5}", "a{3}b{3,}c{3,5}"),
        ("a{b}", r"a\{b\}"),
        ("[]a]", "[]a]"),
        ("[^]a]", "[^]a]"),
        (r"[\]\^\-\[]", "[][^-]"),
        (r"[\^]", r"\^"),
        ("[a-c0-9_]", "[a-c0-9_]"),
        ("[[:alpha:]x]", "[[:alpha:]x]"),
        (r"[\[:]", "[:[]"),
        (r"\-\@\/", "-@/"),
        ("ä", "ä"),
        ("()", "()"),
    ],
)
def test_the_same_is_spelled_as_posix_has_it(written: str, spelled: str) -> None:
    assert posix(written).text == spelled
    assert compiles(spelled)


@pytest.mark.parametrize(
    "written",
    ["(((a{1,200}){1,200}){1,200})", "(a{255}){255}", "((a{2,}){255}){3}", "a{255}" * 10, "(" * 20 + "a" + ")+" * 20,
     "((([a-z]|b*)?)+){200,}"],
)  # fmt: skip
def test_what_libc_would_choke_on_is_refused(written: str) -> None:
    """The first of them took 2 GB and then the process."""
    with pytest.raises(ValueError, match="too much when written out"):
        posix(written)


@pytest.mark.parametrize("depth, taken", [(100, True), (101, False), (60_000, False)])
def test_parentheses_are_so_deep_and_no_deeper(depth: int, taken: bool) -> None:
    """Each is a call within a call in libc: 60,000 were the end of the process."""
    written = "(" * depth + "a" + ")" * depth
    if taken:
        assert compiles(posix(written).text)
        return
    with pytest.raises(ValueError, match="more than 100 deep"):
        posix(written)


@pytest.mark.parametrize(
    "written", ["^(" + "|".join(f"user{n}" for n in range(2000)) + ")$", "(a{1,40}){1,40}", "a+" * 900]
)
def test_what_is_only_long_is_taken(written: str) -> None:
    assert compiles(posix(written).text)


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("", "is empty"),
        ("a\\", "ends with a backslash"),
        (r"(a)\1", "is not supported"),
        (r"\bword", r"\b is not supported"),
        (r"\ym", r"\y is not supported"),
        ("(?i)a", "(? is not supported"),
        ("a*?", "follows another repetition"),
        ("a{2}{3}", "follows another repetition"),
        ("*a", "has nothing to repeat"),
        ("(+a)", "has nothing to repeat"),
        ("a|{2}", "has nothing to repeat"),
        ("^*", "has nothing to repeat"),
        ("***:a", "has nothing to repeat"),
        ("a{2", "is malformed"),
        ("a{2,x}", "is malformed"),
        ("a{3,2}", "is not a repetition"),
        ("a{256}", "is not a repetition"),
        ("(a", "a ( is not closed"),
        ("a)", "a ) closes nothing"),
        ("[a", "a [ is not closed"),
        ("[]", "a [ is not closed"),
        ("[z-a]", "is no range"),
        ("[+--]", "is no range"),
        (r"[a-\d]", "is no range"),
        ("[[:nothing:]]", "unknown class"),
        ("[[=a=]]", "unknown class"),
        ("[[.a.]]", "unknown class"),
        (r"[\\]", "between brackets is not supported"),
        (r"[\n]", "between brackets is not supported"),
        ("[ä]", "between brackets is not supported"),
        ("[a-ä]", "between brackets is not supported"),
    ],
)
def test_what_would_mean_something_else_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        posix(pattern)


def test_groups_are_counted() -> None:
    assert [posix(pattern).groups for pattern in ("a", r"\(a\)", "[(]", "(a(b))|(c)")] == [0, 0, 0, 3]


@given(st.text("ab1(){}[]|*+?^$.\\-,:dwWäA", max_size=12))
def test_what_is_taken_libc_takes_and_it_stays_the_same(pattern: str) -> None:
    try:
        spelled = posix(pattern).text
    except ValueError:
        return
    assert compiles(spelled)
    assert posix(spelled).text == spelled
    assert not re.search(r"\[[^\]]*\\", re.sub(r"\\.", "", spelled)), "a backslash between brackets"
