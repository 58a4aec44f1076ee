"""The reply queue agrees with PostgreSQL about what is still to come, however sending and answering interleave.

If it thinks too little is owed, a server goes back to its pool with replies under way and the next client reads them:
the worst thing a pooler can do.  If it thinks too much is owed, a server never goes back.
"""

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.protocol.backend import Backend, Sent

probe = pytest.importorskip("howdah_probe.reply_queue", reason="the release build has no probes")

#: reply_queue.pxd's Expected; what the relay notes for each message it forwards.
EXPECTED = {"P": 1, "B": 2, "D": 3, "E": 4, "C": 5, "S": 6, "Q": 7, "F": 8, "c": 16, "f": 16}
FORWARD = "REPLY_FORWARD"

# What one message may bring.  Many "D" (DataRow) and "d" (CopyData) behave as one.
STATEMENT = st.sampled_from(["C", "TDC", "TC", "I", "HdcC", "HcC", "E", "TDE", "HdE"])
QUERY_ANSWER = st.lists(STATEMENT, max_size=3).map(lambda parts: "".join(parts) + "Z")
EXECUTED = st.sampled_from(["C", "DC", "s", "Ds", "I", "HdcC", "E", "DE", "HdE"])
COPY_DATA = st.lists(st.just(Sent("d")), max_size=3)
COPY_END = st.sampled_from([[Sent("c")], [Sent("f")], [Sent("d", "E"), Sent("c")], [Sent("c", "E")]])

extended_message = st.one_of(
    st.sampled_from(["1", "1", "1", "E"]).map(lambda answer: Sent("P", answer)),
    st.sampled_from(["2", "2", "2", "E"]).map(lambda answer: Sent("B", answer)),
    st.sampled_from(["tT", "tn", "T", "n", "E", "tE"]).map(lambda answer: Sent("D", answer)),
    EXECUTED.map(lambda answer: Sent("E", answer)),
    st.sampled_from(["3", "3", "E"]).map(lambda answer: Sent("C", answer)),
    st.just(Sent("H")),
)
simple_query = QUERY_ANSWER.map(lambda answer: [Sent("Q", answer)])
function_call = st.sampled_from(["VZ", "E"]).map(lambda answer: [Sent("F", answer)])
sync = st.sampled_from(["", "", "", "E"]).map(lambda answer: [Sent("S", answer)])
extended_batch = st.lists(extended_message, max_size=6)


@st.composite
def simple_copy_in(draw: st.DrawFn) -> list[Sent]:
    """A query that begins with a copy in, its data and its end."""
    after = draw(st.sampled_from(["", "C", "TDC", "E"]))
    query = Sent("Q", f"GC{after}Z")
    stray = draw(st.sampled_from([[], [Sent("H")], [Sent("S")]]))
    return [query, *stray, *draw(COPY_DATA), *draw(COPY_END)]


@st.composite
def extended_copy_in(draw: st.DrawFn) -> list[Sent]:
    """An Execute that copies in; some drivers send a Sync behind it that the server ignores."""
    ignored = draw(st.sampled_from([[], [Sent("S")], [Sent("H")], [Sent("S"), Sent("S")]]))
    start = [Sent("P", "1"), Sent("B", "2"), Sent("E", draw(st.sampled_from(["GC", "GC", "E"])))]
    return [*start, *ignored, *draw(COPY_DATA), *draw(COPY_END), Sent("S")]


@st.composite
def replication(draw: st.DrawFn) -> list[Sent]:
    """A stream, which the client ends, or an error does, behind which the client's CopyDone comes late."""
    end = draw(st.sampled_from([[Sent("c")], [Sent("d", "E"), Sent("c")], [Sent("c", "E")]]))
    return [Sent("Q", draw(st.sampled_from(["WcCCZ", "WcTDCCZ", "WcEZ"]))), *draw(COPY_DATA), *end]


conversation = st.lists(
    st.one_of(simple_query, extended_batch, sync, simple_copy_in(), extended_copy_in(), function_call, replication()),
    max_size=6,
).map(lambda parts: [message for part in parts for message in part])


