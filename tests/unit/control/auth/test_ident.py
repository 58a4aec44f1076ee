"""Ident files: who the outside says may be which user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.python import ident as fuzzed
from fuzz.python import written
from howdah.control.auth.hba import read_hba, rules_of_auth_type
from howdah.control.auth.ident import missing_maps, read_ident
from howdah.dataplane.plan import MapLine, NameKind, NameMatch

ALL = NameMatch(NameKind.ALL)


def exact(name: str) -> NameMatch:
    return NameMatch(NameKind.EXACT, name)


def regex(pattern: str) -> NameMatch:
    return NameMatch(NameKind.REGEX, pattern)


def line(text: str) -> MapLine:
    ident = read_ident("pg_ident.conf", text)
    assert not ident.problems
    (only,) = ident.lines
    return only


def complaint(text: str) -> str:
    (problem,) = read_ident("pg_ident.conf", text).problems
    assert problem.fatal
    return str(problem)


@pytest.mark.parametrize(
    "text, system_user, user",
    [
        ("m bryanh bob", exact("bryanh"), exact("bob")),
        ("# comment\n\nm\tbryanh bob # comment", exact("bryanh"), exact("bob")),
        ('"m" "John ""J"" Doe" "b b"', exact('John "J" Doe'), exact("b b")),
        ("m root all", exact("root"), ALL),
        ('m root "all"', exact("root"), exact("all")),
        ("m all bob", exact("all"), exact("bob")),  # only the database user may be all
        ('m root "+bob"', exact("root"), exact("+bob")),
        (r"m /^(.*)@mydomain\.com$ \1", regex(r"^(.*)@mydomain\.com$"), exact(r"\1")),
        (r'm "/^([\w.-]+)@a, b$" x\1y', regex("^([[:alnum:]_.-]+)@a, b$"), exact(r"x\1y")),
        ("m root /^a", exact("root"), regex("^a")),
        ("m \\\n root bob", exact("root"), exact("bob")),
    ],
)
def test_a_line_maps_an_outside_name_to_a_user(text: str, system_user: NameMatch, user: NameMatch) -> None:
    assert line(text) == MapLine("m", system_user, user)


@pytest.mark.parametrize(
    "text, message",
    [
        ("m", "ends before the system user"),
        ("m root", "ends before the database user"),
        ("m John Doe bob", "more on the line"),
        ("m root a,b", "one name each"),
        ("m,n root bob", "one name each"),
        ("m root +staff", "roles' members"),
        (r"m root \1", "the system user has none"),
        (r"m /^.*$ \1", "the system user has none"),
        ("m /( bob", 'the regular expression "(": a ( is not closed'),
        ("m root /[a", 'the regular expression "[a": a [ is not closed'),
        (r"m /(a)\1 bob", r"\1 inside a regular expression is not supported"),
        ('m "root bob', "a quote is not closed"),
        ("include x", "no other files are read here"),
        ("m root\0 bob", "NUL"),
        ("m root\udcff bob", "UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_way_out(text: str, message: str) -> None:
    found = complaint(f"m a b\n\n{text}\nm c d")
    assert found.startswith("pg_ident.conf:3: ")
    assert message in found
    assert ";" in found, "no advice"


def test_files_are_included_where_they_may_be() -> None:
    ident = read_ident("pg_ident.conf", "include x\nm root @y", {"x": "m a b", "y": "bob"}.__getitem__)
    assert ident.lines == (MapLine("m", exact("a"), exact("b")), MapLine("m", exact("root"), exact("bob")))


def test_all_mistakes_are_named_at_once_and_the_rest_is_read() -> None:
    ident = read_ident("p", "m\nm a b\nm x +y\nm c d")
    assert [problem.where for problem in ident.problems] == ["p:1", "p:3"]
    assert [one.user for one in ident.lines] == [exact("b"), exact("d")]


def test_a_name_no_role_can_have_is_a_warning() -> None:
    ident = read_ident("p", f"m a {'x' * 64}")
    assert [problem.fatal for problem in ident.problems] == [False]
    assert len(ident.lines) == 1


def test_a_rule_whose_map_is_missing_is_named() -> None:
    hba = read_hba("h", "local all all peer map=m\nlocal all all peer\nlocal all all peer map=n", str)
    (problem,) = missing_maps(hba.lines, [MapLine("m", exact("a"), ALL)])
    assert str(problem) == 'h:3: there is no ident map "n"; maps are m'
    assert [problem.advice for problem in missing_maps(hba.lines, [])] == ["add it to the file of auth_ident_file"] * 2
    assert missing_maps(rules_of_auth_type("cert", ""), []) == []


NAMES = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), max_size=15).filter(
    lambda name: not name.startswith("/") and "\\1" not in name
)
SYSTEM_USERS = NAMES.map(exact) | st.sampled_from([regex('^(a|",")[.-]$')])
USERS = NAMES.map(exact) | st.sampled_from([ALL, regex("^a[[:digit:]]")])
MAP_LINES = st.builds(MapLine, NAMES, SYSTEM_USERS, USERS) | st.builds(
    MapLine, NAMES, st.just(regex("^(.*)@x$")), NAMES.map(lambda name: exact(f"{name}\\1"))
)


@given(st.lists(MAP_LINES))
def test_any_maps_written_down_are_read_as_they_are(lines: list[MapLine]) -> None:
    ident = read_ident("p", written.ident(lines))
    assert ident.lines == tuple(lines)
    assert not ident.problems


WORDS = st.sampled_from(
    [
        "m",
        "root",
        "all",
        "+a",
        "\\1",
        "/^(.*)$",
        "/(",
        '"',
        '"a b"',
        "@x",
        "include",
        ",",
        "#",
        "\n",
        "\r",
        "\\\n",
        "\0",
    ]
)


@given(st.binary() | st.lists(WORDS).map(lambda words: " ".join(words).encode()))
def test_no_input_raises_and_every_problem_has_its_line(data: bytes) -> None:
    fuzzed.check(data)
