"""The console's command table: from the words of a statement to the `Action` it means.

A command is found by its first word; what it does with the rest is its own affair.
"""

import difflib
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from howdah.control.console import driver_words, operations
from howdah.control.console.action import Action, ConsoleError, SessionState, invalid
from howdah.control.console.changing import reload, set_value
from howdah.control.console.reading import select, show
from howdah.control.console.statements import Statement
from howdah.control.console.table import Facts
from howdah.control.operations import Operations


@dataclass(frozen=True, slots=True)
class Commands:
    """Finds the action of a statement; one object serves all sessions."""

    facts: Facts
    operations: Operations | None = None  # None: there is nothing to operate on

    def action(self, statement: Statement, state: SessionState, types: Sequence[int] = ()) -> Action | Future[Action]:
        """`types`: OIDs that the client gives to its parameters."""
        verb = statement[0].text.upper() if statement[0].kind == "word" else ""
        if (look := _LOOKING.get(verb)) is not None:
            return look(self.facts, statement, state, types)
        if any(token.kind == "parameter" for token in statement):
            raise ConsoleError("0A000", f"{verb} takes no parameters", "Write the value into the statement's text.")
        if (find := _VERBS.get(verb)) is not None:
            return find(self.facts, statement)
        if verb in operations.COMMANDS and self.operations is not None:
            return operations.action(self.operations, self.facts.may_change, statement)
        close = difflib.get_close_matches(verb, (*_LOOKING, *_VERBS, *operations.COMMANDS), 1)
        raise invalid(statement, f"Did you mean {close[0]}?" if close else "")


_LOOKING: dict[str, Callable[[Facts, Statement, SessionState, Sequence[int]], Action | Future[Action]]] = {
    "SHOW": show,
    "SELECT": select,
    "WITH": select,
    "VALUES": select,
}
_VERBS: dict[str, Callable[[Facts, Statement], Action]] = {
    "SET": set_value,
    "RELOAD": reload,
    "RESET": driver_words.reset,
    "BEGIN": driver_words.begin,
    "START": driver_words.begin,
    "COMMIT": partial(driver_words.end, "COMMIT"),
    "END": partial(driver_words.end, "COMMIT"),
    "ROLLBACK": partial(driver_words.end, "ROLLBACK"),
    "ABORT": partial(driver_words.end, "ROLLBACK"),
    "DISCARD": driver_words.discard,
    "DEALLOCATE": driver_words.deallocate,
    "CLOSE": partial(driver_words.noise, "CLOSE CURSOR ALL"),
    "UNLISTEN": partial(driver_words.noise, "UNLISTEN"),
}
