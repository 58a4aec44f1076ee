"""Answers of the console as text and as JSON."""

import json
from decimal import Decimal

from howdah.cli.tables import aligned, as_json

COLUMNS = ("name", "count", "note")
ROWS = [("app", 7, None), ("elephants", 1234, 'says "hello"')]


def test_texts_stand_at_the_left_and_numbers_at_the_right() -> None:
    assert aligned(COLUMNS, ROWS).splitlines() == [
        "name       count  note",
        "---------  -----  ------------",
        "app            7",
        'elephants   1234  says "hello"',
    ]


def test_a_table_without_rows_has_its_head() -> None:
    assert aligned(("a", "b"), []) == "a  b\n-  -"


def test_json_has_numbers_and_nulls() -> None:
    assert json.loads(as_json(COLUMNS, ROWS)) == [
        {"name": "app", "count": 7, "note": None},
        {"name": "elephants", "count": 1234, "note": 'says "hello"'},
    ]
    assert json.loads(as_json(("a", "b"), [(Decimal(5), Decimal("1.5"))])) == [{"a": 5, "b": 1.5}]
    assert json.loads(as_json(COLUMNS, [])) == []
