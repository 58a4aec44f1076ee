"""What a message changes is confirmed or taken back exactly as PostgreSQL does it or does not.

Every Parse and Close changes something.  The model of PostgreSQL's main loop says which of them are carried out; the
reply queue must give each of them back once: as answered, or as voided, the newest first.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.backend import Backend, Sent
from tests.protocol.test_reply_queue import EXPECTED

probe = pytest.importorskip("howdah_probe.reply_queue", reason="the release build has no probes")

PARSE, CLOSE, NONE = probe.Change.CHANGE_PARSE, probe.Change.CHANGE_CLOSE, probe.Change.CHANGE_NONE

message = st.one_of(
    st.sampled_from(["1", "1", "1", "E"]).map(lambda answer: Sent("P", answer)),
    st.sampled_from(["2", "2", "E"]).map(lambda answer: Sent("B", answer)),
    st.sampled_from(["C", "DC", "s", "E"]).map(lambda answer: Sent("E", answer)),
    st.just(Sent("C", "3")),
    st.just(Sent("S")),
    st.just(Sent("S")),
    st.sampled_from(["CZ", "EZ", "TDCZ"]).map(lambda answer: Sent("Q", answer)),
)


def change_of(sent: Sent) -> int:
    return int({"P": PARSE, "C": CLOSE}.get(sent.tag, NONE))


class Books:
    """Which changes are open, in order, and what became of the others."""

    def __init__(self) -> None:
        self.queue = probe.Replies()
        self.backend = Backend()
        self.under_way: list[tuple[int, Sent, bool]] = []
        self.done: list[int] = []
        self.undone: list[int] = []
        self.open: list[int] = []

    def send(self, number: int, sent: Sent) -> None:
        verdict = self.queue.owe(EXPECTED[sent.tag], change_of(sent)).name
        assert verdict in {"OWE_NOTED", "OWE_SKIPPED"}
        noted = verdict == "OWE_NOTED"
        if noted and change_of(sent) != NONE:
            self.open.append(number)
        self.under_way.append((number, sent, noted))

    def answer(self) -> None:
        number, sent, noted = self.under_way.pop(0)
        skipped = self.backend.skipping and sent.tag != "S"
        for tag in self.backend.take(sent):
            _, answered, voided = self.queue.answered(tag.encode())
            for _, change in voided:
                if change != NONE:
                    self.undone.append(self.open.pop(len(self.open) - 1 - self._behind()))
            if answered is not None and answered[1] != NONE:
                assert self.open[0] == number
                self.done.append(self.open.pop(0))
        if change_of(sent) != NONE and noted:
            failed = skipped or "E" in sent.answer
            assert (number in self.undone, number in self.done) == (failed, not failed)

    def _behind(self) -> int:
        """Changes sent behind the Sync that the server goes on with: an error leaves them alone."""
        for at, (_, sent, _) in enumerate(self.under_way):
            if sent.tag == "S":
                return sum(1 for _, later, noted in self.under_way[at:] if noted and change_of(later) != NONE)
        return 0


@settings(max_examples=400)
@given(st.lists(message, max_size=25), st.lists(st.booleans(), max_size=60))
def test_each_change_is_confirmed_or_taken_back_once(messages: list[Sent], schedule: list[bool]) -> None:
    books, to_send = Books(), list(enumerate(messages))
    for sends in schedule:
        if sends and to_send:
            books.send(*to_send.pop(0))
        elif books.under_way:
            books.answer()
    for number, sent in to_send:
        books.send(number, sent)
    books.send(len(messages), Sent("S"))
    while books.under_way:
        books.answer()
    assert books.open == []
    assert books.queue.all_replied()
    assert not books.queue.names_unsure()


def test_what_stands_in_one_run_is_sure_and_what_stands_behind_a_sync_is_not() -> None:
    queue = probe.Replies()
    queue.owe(EXPECTED["P"], PARSE)
    assert not queue.names_unsure()
    queue.owe(EXPECTED["S"], NONE)
    assert queue.names_unsure()
    queue.owe(EXPECTED["P"], PARSE)
    queue.came(b"1")
    queue.came(b"Z")
    assert not queue.names_unsure()
