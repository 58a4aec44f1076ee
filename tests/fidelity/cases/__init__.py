"""All cases by id, theme by theme."""

from tests.fidelity.case import Case
from tests.fidelity.cases import (
    advisory_locks,
    channels,
    cursors,
    custom_settings,
    leaks,
    logins,
    roles,
    sequences,
    settings,
    statements,
    temporary,
    the_rest,
    transactions,
)  # fmt: skip

_THEMES = (settings, transactions, custom_settings, roles, logins, statements, channels, temporary, cursors,
           advisory_locks, sequences, the_rest, leaks)  # fmt: skip


def _by_id() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for theme in _THEMES:
        for case in theme.CASES:
            name = f"{theme.__name__.rpartition('.')[2]}-{case.name}"
            assert name not in found, f"two cases are called {name}"
            found[name] = case
    return found


CASES = _by_id()
