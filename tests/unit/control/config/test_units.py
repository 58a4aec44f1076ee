"""Durations, sizes and the other ways in which a setting can be written."""

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.control.config import units
from howdah.control.config.toml import duration as shown_duration


@pytest.mark.parametrize(
    "written, expected",
    [
        (30, 30.0),
        (0, 0.0),
        (0.5, 0.5),
        ("30", 30.0),
        ("30s", 30.0),
        (" 30 s ", 30.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("5min", 300.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        ("2d", 172800.0),
        ("0", 0.0),
    ],
)
def test_durations(written: object, expected: float) -> None:
    assert units.seconds(written) == expected


@pytest.mark.parametrize(
    "written, says",
    [
        ("5m", "did you mean 'min'"),
        ("5 minutes", "did you mean 'min'"),
        ("5S", "did you mean 's'"),
        ("5sec", "did you mean 's'"),
        ("10 parsecs", "unknown unit 'parsecs'; use one of us, ms, s, min, h, d"),
        ("16kB", "kB is a unit of size, and this is a duration"),
        ("-1s", "cannot be negative"),
        (-1, "cannot be negative"),
        ("", "not a duration"),
        ("s", "not a duration"),
        ("1e3s", "not a duration"),
        ("1,5s", "not a duration"),
        ("five", "not a duration"),
        (math.inf, "must be a duration"),
        (math.nan, "must be a duration"),
        (True, "must be a duration"),
        ([], "must be a duration"),
        ("101000d", "longer than a hundred years"),
        ("9" * 400, "longer than a hundred years"),
    ],
)
def test_what_is_no_duration(written: object, says: str) -> None:
    with pytest.raises(units.BadValueError, match=says):
        units.seconds(written)


@pytest.mark.parametrize(
    "reader, written, expected",
    [
        (units.milliseconds, 30, 30),
        (units.milliseconds, "30s", 30_000),
        (units.whole_seconds, "2min", 120),
        (units.size, 512, 512),
        (units.size, "16kB", 16384),
        (units.size, "1.5kB", 1536),
        (units.size, "4MB", 4 << 20),
        (units.size, "100B", 100),
        (units.count, 20, 20),
        (units.count, " 20 ", 20),
        (units.switch, True, True),
        (units.switch, 0, False),
        (units.switch, "on", True),
        (units.switch, "No", False),
        (units.words, "a, b,", ("a", "b")),
        (units.words, ["a", " b "], ("a", "b")),
        (units.words, "", ()),
    ],
)
def test_other_values(reader: Callable[[object], object], written: object, expected: object) -> None:
    assert reader(written) == expected


@pytest.mark.parametrize(
    "reader, written, says",
    [
        (units.milliseconds, "1us", "not a whole number of milliseconds"),
        (units.whole_seconds, "1500ms", "not a whole number of seconds"),
        (units.size, "16KB", "did you mean 'kB'"),
        (units.size, "16k", "did you mean 'kB'"),
        (units.size, "1GiB", "did you mean 'GB'"),
        (units.size, "3s", "s is a unit of duration, and this is a size"),
        (units.size, "0.3B", "not a whole number of bytes"),
        (units.size, "4TB", "too large"),
        (units.count, "many", "whole number"),
        (units.count, 1.5, "whole number"),
        (units.count, True, "whole number"),
        (units.count, -1, "negative"),
        (units.count, 2**31, "too large"),
        (units.switch, 2, "true or false"),
        (units.switch, "maybe", "true or false"),
        (units.switch, 1.0, "true or false"),
        (units.words, [1], "list of strings"),
        (units.words, 5, "list of strings"),
        (units.words, ["a\0"], "NUL"),
        (units.text, 5, "in quotes"),
        (units.text, "a\0b", "NUL"),
    ],
)
def test_values_that_are_refused(reader: Callable[[object], object], written: object, says: str) -> None:
    with pytest.raises(units.BadValueError, match=says):
        reader(written)


@given(st.integers(0, units.LONGEST_US // 1000), st.sampled_from(list(units.DURATIONS)))
def test_a_number_with_any_unit_is_that_many_of_it(number: int, unit: str) -> None:
    factor = units.DURATIONS[unit]
    number = number * 1000 // factor
    assert round(units.seconds(f"{number}{unit}") * 1_000_000) == number * factor


@given(st.integers(0, units.LONGEST_US // 1_000_000))
def test_a_duration_as_the_reference_shows_it_reads_as_the_same(number: int) -> None:
    assert units.seconds(shown_duration(number, "s").strip('"')) == number
    assert units.milliseconds(shown_duration(number % 1_000_000, "ms").strip('"')) == number % 1_000_000


@given(st.integers(0, 2047), st.sampled_from(["B", "kB", "MB"]))
def test_sizes_count_in_powers_of_1024(number: int, unit: str) -> None:
    assert units.size(f"{number} {unit}") == number * 1024 ** ["B", "kB", "MB"].index(unit)


@example("0\x1f")  # a space to some, and none to int()
@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.binary(), st.lists(st.text())))
def test_no_value_whatsoever_raises_anything_else(value: object) -> None:
    readers: list[Callable[[object], object]] = [
        units.seconds, units.whole_seconds, units.milliseconds, units.size, units.count, units.switch, units.text,
        units.words,
    ]  # fmt: skip
    for reader in readers:
        with contextlib.suppress(units.BadValueError):
            reader(value)
