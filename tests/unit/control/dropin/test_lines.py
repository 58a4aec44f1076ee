"""The shape of log lines in PgBouncer's place."""

import os
import re
from io import StringIO

import pytest

from howdah.control.log import configure, logger

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[(\d+)\] (LOG|WARNING|ERROR|FATAL|DEBUG) (.*)\n", re.DOTALL
)


def _log(level: str = "debug") -> StringIO:
    stream = StringIO()
    configure(level=level, json=False, stream=stream, colors=False, drop_in=True)
    return stream


@pytest.mark.parametrize(
    "method, level",
    [("debug", "DEBUG"), ("info", "LOG"), ("warning", "WARNING"), ("error", "ERROR"), ("critical", "FATAL")],
)
def test_a_line_is_time_zone_process_level_and_text(method: str, level: str) -> None:
    stream = _log()
    getattr(logger(), method)("something", a=1)
    match = LINE.fullmatch(stream.getvalue())
    assert match is not None
    assert match.groups() == (str(os.getpid()), level, "something a=1")


def test_an_event_has_the_time_when_it_happened() -> None:
    stream = _log()
    logger().info("x", at_us=1_795_892_400_123_456)
    assert re.match(r"2026-11-28 \d\d:\d\d:00\.123 \S+ \[\d+\] LOG x\n", stream.getvalue())


def test_a_name_cannot_begin_a_line_of_its_own() -> None:
    stream = _log()
    logger().info("C-0x1: db/eve\n2026-11-28 19:00:00.123 UTC [1] LOG \x1b[2Jfaked@unix")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_is_told_in_lines_that_are_no_log_lines() -> None:
    stream = _log()
    try:
        raise ValueError("what was it")
    except ValueError:
        logger().exception("internal error")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR internal error")
    assert any("ValueError: what was it" in line for line in rest)
    assert all(line.startswith("\t") for line in rest)


def test_noise_is_a_level_of_its_own() -> None:
    stream = _log()
    logger().debug("something", noise=True)
    assert stream.getvalue().endswith("] NOISE something\n")
