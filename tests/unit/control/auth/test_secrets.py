"""What texts of files and auth_query are secrets, and what is said of those that are not."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.python.written import secret_text
from howdah.control.auth.secrets import NO_PASSWORD, parse_secret, secret_of_lookup
from howdah.dataplane.plan import ScramSecret, Secret

MD5 = "md545f2603610af569b6155c45067268c6b"
SALT, STORED, SERVER = (base64.b64encode(bytes([octet] * size)).decode() for octet, size in ((1, 16), (2, 32), (3, 32)))
SCRAM = f"SCRAM-SHA-256$4096:{SALT}${STORED}:{SERVER}"


def test_a_text_is_the_password_itself() -> None:
    assert parse_secret("s3cret") == Secret(password=b"s3cret")


def test_a_password_that_saslprep_changes_is_kept_both_ways() -> None:
    assert parse_secret("a\u00a0b") == Secret(password="a\u00a0b".encode(), prepared=b"a b")


def test_bytes_that_are_no_utf8_stay_what_they_are() -> None:
    assert parse_secret(b"\xff\xe4".decode("utf-8", "surrogateescape")) == Secret(password=b"\xff\xe4")


def test_an_md5_hash_may_be_in_capitals() -> None:
    assert parse_secret("md5" + MD5[3:].upper()) == Secret(md5=MD5)


@pytest.mark.parametrize("text", [MD5[:-1], MD5 + "0", MD5[:-1] + "g", "MD5" + MD5[3:], MD5 + "\n"])
def test_what_is_not_quite_an_md5_hash_is_a_password(text: str) -> None:
    assert parse_secret(text) == Secret(password=text.encode())


def test_a_scram_verifier_has_its_four_parts() -> None:
    assert parse_secret(SCRAM) == Secret(scram=ScramSecret(4096, bytes([1] * 16), bytes([2] * 32), bytes([3] * 32)))


@pytest.mark.parametrize("iterations", [1, 1_000_000])
@pytest.mark.parametrize("salt", [b"x", b"x" * 64])
def test_a_scram_verifier_may_be_at_its_limits(iterations: int, salt: bytes) -> None:
    text = f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${STORED}:{SERVER}"
    assert parse_secret(text).scram == ScramSecret(iterations, salt, bytes([2] * 32), bytes([3] * 32))


@pytest.mark.parametrize(
    "rest, message",
    [
        ("", "malformed"),
        (f"4096:{SALT}${STORED}", "malformed"),
        (f"4096:{SALT}${STORED}:{SERVER}:", "malformed"),
        (f"4096:{SALT}${STORED}${SERVER}", "malformed"),
        (f"0:{SALT}${STORED}:{SERVER}", "iterations"),
        (f"-1:{SALT}${STORED}:{SERVER}", "iterations"),
        (f"٤:{SALT}${STORED}:{SERVER}", "iterations"),
        (f"1000001:{SALT}${STORED}:{SERVER}", "iterations"),
        (f"{'9' * 5000}:{SALT}${STORED}:{SERVER}", "iterations"),
        (f":{SALT}${STORED}:{SERVER}", "iterations"),
        (f"4096:${STORED}:{SERVER}", "salt"),
        (f"4096:{base64.b64encode(b'x' * 65).decode()}${STORED}:{SERVER}", "salt"),
        (f"4096:{SALT[:-1]}${STORED}:{SERVER}", "salt is not base64"),
        (f"4096:{SALT} ${STORED}:{SERVER}", "salt is not base64"),
        (f"4096:{SALT}${STORED[:-3]}9==:{SERVER}", "stored key"),
        (f"4096:{SALT}${SALT}:{SERVER}", "stored key is not 32 bytes"),
        (f"4096:{SALT}${STORED}:{STORED[:-4]}", "server key is not 32 bytes"),
        (f"4096:{SALT}${STORED}:ä", "server key is not base64"),
    ],
)
def test_a_malformed_scram_verifier_is_no_password(rest: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse_secret(f"SCRAM-SHA-256${rest}")
    assert not any(part in str(refused.value) for part in (SALT, STORED, SERVER)), "secrets stay out of messages"


@pytest.mark.parametrize("text", ["", "a\0b", "\0", "a\ud800b"])
def test_what_no_client_can_send_is_no_password(text: str) -> None:
    with pytest.raises(ValueError, match="password"):
        parse_secret(text)


@pytest.mark.parametrize("value", [None, ""])
def test_null_and_nothing_are_a_user_without_a_password(value: str | None) -> None:
    assert secret_of_lookup(value) == NO_PASSWORD == Secret()


def test_a_looked_up_secret_is_read_like_one_in_a_file() -> None:
    assert secret_of_lookup(SCRAM) == parse_secret(SCRAM)
    with pytest.raises(ValueError, match="malformed"):
        secret_of_lookup("SCRAM-SHA-256$garbage")


def test_nothing_secret_is_shown_with_it() -> None:
    for text in ("s3cret", MD5, SCRAM):
        shown = repr(parse_secret(text))
        assert "s3cret" not in shown
        assert MD5[3:] not in shown
        assert repr(bytes([2] * 32)) not in shown
        assert repr(bytes([3] * 32)) not in shown


@given(
    st.text().map(lambda text: text.encode("utf-8", "ignore").decode())
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
def test_written_down_again_it_is_the_same(text: str) -> None:
    if not text or "\0" in text or text.startswith("SCRAM-SHA-256$"):
        with pytest.raises(ValueError):
            parse_secret(text)
    else:
        secret = parse_secret(text)
        assert secret_text(secret) == text or secret.md5 == text.lower()


@given(
    st.integers(1, 1_000_000),
    st.binary(min_size=1, max_size=64),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_every_scram_verifier_is_read_as_it_is(iterations: int, salt: bytes, stored: bytes, server: bytes) -> None:
    secret = Secret(scram=ScramSecret(iterations, salt, stored, server))
    assert parse_secret(secret_text(secret)) == secret
