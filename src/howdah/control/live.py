"""The live line: at the bottom of a terminal, what howdah is doing, once a second; log lines scroll above it.

Plain ANSI sequences: a terminal library would cost more memory than the rest of the control plane.
"""

import os
from typing import TextIO

from howdah.dataplane.engine import Totals

_ERASE_LINE = "\r\x1b[K"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class Screen:
    """A stream that everything for the terminal goes through, so that the live line stays last.

    Without a terminal it only passes text on.  A log that cannot be written is lost, never an error: queries matter
    more.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""
        self.live = _is_terminal(stream)

    def write(self, text: str) -> int:
        """For log lines: each text ends with a line break."""
        self._put(f"{_ERASE_LINE}{text}{self._line}" if self._line else text)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            pass  # the reader has gone

    def show(self, line: str) -> None:
        """Replace the live line; "" removes it.  Cut to the terminal's width: a wrapped line could not be erased."""
        if not self.live or line == self._line == "":
            return
        line = line[: self._width() - 1]
        self._line = f"{_DIM}{line}{_PLAIN}" if line else ""
        self._put(f"{_ERASE_LINE}{self._line}")

    def _width(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # a closed pipe or a full disk; the next line may fit again


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    except ValueError:
        return False


def compose(now: Totals, before: Totals, seconds: float) -> str:
    """The live line's text from two readings `seconds` apart."""
    transactions = (now.xact_count - before.xact_count) / seconds
    queries = (now.query_count - before.query_count) / seconds
    parts = (
        f"clients {now.clients:,}",
        f"waiting {now.waiting:,}",
        f"servers {now.servers_active:,} active, {max(now.servers - now.servers_active, 0):,} idle",
        f"{transactions:,.0f} tx/s",
        f"{queries:,.0f} queries/s",
    )
    return " " + "   ".join(parts)
