"""Signals in PgBouncer's place: what they ask for, and that it is said first."""

import signal
from io import StringIO

import pytest

from howdah.control.dropin.signals import NUMBERS, Signals
from howdah.control.log import configure, logger
from howdah.control.shutdown import WaitFor
from howdah.dataplane.rows import States


class Pooler:
    """Notes what it is asked for, and what the log held by then."""

    def __init__(self) -> None:
        self._stream = StringIO()
        configure(level="info", json=False, stream=self._stream, colors=False, drop_in=True)
        self.stopping = False
        self.states = States(paused=False, suspended=False, databases=())
        self.asked: list[tuple[str, str]] = []
        self.signals = Signals(self, lambda: self._note("reload"), logger())

    def pause(self, *, said: bool) -> None:
        assert said, "the log would have two lines"
        self._note("pause")

    def resume(self, *, said: bool) -> None:
        assert said, "the log would have two lines"
        self._note("resume")

    def shutdown(self, wait_for: WaitFor) -> None:
        self.stopping = True
        self._note(wait_for.name)

    def _note(self, what: str) -> None:
        self.asked.append((what, self.said))

    @property
    def said(self) -> str:
        lines = self._stream.getvalue().splitlines()
        return lines[-1].partition(" LOG ")[2] if lines else ""


@pytest.mark.parametrize(
    "number, asked, said",
    [
        (signal.SIGHUP, "reload", "got SIGHUP, re-reading config"),
        (signal.SIGTERM, "CLIENTS", "got SIGTERM, shutting down, waiting for all clients disconnect"),
        (signal.SIGINT, "SERVERS", "got SIGINT, shutting down, waiting for all servers connections to be released"),
        (signal.SIGQUIT, "NOBODY", "got SIGQUIT, fast exit"),
        (signal.SIGUSR1, "pause", "got SIGUSR1, pausing all activity"),
    ],
)
def test_each_signal_has_its_meaning(number: signal.Signals, asked: str, said: str) -> None:
    assert number in NUMBERS
    pooler = Pooler()
    pooler.signals.came(number)
    assert pooler.asked == [(asked, said)]


@pytest.mark.parametrize("halted", ["PAUSE", "SUSPEND"])
def test_what_has_been_halted_goes_on(halted: str) -> None:
    pooler = Pooler()
    pooler.states = States(paused=halted == "PAUSE", suspended=halted == "SUSPEND", databases=())
    pooler.signals.came(signal.SIGUSR2)
    assert pooler.asked == [("resume", f"got SIGUSR2, continuing from {halted}")]


def test_what_is_so_already_is_not_done_again() -> None:
    pooler = Pooler()
    pooler.signals.came(signal.SIGUSR2)
    assert pooler.said == "got SIGUSR2, but not paused/suspended"
    pooler.states = States(paused=True, suspended=False, databases=())
    pooler.signals.came(signal.SIGUSR1)
    assert pooler.said == "got SIGUSR1, but already paused/suspended"
    assert pooler.asked == []


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_time_is_at_once(first: signal.Signals, second: signal.Signals) -> None:
    pooler = Pooler()
    pooler.signals.came(first)
    pooler.signals.came(second)
    assert pooler.asked[-1] == ("NOBODY", f"got {second.name} while shutting down, fast exit")


def test_nothing_is_resumed_on_the_way_out() -> None:
    pooler = Pooler()
    pooler.signals.came(signal.SIGTERM)
    pooler.signals.came(signal.SIGUSR2)
    assert len(pooler.asked) == 1
    assert pooler.said == "got SIGUSR2 while shutting down, ignoring"
