"""What a console statement amounts to: an `Action`, found from its text, performed when executed."""

from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from howdah.control.console.columns import Cell, Column

IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"
#: Of what a refusal repeats of a statement.
_SHOWN = 60


class Shown(Protocol):
    """A word of a statement, as far as a refusal repeats it."""

    @property
    def text(self) -> str: ...
    @property
    def gap(self) -> bool: ...


class ConsoleError(Exception):
    """Answered to the client as an ErrorResponse; severity FATAL also ends the session."""

    def __init__(self, sqlstate: str, message: str, hint: str = "", severity: str = "ERROR") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.hint = hint
        self.severity = severity


def invalid(statement: Sequence[Shown], hint: str = "") -> ConsoleError:
    """What is no command, in PgBouncer's words."""
    text = "".join(f" {token.text}" if token.gap else token.text for token in statement).lstrip()
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    hint = hint or "SHOW HELP lists what the console understands."
    return ConsoleError("08P01", f"invalid command '{shown}', use SHOW HELP;", hint)


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
    detail: str = ""  # of the notice
    reported: tuple[tuple[str, str], ...] = ()  # ParameterStatus to send


@dataclass(frozen=True, slots=True)
class Action:
    perform: Callable[[SessionState], Outcome | Future[Outcome]]  # a future for what takes its time
    columns: tuple[Column, ...] | None = None  # None: no result set
    ends_transaction: bool = False  # may run in a failed transaction
    parameters: tuple[int, ...] = ()  # OIDs of $1, $2 and so on
    bind: Callable[[Sequence[Cell]], "Action"] | None = None  # with values for these; None: there are none
    undo: Callable[[], None] | None = None  # what its client's cancel request does while it waits
