"""Events of the data plane in the words that PgBouncer's log has for them.

Nothing is held back: whoever counts lines is to count the same.  What PgBouncer has no line for (a pin, a statement
refused) has one of ours behind the same names.
"""

from collections.abc import Callable, Iterator

from howdah.control.config.names import CONSOLE
from howdah.control.config.schema import Config, GlobalSettings
from howdah.control.log import FilteringBoundLogger
from howdah.dataplane.rows import Event, EventKind
from howdah.reasons import BY_CODE, Reason

Line = tuple[str, str]  # level and text

#: Why a server connection ends, where the reason's own text is what clients are told of it.
_SERVER_ENDS = {
    "server_unreachable": "connect failed",
    "server_connect_timeout": "connect timeout",
    "server_tls_refused": "server refused SSL",
    "server_tls_failed": "TLS startup failed",
    "server_auth_unsupported": "failed to answer authreq",
    "server_no_password": "failed to answer authreq",
    "server_proof": "failed to answer authreq",
}
#: Clients that PgBouncer turns away before it has a database for them.
_NO_DATABASE = ("no_such_database", "max_client_conn", "max_db_client_connections", "max_user_client_connections")


class PgBouncerJournal:
    """Writes events to the log."""

    def __init__(self, log: FilteringBoundLogger, config: Callable[[], Config]) -> None:
        self._log = log
        self._config = config
        self._consoles: dict[int, Event] = {}  # by client; what tells of an end does not say whose
        self._connected: set[int] = set()  # servers; one may connect again, without TLS or to another address

    def write(self, event: Event, _: float) -> None:
        known = self._follow(event)
        if known is None:
            return
        for level, text in lines_of(known, self._config()):
            # "%" in names of strangers is no format: structlog formats only when given arguments.
            getattr(self._log, level)(text, at_us=event.at_us)

    def _follow(self, event: Event) -> Event | None:
        """The event with all that is known; None: there is nothing to say."""
        if event.kind == EventKind.CONSOLE_OPEN:
            self._consoles[event.id] = event
        elif event.kind == EventKind.CONSOLE_CLOSED:
            opened = self._consoles.pop(event.id, None)
            return opened and event._replace(
                kind=EventKind.CLIENT_CLOSED, database=opened.database, user=opened.user
            )  # fmt: skip
        elif event.kind == EventKind.SERVER_CONNECTED:
            if event.id in self._connected:
                return None
            self._connected.add(event.id)
        elif event.kind in (EventKind.SERVER_CLOSED, EventKind.SERVER_REFUSED):
            self._connected.discard(event.id)
        return event

    def summarize(self, now: float, *, final: bool = False) -> None:
        """No line has been held back."""


def lines_of(event: Event, config: Config) -> Iterator[Line]:
    """The lines that tell of `event`; none, where they are not asked for."""
    settings = config.settings
    reason = BY_CODE.get(event.reason, BY_CODE["none"])
    kind = event.kind
    if kind == EventKind.CLIENT_ATTEMPT:
        known = {CONSOLE, *config.databases}
        shown = event if event.database in known or "*" in known else event._replace(database="")
        yield "info", f"{_client(shown, settings)} login attempt: {_attempt(event)}"
    elif kind == EventKind.CLIENT_CLOSED:
        yield from _client_closed(event, reason, settings)
    elif kind == EventKind.SERVER_CONNECTED and settings.log_connections:
        source = f" (from {_detail(event)})" if event.detail else ""
        yield "info", f"{_server(event)} new connection to server{source}"
    elif kind == EventKind.SERVER_CLOSED and settings.log_disconnections:
        yield "info", _closing(_server(event), _server_end(event, reason), event)
    elif kind == EventKind.SERVER_REFUSED:
        yield from _server_refused(event, reason, settings)
    elif kind == EventKind.PEER_FAILED and settings.log_disconnections:
        yield "info", _closing(f"S-0x0: peer-{event.id}@{_place(event)}", reason.pgbouncer or reason.message, event)
    elif kind == EventKind.SERVER_QUERY_FAILED:
        yield "error", f"S: error while executing exec_on_query: ERROR: {_detail(event)}"
    elif kind == EventKind.RESERVE_TAKEN:
        yield "warning", f"{_client(event, settings)} taking connection from reserve_pool"
    else:
        yield from _of_our_own(event, reason, settings)


