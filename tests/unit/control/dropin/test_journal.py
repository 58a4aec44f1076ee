"""Events to lines in PgBouncer's words; the shapes are those of lines that PgBouncer 1.24 wrote."""

from io import StringIO
from typing import Any

import pytest

from howdah.control.config.schema import Config, DatabaseSettings, GlobalSettings
from howdah.control.dropin.journal import PgBouncerJournal, lines_of
from howdah.control.log import configure, logger
from howdah.dataplane.rows import Event, EventKind

CHATTY = {"log_connections": True, "log_disconnections": True}
CLIENT, SERVER = "C-0x7: app/alice@127.0.0.1:4000", "S-0x7: app/alice@127.0.0.1:5432"


def _lines(kind: EventKind, reason: str = "", detail: bytes = b"", **fields: Any) -> list[tuple[str, str]]:
    settings = GlobalSettings.model_validate(CHATTY | fields.pop("settings", {}))
    address = "127.0.0.1:5432" if kind.name.startswith("SERVER") else "127.0.0.1:4000"
    event = Event(kind, 0, 0, 7, reason, "app", "alice", address, 2_900_000, detail)
    config = Config(settings=settings, databases={"app": DatabaseSettings()})
    return list(lines_of(event._replace(**fields), config))


@pytest.mark.parametrize(
    "detail, shown",
    [
        (b"\0\0none\0", "tls=no replication=no"),
        (b"TLSv1.3/TLS_AES_256_GCM_SHA384\0db\0physical\0", "tls=TLSv1.3/TLS_AES_256_GCM_SHA384 replication=yes"),
        (b"\0\0logical\0", "tls=no replication=database"),
    ],
)
def test_an_attempt_to_log_in(detail: bytes, shown: str) -> None:
    text = f"{CLIENT} login attempt: db=app user=alice {shown}"
    assert _lines(EventKind.CLIENT_ATTEMPT, detail=detail) == [("info", text)]


@pytest.mark.parametrize(
    "reason, detail, told, error",
    [
        ("client_terminate", b"", "client close request", False),
        ("client_eof", b"", "client unexpected eof", False),
        ("query_wait_timeout", b"", "query_wait_timeout", True),
        ("client_idle_timeout", b"", "client_idle_timeout", True),
        ("query_timeout", b"", "query timeout", True),
        ("idle_transaction_timeout", b"", "idle transaction timeout", True),
        ("password_failed", b"alice", "password authentication failed", True),
        ("server_login_failed", b'database "nodb" does not exist', 'database "nodb" does not exist', True),
        ("server_closed", b"", "server conn crashed?", True),
    ],
)
def test_the_end_of_a_client(reason: str, detail: bytes, told: str, error: bool) -> None:
    expected = [("info", f"{CLIENT} closing because: {told} (age=2s)")]
    expected += [("warning", f"{CLIENT} pooler error: {told}")] if error else []
    assert _lines(EventKind.CLIENT_CLOSED, reason, detail) == expected


def test_a_client_whose_proof_is_wrong() -> None:
    assert _lines(EventKind.CLIENT_CLOSED, "scram_failed", b"alice") == [
        ("error", f"{CLIENT} password authentication failed"),
        ("info", f"{CLIENT} closing because: SASL authentication failed (age=2s)"),
        ("warning", f"{CLIENT} pooler error: SASL authentication failed"),
    ]


def test_an_attempt_at_a_database_that_is_not_there() -> None:
    ((_, text),) = _lines(EventKind.CLIENT_ATTEMPT, detail=b"\0\0none\0", database="shop")
    assert text == "C-0x7: (nodb)/alice@127.0.0.1:4000 login attempt: db=shop user=alice tls=no replication=no"


def test_a_client_without_a_database() -> None:
    lines = _lines(EventKind.CLIENT_CLOSED, "no_such_database", b"shop", database="shop")
    assert [text for _, text in lines] == [
        "C-0x7: (nodb)/alice@127.0.0.1:4000 login failed: db=shop user=alice",
        "C-0x7: (nodb)/alice@127.0.0.1:4000 closing because: no such database: shop (age=2s)",
        "C-0x7: (nodb)/alice@127.0.0.1:4000 pooler error: no such database: shop",
    ]


def test_a_client_that_said_nothing() -> None:
    ((_, text), _) = _lines(EventKind.CLIENT_CLOSED, "client_login_timeout", database="", user="")
    assert text == "C-0x7: (nodb)/(nouser)@127.0.0.1:4000 closing because: client_login_timeout (age=2s)"


def test_a_client_at_the_unix_socket_has_its_process_and_our_port() -> None:
    ((_, text),) = _lines(EventKind.CLIENT_CLOSED, "client_terminate", address="unix(28387)")
    assert text == "C-0x7: app/alice@unix(28387):6432 closing because: client close request (age=2s)"


