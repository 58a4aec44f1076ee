"""SHOW PINS, SHOW PIN_REASONS and SHOW LINT: from the engine's rows to what operators read."""

from typing import Any

from howdah.control.console import pin_tables
from howdah.control.console.columns import Cell, Column
from tests.unit.control.console.engine_stub import LINT, PIN, PIN_REASON, EngineStub

NOW_US = PIN.since_us + 90_500_000


def _named(columns: tuple[Column, ...], rows: Any) -> list[dict[str, Cell]]:
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _pins(*rows: Any) -> list[dict[str, Cell]]:
    return _named(pin_tables.PIN_COLUMNS, pin_tables.pins(EngineStub(pin_rows=list(rows)), NOW_US))


def test_the_oldest_pin_comes_first_with_its_age() -> None:
    later = PIN._replace(client=8, since_us=PIN.since_us + 60_000_000, statement="")
    old, young = _pins(later, PIN)
    assert (old["client"], old["server"], old["seconds"], old["statement"]) == (7, 9, 90, PIN.statement)
    assert (young["client"], young["seconds"], young["statement"]) == (8, 30, None)


def test_seconds_hold_those_of_pins_that_go_on() -> None:
    stub = EngineStub(pin_rows=[PIN, PIN._replace(database="other"), PIN._replace(reason="pin_listen")])
    (row,) = _named(pin_tables.REASON_COLUMNS, pin_tables.pin_reasons(stub, NOW_US))
    assert row == {
        "database": "app", "reason": PIN_REASON.reason, "begun": 5, "ended": 4, "now": 1, "seconds": 98
    }  # fmt: skip


def test_the_most_frequent_statement_comes_first_and_the_others_last() -> None:
    others = LINT._replace(application_name="", user="", database="", statement="", times=1000)
    often = LINT._replace(statement="SET a = ?", reason="setting", pins=False, times=50)
    rows = _named(pin_tables.LINT_COLUMNS, pin_tables.lint(EngineStub(lint_rows=[others, LINT, often])))
    told = [(row["statement"], row["transaction_mode"], row["count"], row["user"]) for row in rows]
    assert told == [
        ("SET a = ?", "follows", 50, "alice"),
        ("LISTEN a", "pins", 3, "alice"),
        ("(other)", "pins", 1000, None),
    ]