def _attempt(event: Event) -> str:
    tls, _, replication = (*event.detail.decode("utf-8", "replace").split("\0"), "", "", "")[:3]
    kind = {"none": "no", "physical": "yes", "logical": "database"}.get(replication, "no")
    return f"db={event.database} user={event.user} tls={tls or 'no'} replication={kind}"


def _client_closed(event: Event, reason: Reason, settings: GlobalSettings) -> Iterator[Line]:
    who, why = _client(event, settings), _client_end(event, reason)
    if reason.code == "no_such_database" and settings.log_connections:
        yield "info", f"{who} login failed: db={_detail(event)} user={event.user}"
    if reason.code == "scram_failed":
        yield "error", f"{who} password authentication failed"
    if settings.log_disconnections:
        yield "info", _closing(who, why, event)
    if reason.sqlstate and settings.log_pooler_errors:
        yield "warning", f"{who} pooler error: {why}"


def _server_refused(event: Event, reason: Reason, settings: GlobalSettings) -> Iterator[Line]:
    """Where PgBouncer would not say what was wrong, we do."""
    if reason.code == "server_login_failed":
        yield "warning", f"server login failed: FATAL {_detail(event)}"
    elif reason.code not in ("server_unreachable", "server_connect_timeout"):
        yield "error", f"{_server(event)} {_filled(reason.message, event)}"
    if settings.log_disconnections:
        yield "info", _closing(_server(event), _server_end(event, reason), event)


def _of_our_own(event: Event, reason: Reason, settings: GlobalSettings) -> Iterator[Line]:
    if event.kind == EventKind.WORKER_FAILED:
        yield "error", _filled(reason.message, event) if reason.message else f"worker_failed: {_detail(event)}"
    elif event.kind == EventKind.STATEMENT_REFUSED:
        what = event.detail.partition(b"\0")[0].decode(errors="replace")
        yield "warning", f"{_client(event, settings)} statement refused: {reason.message.replace('%s', what)}"
    elif event.kind in (EventKind.PIN, EventKind.PIN_WARNED):
        level = "warning" if event.kind == EventKind.PIN_WARNED else "debug"
        yield level, f"{_client(event, settings)} server pinned to client: {reason.message}"


# --- parts of lines


def _client(event: Event, settings: GlobalSettings) -> str:
    database = "" if event.reason in _NO_DATABASE else event.database
    user = "" if event.reason == "max_client_conn" else event.user
    address = f"{event.address}:{settings.listen_port}" if event.address.startswith("unix") else event.address
    return f"C-0x{event.id:x}: {database or '(nodb)'}/{user or '(nouser)'}@{address}"


def _server(event: Event) -> str:
    return f"S-0x{event.id:x}: {event.database}/{event.user}@{_place(event)}"


def _place(event: Event) -> str:
    return f"unix:{event.address.rpartition('.')[2]}" if event.address.startswith("unix:") else event.address


def _closing(who: str, why: str, event: Event) -> str:
    return f"{who} closing because: {why} (age={event.age_us // 1_000_000}s)"


def _client_end(event: Event, reason: Reason) -> str:
    if reason.code in ("server_login_failed", "settings_refused"):
        return _detail(event)  # the client gets PostgreSQL's own words
    return _filled(reason.pgbouncer or reason.message or "client close request", event)


def _server_end(event: Event, reason: Reason) -> str:
    if reason.code == "server_login_failed":
        return _detail(event)
    return _filled(_SERVER_ENDS.get(reason.code) or reason.pgbouncer or reason.message or "pooler shutdown", event)


def _filled(text: str, event: Event) -> str:
    return text.replace("%s", _detail(event))


def _detail(event: Event) -> str:
    return event.detail.decode(errors="replace").rstrip("\0")
