"""What suites in all languages share: the tables of a small shop, and a value of each type that applications have."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("cases.json")
_CASES: dict[str, Any] = json.loads(FILE.read_text())

#: Statements that create account, transfer and document.
SHOP: list[str] = _CASES["shop"]
#: Type and literal.
VALUES: list[tuple[str, str]] = [(type_name, literal) for type_name, literal in _CASES["values"]]

#: How often a story asks which backend it is on.  Never leaving one of two by chance happens once in eight million.
ROUNDS = 24
