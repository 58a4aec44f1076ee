"""What a console statement amounts to: an `Action`, found from its text, performed when executed."""

from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from howdah.control.console.columns import Cell, Column

IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"


class ConsoleError(Exception):
    """Answered to the client as an ErrorResponse; severity FATAL also ends the session."""

    def __init__(self, sqlstate: str, message: str, hint: str = "", severity: str = "ERROR") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.hint = hint
        self.severity = severity


@dataclass(slots=True)
class SessionState:
    """What one console session remembers between statements."""

    user: str = ""
    over_unix_socket: bool = False
    transaction: bytes = IDLE  # as in ReadyForQuery
    variables: dict[str, str] = field(default_factory=dict)  # SET by the driver; the console only echoes them
    prepared: dict[str, "Action | None"] = field(default_factory=dict)  # by name; None is the empty statement


class Outcome(NamedTuple):
    tag: str  # of CommandComplete
    rows: Sequence[Sequence[Cell]] = ()
    notice: str = ""
    reported: tuple[tuple[str, str], ...] = ()  # ParameterStatus to send


@dataclass(frozen=True, slots=True)
class Action:
    perform: Callable[[SessionState], Outcome | Future[Outcome]]  # a future for what takes its time
    columns: tuple[Column, ...] | None = None  # None: no result set
    ends_transaction: bool = False  # may run in a failed transaction