class Link:
    """The client's messages on their way through the queue to the server, and the replies on theirs back."""

    def __init__(self) -> None:
        self.replies = probe.Replies()
        self.backend = Backend()
        self.under_way: list[Sent] = []

    def send(self, message: Sent) -> None:
        if message.tag in EXPECTED:
            assert self.replies.expect(EXPECTED[message.tag])
        self.under_way.append(message)

    def answer(self) -> None:
        for tag in self.backend.take(self.under_way.pop(0)):
            assert self.replies.came(tag.encode()).name == FORWARD, f"{tag} was not expected"
            if tag == "Z" and self.replies.all_replied():  # here the relay lets go of the server
                assert not self.more_will_come(), "the queue forgot what is still to come"

    def more_will_come(self) -> bool:
        ahead = Backend(self.backend.skipping, self.backend.copying, self.backend.of_query)
        return "".join(ahead.take(message) for message in self.under_way) != ""

    def at_rest(self) -> bool:
        return not self.backend.skipping and self.backend.copying is None


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(conversation, st.lists(st.booleans(), max_size=80))
@example([Sent("Q", "GCZ"), Sent("S"), Sent("d"), Sent("c")], [True, True, True, True])
@example([Sent("E", "GC"), Sent("S"), Sent("c"), Sent("S")], [True, True, True, True])
@example([Sent("P", "E"), Sent("Q", "CZ"), Sent("S")], [True, False, True, True])
def test_the_queue_is_empty_exactly_when_nothing_is_to_come(messages: list[Sent], schedule: list[bool]) -> None:
    link, to_send = Link(), list(messages)
    for sends in schedule:
        if sends and to_send:
            link.send(to_send.pop(0))
        elif link.under_way:
            link.answer()
    for message in to_send:
        link.send(message)
    while link.under_way:
        link.answer()
    last = messages[-1].tag if messages else "S"
    if link.at_rest() and last in "SQF":
        assert link.replies.all_replied()
    elif not link.at_rest():
        assert not link.replies.all_replied()


@settings(max_examples=300)
@given(conversation, st.integers(0, 40))
@example([Sent("P", "1"), Sent("B", "2"), Sent("E", "C"), Sent("H")], 4)
def test_a_server_is_brought_back_wherever_its_client_leaves(messages: list[Sent], cut: int) -> None:
    link = Link()
    for message in messages[:cut]:
        link.send(message)
        link.answer()
    assume(link.backend.copying is None)
    recover(link)
    assert link.at_rest()
    assert link.replies.all_replied()
    assert not link.backend.open, "the next client's Sync would commit what this one left"


def recover(link: Link) -> None:
    """What recycle does for a client that left: end a copy; then, unless ReadyForQuery comes anyway, fail and Sync."""
    if link.backend.copying is not None:
        link.send(Sent("f"))
    if not link.replies.ends_with_ready():
        link.send(Sent("E", "E"))
        link.send(Sent("S"))
    while link.under_way:
        link.answer()


def test_a_server_is_brought_back_from_the_middle_of_a_copy() -> None:
    link = Link()
    for message in [Sent("P", "1"), Sent("B", "2"), Sent("E", "GC"), Sent("S")]:
        link.send(message)
        link.answer()
    recover(link)
    assert link.at_rest()


def test_a_copy_behind_another_statement_may_be_pipelined() -> None:
    link = Link()
    for message in [Sent("Q", "CGCZ"), Sent("c"), Sent("S")]:
        link.send(message)
    while link.under_way:
        link.answer()
    assert link.replies.all_replied()


def test_a_stream_is_one_until_both_sides_have_ended_it() -> None:
    link = Link()
    link.send(Sent("Q", "WcCCZ"))
    assert not link.replies.is_streaming()
    link.answer()
    link.send(Sent("d"))
    link.answer()
    assert link.replies.is_streaming()
    link.send(Sent("c"))
    link.answer()
    assert not link.replies.is_streaming()
    assert link.replies.all_replied()


def test_a_stream_that_failed_is_none() -> None:
    link = Link()
    for message in [Sent("Q", "WcCZ"), Sent("d", "E"), Sent("c")]:
        link.send(message)
        link.answer()
    assert not link.replies.is_streaming()
    assert link.replies.all_replied()


def test_a_copy_in_is_no_stream() -> None:
    link = Link()
    link.send(Sent("Q", "GCZ"))
    link.answer()
    assert not link.replies.is_streaming()


def test_the_room_of_a_long_pipeline_does_not_stay() -> None:
    replies = probe.Replies()
    smallest = replies.room()
    for _ in range(2):
        for count in (20, 500):
            assert all(replies.expect(EXPECTED["Q"]) for _ in range(count))
            full = replies.room()
            replies.shrink()
            assert replies.room() == full, "something is owed"
            for _ in range(count):
                replies.came(b"C")
                replies.came(b"Z")
            assert replies.all_replied()
            replies.shrink()
            assert replies.room() == (smallest if count == 500 else full)
