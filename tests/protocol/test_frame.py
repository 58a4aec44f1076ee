"""Message boundaries are found whatever way the bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import wire

frame = pytest.importorskip("howdah_probe.frame", reason="the release build has no probes")

TAGS = st.sampled_from([bytes([tag]) for tag in range(256)])
MESSAGES = st.builds(wire.message, TAGS, st.binary(max_size=200))
WHOLE, PART, NEED_HEADER, BAD_LENGTH = "FRAME_WHOLE", "FRAME_PART", "FRAME_NEED_HEADER", "FRAME_BAD_LENGTH"


def split_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def read_messages(pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """What a reader gets that keeps what is not yet whole: the messages, and what is left over."""
    messages, held = [], b""
    for piece in pieces:
        held += piece
        while True:
            verdict, _, size, _ = frame.next_frame(held)
            if verdict.name != WHOLE:
                break
            messages.append(held[:size])
            held = held[size:]
    return messages, held


@given(st.lists(MESSAGES, max_size=8), st.lists(st.integers(0, 4000), max_size=12))
def test_any_split_of_a_stream_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    assert read_messages(split_at(b"".join(messages), cuts)) == (messages, b"")


@given(MESSAGES, st.binary(max_size=50))
def test_what_follows_a_message_does_not_change_it(message: bytes, rest: bytes) -> None:
    verdict, tag, size, here = frame.next_frame(message + rest)
    assert (verdict.name, tag, size, here) == (WHOLE, message[0], len(message), len(message))


@given(MESSAGES, st.data())
def test_a_cut_message_says_what_is_there_and_how_large_it_will_be(message: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(message) - 1))
    verdict, tag, size, here = frame.next_frame(message[:cut])
    if cut < 5:
        assert verdict.name == NEED_HEADER
    else:
        assert (verdict.name, tag, size, here) == (PART, message[0], len(message), cut)


@given(TAGS, st.one_of(st.integers(0, 3), st.integers(0x8000_0000, 0xFFFF_FFFF)), st.binary(max_size=20))
def test_a_length_that_cannot_be_is_refused(tag: bytes, length: int, rest: bytes) -> None:
    assert frame.next_frame(tag + length.to_bytes(4, "big") + rest)[0].name == BAD_LENGTH


def test_the_largest_length_is_accepted() -> None:
    verdict, _, size, here = frame.next_frame(b"Q\x7f\xff\xff\xff")
    assert (verdict.name, size, here) == (PART, 0x8000_0000, 5)


@given(TAGS, st.lists(st.binary(max_size=40), max_size=8), st.lists(MESSAGES, max_size=3), st.integers(0, 500))
def test_a_run_is_the_whole_messages_of_one_type(tag: bytes, bodies: list[bytes], rest: list[bytes], cut: int) -> None:
    run = [wire.message(tag, body) for body in bodies]
    stream = run + [message for message in rest if message[:1] != tag]
    data = b"".join(stream)[: len(b"".join(stream)) - cut % (len(b"".join(stream)) + 1)]
    whole = 0
    while whole < len(run) and len(b"".join(run[: whole + 1])) <= len(data):
        whole += 1
    assert frame.skip_run(data, tag[0]) == (len(b"".join(run[:whole])), whole)
