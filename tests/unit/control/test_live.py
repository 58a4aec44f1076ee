"""The live line: its numbers, and that log lines never break it."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TextIO

import pytest

from howdah.control.live import Screen, compose
from howdah.dataplane.engine import Totals

BEFORE = Totals(clients=10, waiting=0, servers=5, servers_active=1, xact_count=100, query_count=200, events_lost=0)
NOW = BEFORE._replace(clients=2000, waiting=12, servers=20, servers_active=18, xact_count=25_100, query_count=50_200)


@contextmanager
def _terminal(columns: int) -> Iterator[tuple[TextIO, int]]:
    """A terminal's two ends: a stream to write to, and the fd that shows what came."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(end, "w") as stream:
        yield stream, main
    os.close(main)


def test_rates_are_per_second_between_two_readings() -> None:
    assert compose(NOW, BEFORE, 2.0) == (
        " clients 2,000   waiting 12   servers 18 active, 2 idle   12,500 tx/s   25,000 queries/s"
    )


def test_log_lines_scroll_above_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with _terminal(80) as (stream, main):
        screen = Screen(stream)
        screen.show("live")
        screen.write("a log line\n")
        screen.show("")
        live = "\x1b[2mlive\x1b[0m"
        expected = f"\r\x1b[K{live}\r\x1b[Ka log line\r\n{live}\r\x1b[K"
        seen = ""
        while len(seen) < len(expected):  # a terminal hands on what is written to it piece by piece
            seen += os.read(main, 4096).decode()
    assert seen == expected


def test_the_live_line_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with _terminal(20) as (stream, main):
        Screen(stream).show("x" * 50)
        assert os.read(main, 4096).decode().count("x") == 19


def test_without_a_terminal_there_is_no_live_line() -> None:
    stream = StringIO()
    screen = Screen(stream)
    screen.show("live")
    screen.write("a log line\n")
    assert stream.getvalue() == "a log line\n"


def test_a_dumb_terminal_has_no_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with _terminal(80) as (stream, _):
        assert not Screen(stream).live


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    Screen(stream).write("nobody reads this\n")
    with pytest.raises(BrokenPipeError):
        stream.close()
