"""What is read of descriptions, and of the formats that a Bind asks for."""

import struct
from dataclasses import astuple, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah_probe.descriptions import result_formats, result_shape
from tests.kit import wire

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
words = st.integers(-(1 << 31), (1 << 31) - 1)
shorts = st.integers(-(1 << 15), (1 << 15) - 1)


@dataclass(frozen=True)
class Column:
    name: str
    table: int
    number: int
    type: int
    size: int
    modifier: int
    format: int

    @property
    def told(self) -> bytes:
        name, *numbers = astuple(self)
        return wire.cstring(name) + struct.pack("!ihihih", *numbers)


columns = st.builds(Column, names, words, shorts, words, shorts, words, st.sampled_from([0, 1]))


def described(given_columns: list[Column]) -> bytes:
    return struct.pack("!h", len(given_columns)) + b"".join(column.told for column in given_columns)


@given(st.lists(columns, max_size=6), st.binary(max_size=12))
def test_where_columns_come_from_and_their_format_are_not_part_of_the_shape(
    given_columns: list[Column], parameters: bytes
) -> None:
    elsewhere = [replace(column, table=7, number=7, format=1 - column.format) for column in given_columns]
    shape = result_shape(parameters, described(given_columns))
    assert shape == result_shape(parameters, described(elsewhere))
    assert shape != 0


@given(st.lists(columns, min_size=1, max_size=6), st.data())
def test_names_types_and_the_number_of_columns_are(given_columns: list[Column], data: st.DataObject) -> None:
    shape = result_shape(b"", described(given_columns))
    which = data.draw(st.integers(0, len(given_columns) - 1))
    column = given_columns[which]
    for changed in (
        replace(column, name=column.name + "x"),
        replace(column, type=column.type ^ 1),
        replace(column, size=column.size ^ 1),
        replace(column, modifier=column.modifier ^ 1),
    ):
        given_columns[which] = changed
        assert shape != result_shape(b"", described(given_columns)), changed
    given_columns[which] = column
    assert shape != result_shape(b"", described(given_columns[:-1]))
    assert shape != result_shape(b"\0", described(given_columns))
    assert shape != result_shape(b"", b"")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_have_a_shape(parameters: bytes, result: bytes) -> None:
    assert result_shape(parameters, result) != 0


@given(st.lists(st.none() | names, max_size=5), st.lists(st.sampled_from([0, 1]), max_size=5), names, names)
def test_formats_are_counted(values: list[str | None], formats: list[int], portal: str, statement: str) -> None:
    message = wire.bind(*values, portal=portal, statement=statement, formats=formats)
    assert result_formats(message) == len(formats)
    for cut in range(5, len(message) - 2 * len(formats)):
        assert not result_formats(message[:cut])


@given(st.binary(max_size=60))
def test_any_bytes_have_formats_or_none(body: bytes) -> None:
    assert (result_formats(wire.message(b"B", body)) or 0) <= 65535


@pytest.mark.parametrize("length", [-2, 1 << 30, (1 << 31) - 1])
def test_lengths_that_cannot_be(length: int) -> None:
    head = wire.cstring("") + wire.cstring("s") + struct.pack("!hhi", 0, 1, length)
    assert result_formats(wire.message(b"B", head + struct.pack("!hhh", 2, 0, 0))) == (2 if length < 0 else 0)
