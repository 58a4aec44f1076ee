"""Answers of the console as text for people, or as JSON for programs."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

Rows = Sequence[Sequence[Any]]


def aligned(columns: Sequence[str], rows: Rows) -> str:
    """In columns, numbers at the right; NULL is empty."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [all(isinstance(row[at], int | float | Decimal | None) for row in rows) for at in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        parts = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def as_json(columns: Sequence[str], rows: Rows) -> str:
    """A list of objects, one a line."""
    objects = (dict(zip(columns, map(_plain, row), strict=True)) for row in rows)
    lines = ",\n ".join(json.dumps(found, ensure_ascii=False) for found in objects)
    return f"[{lines}]"


def _plain(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell.hex() if isinstance(cell, bytes) else cell
