"""Signals with PgBouncer's meanings.

    HUP   reload, and open the log file anew
    TERM  SHUTDOWN WAIT_FOR_CLIENTS; the second time at once
    INT   SHUTDOWN WAIT_FOR_SERVERS; the second time at once
    QUIT  SHUTDOWN at once
    USR1  PAUSE
    USR2  RESUME

What they bring about is said first and done then.
"""

import signal
from collections.abc import Callable
from typing import Protocol

from howdah.control.log import FilteringBoundLogger
from howdah.control.operations import NotPossible
from howdah.control.shutdown import WaitFor
from howdah.dataplane.rows import States


class Operations(Protocol):
    """What signals ask of the pooler."""

    @property
    def stopping(self) -> bool: ...
    @property
    def states(self) -> States: ...
    def pause(self, *, said: bool) -> None: ...
    def resume(self, *, said: bool) -> None: ...
    def shutdown(self, wait_for: WaitFor) -> None: ...


#: What a shutdown waits for, in PgBouncer's words.
_WAITED_FOR = {
    WaitFor.CLIENTS: "all clients disconnect",
    WaitFor.SERVERS: "all servers connections to be released",
}
_WAITS = {signal.SIGTERM: WaitFor.CLIENTS, signal.SIGINT: WaitFor.SERVERS}
#: All that have a meaning.
NUMBERS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def last_words(waited_for: WaitFor) -> str:
    """Of the log."""
    ended = {
        WaitFor.CLIENTS: "client connections dropped, exiting",
        WaitFor.SERVERS: "server connections dropped, exiting",
    }
    return ended.get(waited_for, "howdah has stopped")


class Signals:
    def __init__(self, operations: Operations, reload: Callable[[], None], log: FilteringBoundLogger) -> None:
        self._operations = operations
        self._reload = reload
        self._log = log

    def came(self, number: signal.Signals) -> None:
        try:
            self._do(number)
        except NotPossible as refusal:
            self._log.warning(str(refusal))

    def _do(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            self._log.info("got SIGHUP, re-reading config")
            self._reload()
        elif number == signal.SIGUSR1:
            self._pause()
        elif number == signal.SIGUSR2:
            self._continue()
        else:
            self._shut_down(number)

    def _pause(self) -> None:
        if self._halted():
            self._log.info("got SIGUSR1, but already paused/suspended")
            return
        self._log.info("got SIGUSR1, pausing all activity")
        self._operations.pause(said=True)

    def _continue(self) -> None:
        if self._operations.stopping:
            self._log.info("got SIGUSR2 while shutting down, ignoring")
            return
        halted = self._halted()
        if not halted:
            self._log.info("got SIGUSR2, but not paused/suspended")
            return
        self._log.info(f"got SIGUSR2, continuing from {halted}")
        self._operations.resume(said=True)

    def _halted(self) -> str:
        """By which command, if at all."""
        states = self._operations.states
        if states.suspended:
            return "SUSPEND"
        return "PAUSE" if states.paused else ""

    def _shut_down(self, number: signal.Signals) -> None:
        wait_for = _WAITS.get(number, WaitFor.NOBODY)
        if wait_for == WaitFor.NOBODY:
            self._log.info(f"got {number.name}, fast exit")
        elif self._operations.stopping:
            self._log.info(f"got {number.name} while shutting down, fast exit")
            wait_for = WaitFor.NOBODY
        else:
            self._log.info(f"got {number.name}, shutting down, waiting for {_WAITED_FOR[wait_for]}")
        self._operations.shutdown(wait_for)
