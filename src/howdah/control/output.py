"""Where log lines go: the terminal, a file, the system's log; each as soon as it is written, none able to stop us.

A line is one write to each.  What cannot be written is lost, never an error: queries matter more than their log.
"""

import contextlib
import os
import socket
import syslog
from collections.abc import MutableMapping
from typing import Any, Protocol

from howdah.control.config.errors import StartError
from howdah.control.config.schema import GlobalSettings
from howdah.control.process.identity import Identity

SYSTEM_LOG = "/dev/log"
_PRIORITIES = {
    "debug": syslog.LOG_DEBUG,
    "info": syslog.LOG_INFO,
    "warning": syslog.LOG_WARNING,
    "error": syslog.LOG_ERR,
    "critical": syslog.LOG_CRIT,
}


class Terminal(Protocol):
    """What shows lines to people."""

    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...


class Output:
    """A stream for all of them, after `open`.  `quiet`: nothing on the terminal."""

    def __init__(self, terminal: Terminal, *, quiet: bool, system_log: str = SYSTEM_LOG) -> None:
        self._terminal = terminal
        self._quiet = quiet
        self._system_log = SystemLog(system_log)
        self._file = -1

    def open(self, settings: GlobalSettings, owner: Identity | None = None) -> None:
        """The file and the system's log as `settings` want them.  StartError: they stay as they were."""
        file = _open_file(settings.logfile, owner) if settings.logfile else -1
        self._file, before = file, self._file
        if before >= 0:
            os.close(before)
        self._system_log.use(settings)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._system_log.close()

    def write(self, text: str) -> int:
        """A whole line."""
        if not self._quiet:
            self._terminal.write(text)
        if self._file >= 0:
            try:
                os.write(self._file, text.encode(errors="replace"))
            except OSError:
                pass  # a full disk; the next line may fit again
        return len(text)

    def flush(self) -> None:
        if not self._quiet:
            self._terminal.flush()

    def to_system_log(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """As one of structlog's processors: the system's log has times and process ids of its own."""
        self._system_log.send(event)
        return event


def _open_file(path: str, owner: Identity | None) -> int:
    """As the user whom we are to become: it is to open it anew, one day, and may have put a link in its place."""
    try:
        with owner.acting() if owner is not None else contextlib.nullcontext():
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, 0o644)
    except OSError as failure:
        raise StartError(f"Cannot open logfile: '{path}': {failure.strerror}") from None


class SystemLog:
    """The system's log by its datagram socket; the library's syslog() would wait for a log that is stuck."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._facility = syslog.LOG_DAEMON
        self._ident = ""

    def use(self, settings: GlobalSettings) -> None:
        self._facility = getattr(syslog, f"LOG_{settings.syslog_facility.upper()}")
        self._ident = settings.syslog_ident
        if not settings.syslog:
            self.close()
        elif self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, event: MutableMapping[str, Any]) -> None:
        if self._socket is None:
            return
        fields = "".join(f" {name}={value}" for name, value in event.items() if name not in _NOT_SHOWN)
        priority = self._facility | _PRIORITIES.get(event["level"], syslog.LOG_INFO)
        line = f"<{priority}>{self._ident}[{os.getpid()}]: {event['event']}{fields}"
        # Names come from strangers, and some readers take a line break for the end of a message.
        line = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)
        try:
            self._socket.sendto(line.encode(errors="replace"), self._path)
        except OSError:
            pass  # nobody listens, or its queue is full


_NOT_SHOWN = ("event", "level", "at_us", "exc_info")
