"""The tables of SHOW about what keeps servers, and what would."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from howdah.control.console.columns import Cell, columns, timestamp
from howdah.dataplane.rows import LintRow, PinReasonRow, PinRow

PIN_COLUMNS = columns(
    "client i, server i, database t, user t, application_name t, reason t, since t, seconds i, statement t"
)
REASON_COLUMNS = columns("database t, reason t, begun n, ended n, now i, seconds n")
LINT_COLUMNS = columns(
    "application_name t, user t, database t, reason t, transaction_mode t, count n, first_seen t, last_seen t, "
    "statement t"
)
#: Stands for all texts that found no room.
OTHER = "(other)"


class Observed(Protocol):
    """The part of the engine that these read."""

    def pins(self) -> list[PinRow]: ...
    def pin_reasons(self) -> list[PinReasonRow]: ...
    def lint(self) -> list[LintRow]: ...


def pins(engine: Observed, now_us: int) -> Iterable[Sequence[Cell]]:
    """Those of now, the oldest first."""
    for pin in sorted(engine.pins(), key=lambda pin: (pin.since_us, pin.client, pin.reason)):
        yield (
            *(pin.client, pin.server, pin.database, pin.user, pin.application_name, pin.reason),
            *(timestamp(pin.since_us), _seconds(pin, now_us), pin.statement or None),
        )


def _seconds(pin: PinRow, now_us: int) -> int:
    return max(now_us - pin.since_us, 0) // 1_000_000 if pin.since_us else 0


def pin_reasons(engine: Observed, now_us: int) -> Iterable[Sequence[Cell]]:
    """Counters since start; the seconds of those that go on are among them."""
    going_on = engine.pins()
    for row in sorted(engine.pin_reasons()):
        own = [pin for pin in going_on if (pin.database, pin.reason) == (row.database, row.reason)]
        us = row.ended_us + sum(max(now_us - pin.since_us, 0) for pin in own if pin.since_us)
        yield row.database, row.reason, row.begun, row.ended, row.begun - row.ended, us // 1_000_000


def lint(engine: Observed) -> Iterable[Sequence[Cell]]:
    """The most frequent first."""
    for row in sorted(engine.lint(), key=lambda row: (not row.statement, -row.times, row)):
        who: tuple[Cell, ...] = (row.application_name, row.user, row.database)
        yield (
            *(who if row.statement else (OTHER, None, None)),
            *(
                row.reason,
                "pins" if row.pins else "follows",
                row.times,
                timestamp(row.first_us),
                timestamp(row.last_us),
            ),
            row.statement or OTHER,
        )
