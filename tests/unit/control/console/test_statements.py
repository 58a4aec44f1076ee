"""Console text to words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.console.action import ConsoleError
from howdah.control.console.statements import split


@pytest.mark.parametrize(
    "text, words",
    [
        ("SHOW POOLS", [["SHOW", "POOLS"]]),
        ("show pools;", [["show", "pools"]]),
        ("SHOW POOLS; SHOW STATS;;", [["SHOW", "POOLS"], ["SHOW", "STATS"]]),
        ("", []),
        (" ;; -- nothing\n /* not even /* here */ */ ;", []),
        ("SET x = 'a;b''c'", [["SET", "x", "=", "a;b'c"]]),
        ('SET "odd ""name""" TO 3', [["SET", 'odd "name"', "TO", "3"]]),
        ("SHOW/* a */POOLS -- all of them", [["SHOW", "POOLS"]]),
        ("SET datestyle = ISO, MDY", [["SET", "datestyle", "=", "ISO", ",", "MDY"]]),
    ],
)
def test_text_splits_into_statements_and_words(text: str, words: list[list[str]]) -> None:
    assert [[token.text for token in statement] for statement in split(text)] == words


@pytest.mark.parametrize("text", ["SET x = 'abc", 'SHOW "pools', "SHOW /* pools"])
def test_an_open_quote_or_comment_is_a_syntax_error(text: str) -> None:
    with pytest.raises(ConsoleError, match="unterminated") as raised:
        split(text)
    assert raised.value.sqlstate == "42601"


@given(st.text(alphabet="aS '\"/*-;$1\n=.,é"))
def test_any_text_splits_or_is_a_syntax_error(text: str) -> None:
    try:
        assert all(split(text))
    except ConsoleError as failure:
        if failure.sqlstate != "42601":
            raise
