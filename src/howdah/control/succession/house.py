"""What a process is to the outside world apart from its clients, and what becomes of that when another one takes over.

Sockets and their files, the pid file, the service manager, health and metrics.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from howdah.control.config import Config
from howdah.control.listen import Listeners
from howdah.control.log import FilteringBoundLogger
from howdah.control.metrics.health import Health
from howdah.control.operations import Operations
from howdah.control.process.pidfile import PidFile
from howdah.control.process.systemd import Notifier
from howdah.control.succession.doors import describe
from howdah.control.succession.doorstep import Doorstep
from howdah.control.succession.letters import Cancel, Door
from howdah.dataplane.rows import States


class WebSite(Protocol):
    """The HTTP listener."""

    @property
    def sockets(self) -> Sequence[socket.socket]: ...
    def close(self) -> None: ...


class House:
    """`open_site` answers HTTP on open sockets; `taking` says whether a predecessor still has clients for us."""

    def __init__(
        self,
        config: Config,
        listeners: Listeners,
        doorstep: Doorstep,
        pid_file: PidFile,
        notifier: Notifier,
        health: Health,
        operations: Operations,
        states: Callable[[], States],
        log: FilteringBoundLogger,
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._doorstep = doorstep
        self._pid_file = pid_file
        self._notifier = notifier
        self._health = health
        self._operations = operations
        self._states = states
        self._log = log
        self._http: list[socket.socket] = []
        self.greet: Callable[[socket.socket], None] = lambda sock: sock.close()
        self.site: WebSite | None = None
        self.open_site: Callable[[Sequence[socket.socket]], None] = lambda _: None
        self.taking: Callable[[], bool] = lambda: False
        self.ask_predecessor: Callable[[Cancel], None] = lambda _: None

    def why_not(self) -> str:
        """Why nobody can take over now, "" where somebody can."""
        states = self._states()
        if self._config.embedded:
            return "its PostgreSQL is embedded, and ends with it"
        if self._operations.stopping:
            return "it is shutting down"
        if states.paused or states.suspended or any(state.paused for state in states.databases):
            return "something is paused or suspended: RESUME first"
        return ""

    def doors(self) -> tuple[tuple[Door, ...], list[int]]:
        return describe(self._listeners, self._doorstep, self.site.sockets if self.site is not None else ())

    def disabled(self) -> Sequence[str]:
        return [state.name for state in self._states().databases if state.disabled]

    def watchdog_s(self) -> float:
        return self._notifier.watchdog_s

    def lend(self) -> None:
        """The successor listens, too."""
        self._listeners.lent = True

    def leave(self) -> None:
        """The successor alone."""
        self._listeners.ours = self._doorstep.ours = False
        self._doorstep.ignore()
        self._notifier.is_succeeded(True)
        self._health.stops("another process has taken over")
        if self.site is not None:
            self._http = [sock.dup() for sock in self.site.sockets]
            self.site.close()
            self.site = None

    def come_back(self, *, left: bool) -> None:
        """There is no successor after all; `left`: it had been up."""
        self._listeners.lent = False
        if not left:
            return
        self._listeners.own()
        self._doorstep.ours = True
        self._doorstep.answer_with(self.greet)
        self._health.goes_on()
        self._notifier.is_succeeded(False)
        if problem := self._pid_file.take():
            self._log.warning(problem)
        if self._http:
            self.open_site(self._http)
            self._http = []

    def still_expects(self) -> bool:
        return self.taking()

    def pass_on(self, letter: Cancel) -> None:
        """A client that neither the successor nor we have."""
        self.ask_predecessor(letter)

    def close(self) -> None:
        """What was kept in case there would be no successor."""
        if self.site is not None:
            self.site.close()
        for sock in self._http:
            sock.close()
