"""Passwords in clear and as MD5, what SASL messages wrap, and the authentication messages howdah sends."""

import hashlib
import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import wire

password = pytest.importorskip("howdah_probe.password", reason="the release build has no probes")

TEXT = st.binary(max_size=80).filter(lambda value: b"\0" not in value)
NAMES = st.lists(TEXT.filter(bool), max_size=6)
PLAIN, PLUS = b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"


def md5(text: bytes) -> bytes:
    return b"md5" + hashlib.md5(text).hexdigest().encode()


@given(TEXT, TEXT)
def test_an_md5_secret_is_the_hash_of_password_and_user(secret: bytes, user: bytes) -> None:
    assert password.md5_of_password(secret, user) == md5(secret + user)


@given(TEXT, st.binary(min_size=4, max_size=4))
def test_an_md5_answer_is_the_hash_of_the_secrets_digits_and_the_salt(secret: bytes, salt: bytes) -> None:
    assert password.md5_of_challenge(md5(secret), salt) == md5(md5(secret)[3:] + salt)


@given(TEXT)
def test_a_password_is_read_as_sent(text: bytes) -> None:
    assert password.read_password_message(text + b"\0") == text


@given(TEXT, TEXT)
def test_a_password_with_a_nul_in_it_or_no_nul_behind_it_is_refused(text: bytes, more: bytes) -> None:
    assert password.read_password_message(text) is None
    assert password.read_password_message(text + b"\0" + more + b"\0") is None


@given(TEXT, st.binary(max_size=80))
def test_a_first_sasl_message_is_read_as_sent(mechanism: bytes, data: bytes) -> None:
    body = mechanism + b"\0" + struct.pack("!i", len(data)) + data
    assert password.read_sasl_initial(body) == (mechanism, data)


def test_a_client_may_choose_a_mechanism_and_say_no_more() -> None:
    assert password.read_sasl_initial(PLAIN + b"\0\xff\xff\xff\xff") == (PLAIN, None)
    assert password.read_sasl_initial(PLAIN + b"\0\xff\xff\xff\xffx") is None


@given(TEXT, st.integers(-(2**31), 2**31 - 1), st.binary(max_size=20))
def test_a_length_that_is_not_that_of_the_data_is_refused(mechanism: bytes, length: int, data: bytes) -> None:
    found = password.read_sasl_initial(mechanism + b"\0" + struct.pack("!i", length) + data)
    assert (found is not None) == (length == len(data) or (length == -1 and not data))


@given(TEXT, st.binary(max_size=20), st.data())
def test_a_cut_sasl_message_is_refused(mechanism: bytes, data: bytes, draw: st.DataObject) -> None:
    body = mechanism + b"\0" + struct.pack("!i", len(data)) + data
    assert password.read_sasl_initial(body[: draw.draw(st.integers(0, len(body) - 1))]) is None


@given(NAMES, st.booleans(), st.booleans(), st.randoms())
def test_the_mechanisms_we_know_are_found_among_others(
    names: list[bytes], scram: bool, plus: bool, random: Random
) -> None:
    names = [name for name in names if name not in {PLAIN, PLUS}] + [PLAIN] * scram + [PLUS] * plus
    random.shuffle(names)
    body = b"".join(name + b"\0" for name in names)
    assert password.read_sasl_mechanisms(body + b"\0") == (scram, plus)
    assert password.read_sasl_mechanisms(body) is None
    assert password.read_sasl_mechanisms(body + b"\0\0") is None


@pytest.mark.parametrize("name", [b"SCRAM-SHA-1", b"SCRAM-SHA-256-", b"SCRAM-SHA-25", b"scram-sha-256"])
def test_a_name_that_is_nearly_ours_is_another_mechanism(name: bytes) -> None:
    assert password.read_sasl_mechanisms(name + b"\0\0") == (False, False)


def request(code: int, data: bytes = b"") -> bytes:
    return wire.message(b"R", struct.pack("!I", code) + data)


def test_authentication_requests_are_written_as_documented() -> None:
    message = password.Message
    assert message().authentication(0) == request(0)
    assert message().authentication(3) == request(3)
    assert message().authentication_md5(b"salt") == request(5, b"salt")
    assert message().authentication_sasl(False) == request(10, PLAIN + b"\0\0")
    assert message().authentication_sasl(True) == request(10, PLUS + b"\0" + PLAIN + b"\0\0")
    assert message().authentication_data(11, b"r=...") == request(11, b"r=...")
    assert message().authentication_data(12, b"v=...") == request(12, b"v=...")


def test_answers_to_authentication_requests_are_written_as_documented() -> None:
    message = password.Message
    assert message().password(b"secret") == wire.message(b"p", b"secret\0")
    assert message().sasl_initial(PLAIN, b"n,,") == wire.message(b"p", PLAIN + b"\0\0\0\0\x03n,,")
    assert message().sasl_response(b"c=biws") == wire.message(b"p", b"c=biws")
    assert message().ssl_request() == wire.packet(struct.pack("!I", wire.SSL_REQUEST_CODE))


@given(TEXT, st.binary(max_size=40))
def test_what_we_send_can_be_read_by_us(text: bytes, data: bytes) -> None:
    assert password.read_password_message(password.Message().password(text)[5:]) == text
    assert password.read_sasl_initial(password.Message().sasl_initial(text, data)[5:]) == (text, data)


@pytest.mark.parametrize("room", range(13 + len(PLAIN)))
def test_a_message_without_room_is_none(room: int) -> None:
    assert password.Message(room).sasl_initial(PLAIN, b"n,,") is None
