"""Events of the data plane to log lines: one line an event, with its reason's code, text and level.

Lines of ordinary logins and ends are written only when asked for (log_connections, log_disconnections); abnormal ends
always.  Repetitions are held back by `flood`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from howdah.control.flood import Flood
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.plan import Settings
from howdah.dataplane.rows import Event, EventKind
from howdah.reasons import BY_CODE, Fault, Level, Reason

#: Lines of one kind and reason in ten seconds.  Those somebody asked for by a setting may be many; others tell their
#: story with a few.
MOST_UNASKED = 50
MOST_ASKED = 5000

_ABNORMAL = (Level.WARNING, Level.ERROR)
_SUBJECT = {
    EventKind.CLIENT_LOGIN: "client connected",
    EventKind.CLIENT_CLOSED: "client closed",
    EventKind.SERVER_LOGIN: "server connected",
    EventKind.SERVER_CLOSED: "server closed",
    EventKind.SERVER_REFUSED: "server refused",
    EventKind.SERVER_QUERY_FAILED: "server",
    EventKind.PIN: "server pinned to client",
    EventKind.PIN_WARNED: "server pinned to client",
    EventKind.STATEMENT_REFUSED: "statement refused",
    EventKind.RESERVE_TAKEN: "server of the reserve opened for client",
    EventKind.PEER_FAILED: "cancel request not passed on",
    EventKind.WORKER_FAILED: "worker_failed",
}
_LOGINS = (EventKind.CLIENT_LOGIN, EventKind.SERVER_LOGIN)
_ENDS = (EventKind.CLIENT_CLOSED, EventKind.SERVER_CLOSED)
_PINS = (EventKind.PIN, EventKind.PIN_WARNED)


class EventLog(Protocol):
    """What events are written to."""

    def write(self, event: Event, now: float) -> None: ...
    def summarize(self, now: float, *, final: bool = False) -> None:
        """Say how many lines were held back; called every second and at the end."""


class _Key(NamedTuple):
    kind: EventKind
    reason: str


class Journal:
    """Writes events to the log, for people and for programs that read fields."""

    def __init__(self, log: FilteringBoundLogger, settings: Callable[[], Settings]) -> None:
        self._log = log
        self._settings = settings
        self._unasked: Flood[_Key] = Flood(MOST_UNASKED)
        self._asked: Flood[_Key] = Flood(MOST_ASKED)

    def write(self, event: Event, now: float) -> None:
        if event.kind not in _SUBJECT:
            return  # of the console
        reason = BY_CODE.get(event.reason, BY_CODE["none"])
        level = _level(event, reason)
        asked = level not in _ABNORMAL and event.kind in (*_LOGINS, *_ENDS)
        if not self._wanted(event, reason, asked=asked):
            return
        flood = self._asked if asked else self._unasked
        if flood.admits(_Key(event.kind, event.reason), now):
            self._line(level, _text(event, reason), _fields(event, reason))

    def _wanted(self, event: Event, reason: Reason, *, asked: bool) -> bool:
        settings = self._settings()
        if asked:
            return settings.log_connections if event.kind in _LOGINS else settings.log_disconnections
        if event.kind == EventKind.CLIENT_CLOSED and reason.sqlstate:
            return settings.log_pooler_errors or settings.log_disconnections
        return True

    def summarize(self, now: float, *, final: bool = False) -> None:
        for flood in (self._unasked, self._asked):
            for key, lines, seconds in flood.summaries(now, final=final):
                reason = BY_CODE.get(key.reason, BY_CODE["none"])
                text = f"{_SUBJECT[key.kind]}: and {lines:,} more like this in {seconds:.0f} s"
                held = {"reason": key.reason, "held_back": lines} if key.reason else {"held_back": lines}
                self._line(reason.level, text, held)

    def _line(self, level: Level, text: str, fields: dict[str, Any]) -> None:
        # "{" and "%" in names of strangers are no format: structlog formats only when given arguments.
        getattr(self._log, level.value)(text, **fields)


def _level(event: Event, reason: Reason) -> Level:
    if event.kind == EventKind.WORKER_FAILED:
        return Level.ERROR
    if event.kind in (EventKind.PIN_WARNED, EventKind.RESERVE_TAKEN):
        return Level.WARNING
    return Level.INFO if event.kind in _LOGINS else reason.level


def _text(event: Event, reason: Reason) -> str:
    subject, message = _SUBJECT[event.kind], reason.message
    detail = _about(event)
    if "%s" in message:
        message = message.replace("%s", detail)
    elif detail and event.kind != EventKind.CLIENT_LOGIN:
        message = f"{message}: {detail}" if message else detail
    if event.kind == EventKind.WORKER_FAILED and reason.message:
        return message  # it says it all
    return f"{subject}: {message}" if message else subject


def _about(event: Event) -> str:
    """What belongs into the line's text; of statements that is only what they would have done."""
    if event.kind in _PINS:
        return ""
    detail = event.detail.decode(errors="replace").rstrip("\0")
    return detail.partition("\0")[0] if event.kind == EventKind.STATEMENT_REFUSED else detail


def _statement(event: Event) -> str:
    detail = event.detail.decode(errors="replace")
    return detail if event.kind in _PINS else detail.partition("\0")[2]


def _fields(event: Event, reason: Reason) -> dict[str, Any]:
    """Only what the event knows."""
    side, number = ("server" if event.kind.name.startswith("SERVER") else "client"), "id"
    if event.kind == EventKind.PEER_FAILED:
        side, number = "address", "peer"
    fields: dict[str, Any] = {"reason": event.reason} if event.reason else {}
    fields |= {
        name: value
        for name, value in (
            (side, event.address),
            ("database", event.database),
            ("user", event.user),
            (number, event.id),
        )
        if value
    }
    if event.kind == EventKind.CLIENT_LOGIN:
        values = event.detail.decode("utf-8", "backslashreplace").split("\0")
        names = ("tls", "server_name", "replication")
        fields |= {name: value for name, value in zip(names, values, strict=False) if value}
    if event.kind in (*_PINS, EventKind.STATEMENT_REFUSED) and (statement := _statement(event)):
        fields["statement"] = statement
    if reason.fault == Fault.OPERATOR and reason.hint:
        fields["hint"] = reason.hint  # the reader of the log is the one to act
    if event.kind in _ENDS:
        fields["age"] = round(event.age_us / 1_000_000, 3)
    return fields
