"""The log: structlog, lines for people on a terminal, JSON objects for machines, or lines as PgBouncer writes them.

structlog's import pulls in rich (and with it Pygments, ssl and more) for coloured tracebacks: 80 to 130 ms and 5 MiB
that a pooler has no use for.  A `None` in `sys.modules` makes `import rich` fail with ImportError, which structlog
takes as "not installed"; it is gone again right after.
"""

import sys
from collections.abc import MutableMapping
from typing import Any, Protocol, TextIO, cast

_hide_rich = "rich" not in sys.modules
if _hide_rich:
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own way to say "cannot be imported"
try:
    import structlog
finally:
    if _hide_rich:
        del sys.modules["rich"]

from structlog.typing import FilteringBoundLogger, Processor  # noqa: E402

from howdah.control.dropin import lines  # noqa: E402

__all__ = ["FilteringBoundLogger", "Stream", "configure", "logger"]


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


def configure(
    *, level: str, json: bool, stream: Stream, colors: bool, drop_in: bool = False, also: Processor | None = None
) -> None:
    """Set up the process's log; loggers made before keep what they had.

    `drop_in`: in PgBouncer's shape.  `also` sees each line's event before it is made into text.
    """
    shape = _for_pgbouncers_readers() if drop_in else _for_machines() if json else _for_people(colors)
    structlog.configure(
        processors=[structlog.processors.add_log_level, *((also,) if also else ()), *shape],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", stream)),  # it needs no more of it
        cache_logger_on_first_use=False,
    )


def logger() -> FilteringBoundLogger:
    return cast("FilteringBoundLogger", structlog.get_logger())


def _for_machines() -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _leading,
        structlog.processors.JSONRenderer(),
    ]


def _for_people(colors: bool) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _printable,
        structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=40, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _for_pgbouncers_readers() -> list[Processor]:
    return [structlog.processors.format_exc_info, lines.render]


def _leading(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Time, level and message first: JSON is read by people, too."""
    return {"time": event.pop("time"), "level": event.pop("level"), "message": event.pop("event"), **event}


def _printable(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Names come from strangers: no escape sequence or line break of theirs may reach a terminal or fake a line."""
    for key, value in event.items():
        if isinstance(value, str) and key not in ("exception", "stack") and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode()
    return event
