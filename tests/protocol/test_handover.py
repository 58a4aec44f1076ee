"""Whoever tells a client, and however the two streams run ahead of each other: it is told all, once, and in order."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

probe = pytest.importorskip("howdah_probe.handover", reason="the release build has no probes")
declared = pytest.importorskip("howdah.dataplane.handover")

OWN, HUB = declared.Teller.TELLER_OWN, declared.Teller.TELLER_HUB
TELL, DROP, KEEP = declared.Hearing.HEAR_TELL, declared.Hearing.HEAR_DROP, declared.Hearing.HEAR_KEEP
FORGET, OVER = declared.Mark.MARK_FORGET, declared.Mark.MARK_OVER
MARKER = -1


class Listener:
    """A client between two servers that hear the same queue, each from where it began to listen."""

    def __init__(self) -> None:
        self.handover = probe.Handover(OWN)
        self.streams = {OWN: deque[int](), HUB: deque[int]()}
        self.listens = {OWN}
        self.told, self.kept = list[int](), list[int]()
        self.notified = 0

    def notify(self) -> None:
        for source in self.listens:
            self.streams[source].append(self.notified)
        self.notified += 1

    def turn(self, to: int) -> None:
        """As `listening` does it: the new teller listens, then a marker, and the old one stops when it is over."""
        if self.handover.turning or self.handover.teller == to or self.listens != {OWN, HUB} - {to}:
            return
        self.listens.add(to)
        self.handover.turn(to)

    def send_marker(self) -> None:
        for source in (OWN, HUB):
            self.streams[source].append(MARKER)

    def come(self, source: int) -> None:
        """The next of this stream has come."""
        if not self.streams[source]:
            return
        one = self.streams[source].popleft()
        if one == MARKER:
            self.marked(self.handover.mark(source))
            return
        hearing = self.handover.hear(source)
        if hearing == TELL:
            self.told.append(one)
        elif hearing == KEEP:
            self.kept.append(one)

    def marked(self, mark: int) -> None:
        if mark & FORGET:
            self.kept.clear()
        if mark & OVER:
            self.told += self.kept
            self.kept.clear()
            # UNLISTEN at the other: what it has heard by then still comes, and is not told.
            self.listens = {self.handover.teller}


STEPS = st.lists(st.sampled_from(["notify", "own", "hub", "turn"]), max_size=120)


@given(STEPS)
def test_all_is_told_once_and_in_order(steps: list[str]) -> None:
    listener = Listener()
    marker_due = False
    for step in steps:
        if step == "notify":
            listener.notify()
            if marker_due:  # something was notified between its LISTEN and the marker
                listener.send_marker()
                marker_due = False
        elif step == "turn":
            was = listener.handover.turning
            listener.turn(HUB if listener.handover.teller == OWN else OWN)
            marker_due = marker_due or (listener.handover.turning and not was)
        else:
            listener.come(OWN if step == "own" else HUB)
    if marker_due:
        listener.send_marker()
    while any(listener.streams.values()):
        for source in (HUB, OWN):
            listener.come(source)
    assert listener.told == list(range(listener.notified))
    assert not listener.kept


@given(st.booleans())
def test_a_marker_that_never_was_leaves_the_old_teller(hub_first: bool) -> None:
    handover = probe.Handover(HUB)
    handover.turn(OWN)
    assert (handover.hear(HUB), handover.hear(OWN)) == (TELL, KEEP)
    if hub_first:
        assert handover.without(OWN) == 0
    assert handover.back() == FORGET
    assert (handover.teller, handover.hear(HUB), handover.hear(OWN)) == (HUB, TELL, DROP)


def test_a_teller_that_is_gone_is_not_waited_for() -> None:
    handover = probe.Handover(HUB)
    handover.turn(OWN)
    assert handover.mark(OWN) == FORGET
    assert handover.hear(OWN) == KEEP
    assert handover.without(HUB) == OVER
    assert (handover.teller, handover.hear(OWN), handover.hear(HUB)) == (OWN, TELL, DROP)


def test_without_a_turn_nothing_changes() -> None:
    handover = probe.Handover(OWN)
    assert (handover.mark(HUB), handover.without(OWN), handover.back()) == (0, 0, 0)
    handover.turn(OWN)
    assert not handover.turning
