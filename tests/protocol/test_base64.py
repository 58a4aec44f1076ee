"""Base64: what Python writes is read, one value has one text, and room is never overstepped."""

import base64 as python
from binascii import Error

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

base64 = pytest.importorskip("howdah_probe.base64", reason="the release build has no probes")

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: Texts that are nearly base64.
NEARLY = st.text(f"{ALPHABET}=== -_\n", max_size=16).map(str.encode)


def text_size(size: int) -> int:
    return (size + 2) // 3 * 4


@given(st.binary(max_size=200))
def test_bytes_are_written_as_python_writes_them_and_read_back(data: bytes) -> None:
    text = base64.encode(data, text_size(len(data)))
    assert text == python.b64encode(data)
    assert base64.decode(text, len(data)) == data


@given(st.binary(min_size=1, max_size=60), st.data())
def test_without_room_nothing_is_written(data: bytes, draw: st.DataObject) -> None:
    assert base64.encode(data, draw.draw(st.integers(0, text_size(len(data)) - 1))) is None
    assert base64.decode(python.b64encode(data), draw.draw(st.integers(0, len(data) - 1))) is None


def the_only_value(text: bytes) -> bytes | None:
    """The bytes of which `text` is the text."""
    try:
        data = python.b64decode(text, validate=True)
    except Error:
        return None
    return data if python.b64encode(data) == text else None


@given(NEARLY)
@example(b"Zg==Zg==")
@example(b"Zm9vYg=")
@example(b"Zh==")
@example(b"Zm9=")
def test_every_text_is_read_that_python_would_write_and_no_other(text: bytes) -> None:
    assert base64.decode(text, 64) == the_only_value(text)


@pytest.mark.parametrize(
    "text",
    [
        b"Zg",
        b"Zg=",
        b"Zg===",
        b"Z===",
        b"====",
        b"=",
        b"Zm9v=",
        b"Zm9v====",
        b"Zg==Zm9v",
        b"Zm 9v",
        b"Zm9v\n",
        b"Zm9\0",
    ],
)
def test_other_texts_are_refused(text: bytes) -> None:
    assert base64.decode(text, 64) is None


@given(st.sampled_from(range(256)), st.integers(0, 3))
def test_a_character_that_is_none_of_the_64_is_refused(character: int, at: int) -> None:
    text = bytearray(b"Zm9v")
    text[at] = character
    known = chr(character) in ALPHABET
    padding = character == ord("=") and at == 3
    found = base64.decode(bytes(text), 64)
    assert (found is not None) == (known or (padding and the_only_value(bytes(text)) is not None))


@pytest.mark.parametrize("frame", ["Z{}==", "Zm{}=", "Zm9{}"])
def test_of_all_texts_that_differ_in_the_last_character_those_without_stray_bits_are_read(frame: str) -> None:
    texts = [frame.format(last).encode() for last in ALPHABET]
    found = [base64.decode(text, 64) for text in texts]
    assert found == [the_only_value(text) for text in texts]
    assert len(found) - found.count(None) == {2: 4, 1: 16, 0: 64}[frame.count("=")]
