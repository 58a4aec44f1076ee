"""Texts as operators see them: the same statement looks the same, and no value is seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.sql", reason="the release build has no probes")

SHOWN = {
    "": "",
    "SELECT 1": "SELECT ?",
    "select  'a',\n\t'b' ,3": "select ?",
    "SELECT f( 1 , a ) , b ;": "SELECT f(?, a), b;",
    "SELECT a, 1, b": "SELECT a, ?, b",
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')": "INSERT INTO t (a, b) VALUES (?), (?)",
    "SELECT $1, $2": "SELECT $1, $2",
    "SELECT $$ a $$, $x$ b $x$": "SELECT ?",
    "SELECT E'a\\'b', U&'c', B'1', X'1'": "SELECT ?",
    "/* 'secret' */ SELECT -- secret\n 1": "SELECT ?",
    'SELECT "A b"."c" FROM t': 'SELECT "A b"."c" FROM t',
    "SELECT a::text, -1": "SELECT a::text, -?",
    "SELECT 0.5, 1e5, 0x1F, 1_000 AS a, t1.b": "SELECT ? AS a, t1.b",
    "LIMIT 1.OFFSET 2": "LIMIT ? ?",
    "SELECT 'a' 'b'": "SELECT ? ?",
    # Where it depends on settings what a string is, nothing behind it is shown.
    "SELECT 'a\\' secret, '": "SELECT...",
    "SELECT 'secret": "SELECT...",
    "SELECT $$ secret": "SELECT...",
}


@pytest.mark.parametrize("text", SHOWN)
def test_values_go_and_the_rest_stays(text: str) -> None:
    assert probe.normal_text(text.encode() + b"\0").decode() == SHOWN[text]


@pytest.mark.parametrize("room", [1, 4, 5, 12, 40])
def test_what_does_not_fit_is_cut(room: int) -> None:
    shown = probe.normal_text(b"SELECT column_of_some_length FROM t\0", room)
    assert len(shown) < max(room, 5)
    assert shown.endswith(b"..."[: room - 1]) or b"FROM t" in shown


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=100))
def test_any_bytes_fit_any_room(text: bytes, room: int) -> None:
    assert len(probe.normal_text(text, room)) <= max(room, 3)


@given(st.text(alphabet="SECRET'\\;$-/* \n", max_size=40))
def test_what_stands_in_a_string_is_never_shown(value: str) -> None:
    quoted = "'" + value.replace("'", "''").replace("\\", "\\\\") + "'"
    assert b"E" not in probe.normal_text(f"select {quoted}, x\0".encode()).replace(b"select", b"")
