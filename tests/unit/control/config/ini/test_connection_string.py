"""Connection strings, taken apart as PgBouncer does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.config.ini.connection_string import ConnectionStringError, pairs

KEYS = st.text("abcxyz_", min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("  ", []),
        ("host=db", [("host", "db")]),
        ("host=db port=5433", [("host", "db"), ("port", "5433")]),
        ("host = db   port= 9 ", [("host", "db"), ("port", "9")]),
        ("host=db\tport=9", [("host", "db"), ("port", "9")]),  # PgBouncer takes the tab for a part of the name
        ("password='it''s a b'", [("password", "it's a b")]),
        ("password=''''", [("password", "'")]),
        ("dbname=it's", [("dbname", "it's")]),
        ("a=b=c", [("a", "b=c")]),
        (r"a='\'", [("a", "\\")]),
        ("a=1 a=2", [("a", "1"), ("a", "2")]),
        ("host=a,b", [("host", "a,b")]),
    ],
)
def test_pairs(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(pairs(text)) == expected


@pytest.mark.parametrize(
    "text, says",
    [
        ("host", "there is a word without ="),
        ("host=db secret", "there is a word without ="),
        ("=db", "there is no name before a ="),
        ("host=", "host has no value; remove it"),
        ("host=''", "host has no value"),
        ("host='db", "there is no closing ' behind the value of host"),
        ("host='a'port=5", "behind the closing ' of host there must be a blank"),
    ],
)
def test_what_is_no_connection_string(text: str, says: str) -> None:
    with pytest.raises(ConnectionStringError) as caught:
        list(pairs(text))
    assert str(caught.value).startswith(says)


def test_no_value_is_shown_for_it_may_be_a_password() -> None:
    for text in ("password='s3cret", "password='a's3cret", "password=a s3cret"):
        with pytest.raises(ConnectionStringError) as caught:
            list(pairs(text))
        assert "s3cret" not in str(caught.value)


@given(st.lists(st.tuples(KEYS, VALUES)))
def test_what_is_quoted_is_read_as_it_was(entries: list[tuple[str, str]]) -> None:
    text = " ".join("{}='{}'".format(key, value.replace("'", "''")) for key, value in entries)
    assert list(pairs(text)) == entries


@given(st.text(st.sampled_from("ab=' \t\"\0\xe4"), max_size=30))
def test_no_text_is_more_than_a_fault(text: str) -> None:
    try:
        found = list(pairs(text))
    except ConnectionStringError:
        return
    assert all(key and value for key, value in found)