@pytest.mark.parametrize(
    "kind, reason, detail, expected",
    [
        (EventKind.SERVER_CONNECTED, "", b"127.0.0.1:49806", "new connection to server (from 127.0.0.1:49806)"),
        (EventKind.SERVER_CONNECTED, "", b"", "new connection to server"),
        (EventKind.SERVER_CLOSED, "server_idle_timeout", b"", "closing because: server idle timeout (age=2s)"),
        (EventKind.SERVER_CLOSED, "server_lifetime", b"", "closing because: server lifetime over (age=2s)"),
        (EventKind.SERVER_CLOSED, "server_idle_closed", b"", "closing because: server conn crashed? (age=2s)"),
        (EventKind.SERVER_REFUSED, "server_unreachable", b"x", "closing because: connect failed (age=2s)"),
    ],
)
def test_the_life_of_a_server(kind: EventKind, reason: str, detail: bytes, expected: str) -> None:
    assert _lines(kind, reason, detail) == [("info", f"{SERVER} {expected}")]


def test_a_server_at_a_unix_socket() -> None:
    ((_, text),) = _lines(EventKind.SERVER_CONNECTED, address="unix:/run/postgresql/.s.PGSQL.5433")
    assert text == "S-0x7: app/alice@unix:5433 new connection to server"


def _written(*events: Event) -> list[str]:
    stream = StringIO()
    configure(level="info", json=False, stream=stream, colors=False, drop_in=True)
    config = Config(settings=GlobalSettings.model_validate(CHATTY))
    journal = PgBouncerJournal(logger(), lambda: config)
    for event in events:
        journal.write(event, 0.0)
    return [line.partition(" LOG ")[2] for line in stream.getvalue().splitlines()]


def test_a_server_that_connects_once_more_has_one_line() -> None:
    connected = Event(EventKind.SERVER_CONNECTED, 0, 0, 7, "", "app", "alice", "127.0.0.1:5432", 0, b"")
    closed = connected._replace(kind=EventKind.SERVER_CLOSED, reason="server_lifetime")
    assert _written(connected, connected, closed, connected) == [
        f"{SERVER} new connection to server",
        f"{SERVER} closing because: server lifetime over (age=0s)",
        f"{SERVER} new connection to server",
    ]


def test_a_console_session_is_known_at_its_end() -> None:
    opened = Event(EventKind.CONSOLE_OPEN, 0, 0, 3, "", "pgbouncer", "alice", "127.0.0.1:4000", 0, b"")
    closed = opened._replace(kind=EventKind.CONSOLE_CLOSED, database="", user="", reason="client_terminate")
    line = "C-0x3: pgbouncer/alice@127.0.0.1:4000 closing because: client close request (age=0s)"
    assert _written(opened, closed, closed) == [line]


def test_a_login_that_postgresql_refused() -> None:
    assert _lines(EventKind.SERVER_REFUSED, "server_login_failed", b'role "carol" does not exist') == [
        ("warning", 'server login failed: FATAL role "carol" does not exist'),
        ("info", f'{SERVER} closing because: role "carol" does not exist (age=2s)'),
    ]


def test_a_connect_query_that_failed() -> None:
    assert _lines(EventKind.SERVER_QUERY_FAILED, "connect_query_failed", b"division by zero") == [
        ("error", "S: error while executing exec_on_query: ERROR: division by zero")
    ]


def test_the_reserve() -> None:
    assert _lines(EventKind.RESERVE_TAKEN) == [("warning", f"{CLIENT} taking connection from reserve_pool")]


def test_lines_nobody_wants_are_not_there() -> None:
    quiet = {"log_connections": False, "log_disconnections": False, "log_pooler_errors": False}
    for kind, reason in [
        (EventKind.CLIENT_CLOSED, "query_wait_timeout"),
        (EventKind.SERVER_CONNECTED, ""),
        (EventKind.SERVER_CLOSED, "server_idle_timeout"),
    ]:
        assert _lines(kind, reason) != []
        assert _lines(kind, reason, settings=quiet) == []


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("reason", ["", "none", "pin_listen", "shutdown", "tls_failed", "unheard_of"])
def test_no_event_is_too_strange(kind: EventKind, reason: str) -> None:
    for level, text in _lines(kind, reason, b"\xff\0%s{x}"):
        assert level in ("debug", "info", "warning", "error")
        assert text


@pytest.mark.parametrize(
    "address, shown", [("192.0.2.1:6432", "192.0.2.1:6432"), ("unix:/run/pool2/.s.PGSQL.6433", "unix:6433")]
)
def test_a_peer_that_could_not_be_reached(address: str, shown: str) -> None:
    lines = _lines(EventKind.PEER_FAILED, "peer_unreachable", b"Connection refused", id=2, address=address, age_us=0)
    assert lines == [("info", f"S-0x0: peer-2@{shown} closing because: connect failed (age=0s)")]
