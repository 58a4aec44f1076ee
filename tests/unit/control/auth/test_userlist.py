"""PgBouncer's userlist.txt: what is read, and what is said of lines that cannot be."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.python import userlist as fuzzed
from fuzz.python import written
from howdah.control.auth.secrets import NO_PASSWORD, parse_secret
from howdah.control.auth.userlist import Users, read_userlist
from howdah.dataplane.plan import Secret

MD5 = "md545f2603610af569b6155c45067268c6b"
SCRAM = f"SCRAM-SHA-256$4096:c2FsdA==${'A' * 43}=:{'B' * 42}A="


def read(text: str) -> Users:
    return read_userlist("users.txt", text)


def passwords(text: str) -> dict[str, bytes | None]:
    users = read(text)
    assert not users.problems
    return {name: secret.password for name, secret in users.secrets.items()}


def test_a_line_is_a_user_and_a_secret_of_any_kind() -> None:
    users = read(f'"al" "s3cret"\n"bo" "{MD5}"\n"cy" "{SCRAM}"\n"di" ""\n')
    assert users == Users({
        "al": Secret(password=b"s3cret"), "bo": Secret(md5=MD5), "cy": parse_secret(SCRAM), "di": NO_PASSWORD,
    })  # fmt: skip


def test_an_empty_secret_is_none_even_behind_another() -> None:
    assert read('"metrics" ""').secrets == {"metrics": NO_PASSWORD}
    assert read('"bob" "old"\n"bob" ""').secrets == {"bob": NO_PASSWORD}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", {}),
        ("\n \t\n; comment\n# another\n  ;third\n", {}),
        ('\ufeff"bob" "pw"\r\n\r\n', {"bob": b"pw"}),
        (' \t"bob"\t \v"pw"', {"bob": b"pw"}),
        ('"bob" "pw" "and" the rest \'of the line', {"bob": b"pw"}),
        ('"bob" "pw"; comment', {"bob": b"pw"}),
        ('"b""ob" "p""w"""', {'b"ob': b'p"w"'}),
        ('""""  "# ;"', {'"': b"# ;"}),
        ('"a b" "c d"', {"a b": b"c d"}),
        ('"jörg" "pä"', {"jörg": "pä".encode()}),
        (b'"bob" "\xff"'.decode("utf-8", "surrogateescape"), {"bob": b"\xff"}),
        ('"' + "x" * 63 + '" "pw"', {"x" * 63: b"pw"}),
    ],
)
def test_pgbouncers_form_is_read(text: str, expected: dict[str, bytes]) -> None:
    assert passwords(text) == expected


@pytest.mark.parametrize(
    "line, message",
    [
        ("bob pw", "user and secret stand in double quotes"),
        ("bob:pw", "user and secret stand in double quotes"),
        ("'bob' 'pw'", "user and secret stand in double quotes"),
        ('"bob', "quote around the user name is not closed"),
        ('"bob" "s3cret', "quote around the secret is not closed"),
        ('"bob" "s3""', "quote around the secret is not closed"),
        ('"bob"', "no secret behind the user"),
        ('"bob" s3cret', "the secret stands in double quotes"),
        ('"bob", "s3cret"', "the secret stands in double quotes"),
        ('"bob""s3cret"', "no secret behind the user"),
        ('"" "s3cret"', "the user name is empty"),
        ('"' + "x" * 64 + '" "s3cret"', "is longer than 63 bytes"),
        ('"' + "ä" * 32 + '" "s3cret"', "is longer than 63 bytes"),
        ('"b\0b" "s3cret"', "NUL"),
        ('"bob" "s3\0cret"', "NUL"),
        (b'"b\xff" "s3cret"'.decode("utf-8", "surrogateescape"), "is not UTF-8"),
        ('"bob" "SCRAM-SHA-256$s3cret"', "SCRAM secret is malformed"),
    ],
)
def test_a_wrong_line_is_named_and_its_secret_is_not(line: str, message: str) -> None:
    users = read(f'"al" "pw"\n\n{line}\n"cy" "pw"\n')
    (problem,) = users.problems
    assert problem.where == "users.txt:3"
    assert message in problem.message
    assert problem.fatal
    assert problem.advice
    assert "s3" not in str(problem)
    assert list(users.secrets) == ["al", "cy"], "what is wrong with the other lines is to be seen too"


def test_of_two_lines_for_one_user_the_last_counts_and_both_are_named() -> None:
    users = read('"bob" "a"\n\n"bob" "b"\n')
    assert users.secrets == {"bob": Secret(password=b"b")}
    (problem,) = users.problems
    assert (problem.where, problem.fatal) == ("users.txt:3", False)
    assert "stands in line 1 too" in problem.message


def test_a_file_that_is_something_else_gives_a_bounded_list_of_problems() -> None:
    users = read("bob pw\n" * 250)
    assert len(users.problems) == 100
    assert str(users.problems[-1]) == "users.txt:100: 151 more problems"
    assert users.problems[-1].fatal


def test_a_hundred_thousand_users_take_about_a_second() -> None:
    secrets = ("s3cret", MD5, SCRAM, "pä")
    text = "".join(f'"user{number}" "{secrets[number % 4]}"\n' for number in range(100_000))
    begun = time.process_time()
    assert len(read(text).secrets) == 100_000
    assert time.process_time() - begun < 10, "ten times what it takes"


def test_the_time_for_an_unclosed_quote_grows_with_its_length_alone() -> None:
    begun = time.process_time()
    assert read('"' + '""' * 500_000).problems
    assert read('"bob" "' + '""' * 500_000).problems
    assert time.process_time() - begun < 10


NAMES = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: len(name.encode()) <= 63
)
PASSWORDS = st.binary(min_size=1).filter(lambda raw: not {0, 10} & set(raw) and not raw.startswith(b"SCRAM-"))
SECRETS = PASSWORDS.map(lambda raw: parse_secret(raw.decode("utf-8", "surrogateescape"))) | st.sampled_from(
    [parse_secret(SCRAM), parse_secret(MD5)]
)


@given(st.dictionaries(NAMES, SECRETS))
def test_any_users_written_down_are_read_as_they_are(secrets: dict[str, Secret]) -> None:
    assert read(written.userlist(secrets)) == Users(secrets)


@given(
    st.binary()
    | st.lists(st.sampled_from(['"', '""', " ", "bob", "SCRAM-SHA-256$", "\n", ";", "\r", "\0", "ä"])).map(
        lambda parts: "".join(parts).encode()
    )
)
def test_no_input_raises_and_every_problem_has_its_line(data: bytes) -> None:
    fuzzed.check(data)
