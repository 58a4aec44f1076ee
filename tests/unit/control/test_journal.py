"""Events to log lines: which are written, with what text, fields and level."""

import json
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest

from howdah.control.journal import MOST_UNASKED, Journal
from howdah.control.log import configure, logger
from howdah.dataplane.rows import Event, EventKind
from tests.unit.control.console.engine_stub import SETTINGS


class Log:
    """A journal and the JSON lines it has written."""

    def __init__(self, *, connections: bool = False, disconnections: bool = False) -> None:
        self._stream = StringIO()
        configure(level="debug", json=True, stream=self._stream, colors=False)
        settings = replace(SETTINGS, log_connections=connections, log_disconnections=disconnections)
        self.journal = Journal(logger(), lambda: settings)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


def _event(kind: EventKind, reason: str = "", detail: bytes = b"", **fields: Any) -> Event:
    event = Event(kind, 0, 0, 7, reason, "app", "alice", "127.0.0.1:4000", 1_500_000, detail)
    return event._replace(**fields)


def test_an_abnormal_end_is_always_written_with_its_reason() -> None:
    log = Log()
    log.journal.write(_event(EventKind.CLIENT_CLOSED, "no_such_database", b"shop"), 0.0)
    (line,) = log.lines
    assert line.pop("time")
    assert line == {
        "level": "warning", "message": "client closed: no such database: shop", "reason": "no_such_database",
        "client": "127.0.0.1:4000", "database": "app", "user": "alice", "id": 7, "age": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "kind, reason, setting",
    [
        (EventKind.CLIENT_LOGIN, "", "connections"),
        (EventKind.SERVER_LOGIN, "", "connections"),
        (EventKind.CLIENT_CLOSED, "client_terminate", "disconnections"),
        (EventKind.SERVER_CLOSED, "server_idle_timeout", "disconnections"),
    ],
)
def test_ordinary_logins_and_ends_are_written_when_asked_for(kind: EventKind, reason: str, setting: str) -> None:
    silent, asked = Log(), Log(**{setting: True})
    for log in (silent, asked):
        log.journal.write(_event(kind, reason), 0.0)
    assert not silent.lines
    assert [line["level"] for line in asked.lines] == ["info"]


@pytest.mark.parametrize(
    "kind, reason, detail, level, message",
    [
        (EventKind.SERVER_REFUSED, "server_unreachable", b"Connection refused", "warning",
         "server refused: cannot reach PostgreSQL: Connection refused"),
        (EventKind.PIN, "pin_named_statement", b"", "info", "server pinned to client: named prepared statement"),
        (EventKind.WORKER_FAILED, "", b"epoll: EBADF", "error", "worker_failed: epoll: EBADF"),
        (EventKind.CLIENT_CLOSED, "query_wait_timeout", b"100 % of {them}", "warning",
         "client closed: query_wait_timeout: no server connection became free in time: 100 % of {them}"),
        (EventKind.CLIENT_CLOSED, "from_the_future", b"", "debug", "client closed"),
    ],
)  # fmt: skip
def test_texts_and_levels_come_from_the_table_of_reasons(
    kind: EventKind, reason: str, detail: bytes, level: str, message: str
) -> None:
    log = Log(disconnections=True)
    log.journal.write(_event(kind, reason, detail), 0.0)
    (line,) = log.lines
    assert (line["level"], line["message"], line.get("reason", "")) == (level, message, reason)


def test_what_the_operator_must_do_is_in_the_line() -> None:
    log = Log()
    log.journal.write(_event(EventKind.WORKER_FAILED, "accept_failed", b"Too many open files"), 0.0)
    (line,) = log.lines
    assert line["message"] == "cannot accept more clients: Too many open files"
    assert "ulimit" in line["hint"]


def test_a_storm_becomes_a_few_lines_and_a_count() -> None:
    log = Log()
    for number in range(MOST_UNASKED + 1234):
        log.journal.write(_event(EventKind.CLIENT_CLOSED, "startup_too_short", id=number), number / 10_000)
    log.journal.write(_event(EventKind.CLIENT_CLOSED, "max_client_conn"), 0.2)
    assert len(log.lines) == MOST_UNASKED + 1
    log.journal.summarize(11.0)
    assert log.lines[-1]["message"] == "client closed: and 1,234 more like this in 11 s"
    assert (log.lines[-1]["reason"], log.lines[-1]["held_back"]) == ("startup_too_short", 1234)


@pytest.mark.parametrize("kind, level", [(EventKind.PIN, "info"), (EventKind.PIN_WARNED, "warning")])
def test_a_pin_is_written_with_its_statement(kind: EventKind, level: str) -> None:
    log = Log()
    log.journal.write(_event(kind, "pin_listen", b"LISTEN a"), 0.0)
    (line,) = log.lines
    assert (line["level"], line["message"], line["statement"]) == (level, "server pinned to client: LISTEN", "LISTEN a")


def test_a_pin_of_an_unknown_statement_has_none() -> None:
    log = Log()
    log.journal.write(_event(EventKind.PIN, "pin_listen"), 0.0)
    assert "statement" not in log.lines[0]


def test_a_refused_statement_is_written_with_what_it_would_have_done() -> None:
    log = Log()
    log.journal.write(_event(EventKind.STATEMENT_REFUSED, "pin_denied", b"LISTEN\0LISTEN a"), 0.0)
    (line,) = log.lines
    assert line["message"].startswith("statement refused: ")
    assert line["message"].endswith(": LISTEN")
    assert (line["level"], line["statement"]) == ("warning", "LISTEN a")


def test_a_peer_that_could_not_be_reached_is_named() -> None:
    log = Log()
    event = _event(EventKind.PEER_FAILED, "peer_unreachable", b"Connection refused", id=2, database="", user="")
    log.journal.write(event._replace(address="192.0.2.1:6432"), 0.0)
    (line,) = log.lines
    assert (line["level"], line["peer"], line["address"]) == ("warning", 2, "192.0.2.1:6432")
    assert line["message"] == "cancel request not passed on: cannot connect to the peer: Connection refused"
    assert "client" not in line
    assert "[peers]" in line["hint"]
