"""The shape of PgBouncer's log lines: `2026-11-28 19:00:00.123 UTC [4711] LOG text`."""

import os
import time
from collections.abc import MutableMapping
from typing import Any

_LEVELS = {"debug": "DEBUG", "info": "LOG", "warning": "WARNING", "error": "ERROR", "critical": "FATAL"}


def render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """The last of structlog's processors.

    `at_us` is when it happened; without, it is now.  `noise` is what a debug line has that PgBouncer says at the next
    level only.
    """
    at = event.pop("at_us", None)
    level = _LEVELS[event.pop("level")]
    level = "NOISE" if event.pop("noise", False) else level
    trace = str(event.pop("exception", "")).splitlines()
    text = "".join((str(event.pop("event")), *(f" {name}={value}" for name, value in event.items())))
    first = f"{_stamp(time.time_ns() // 1000 if at is None else at)} [{os.getpid()}] {level} {_printable(text)}"
    return "\n\t".join((first, *map(_printable, trace)))


def _stamp(at_us: int) -> str:
    seconds, rest = divmod(at_us, 1_000_000)
    local = time.localtime(seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', local)}.{rest // 1000:03d} {local.tm_zone}"


def _printable(text: str) -> str:
    """Names come from strangers: none of them may begin a line of its own or speak to a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
