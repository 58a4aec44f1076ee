"""SASLprep.  libpq is the judge: a password prepared in another way is a password that does not fit."""

import hashlib
import hmac

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.control.auth.saslprep import prepare
from howdah.control.auth.secrets import parse_secret

SCRAM = b"scram-sha-256"
# Unconnected is enough to hash a password.
LIBPQ = psycopg.pq.PGconn.connect_start(b"host=/nonexistent")


def is_what_libpq_hashes(prepared: bytes, password: bytes) -> bool:
    verifier = parse_secret(LIBPQ.encrypt_password(password, b"bob", SCRAM).decode()).scram
    assert verifier is not None
    salted = hashlib.pbkdf2_hmac("sha256", prepared, verifier.salt, verifier.iterations)
    return hmac.digest(salted, b"Server Key", "sha256") == verifier.server_key


@pytest.mark.parametrize(
    "text, expected",
    [
        ("s3cret", "s3cret"),
        ("I\u00adX", "IX"),  # RFC 4013, 3.: a soft hyphen goes
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u0308", "ä"),
        ("a\u00a0b", "a b"),  # other spaces become spaces
        ("a\u200bb", "a b"),  # in PostgreSQL this one too, though the RFC has it in both tables
    ],
)
def test_equal_passwords_become_equal(text: str, expected: str) -> None:
    assert prepare(text.encode()) == expected.encode()
    assert is_what_libpq_hashes(prepare(text.encode()), text.encode())


@pytest.mark.parametrize(
    "password",
    [
        "\u0627\u0031".encode(),  # right-to-left text that ends in a digit (RFC 4013, 3.)
        "\u0627a\u0627".encode(),  # with something left-to-right in it
        "ä\u0007".encode(),  # a control character
        b"\x07",  # even ASCII's: PostgreSQL does not look at pure ASCII
        "ä\ue000".encode(),  # private use
        "\u0221".encode(),  # not in Unicode 3.2
        "\u00ad".encode(),  # nothing would be left
        "\u0340".encode(),  # forbidden, though normalization would make it another character
        b"\xff\xe4",  # not UTF-8
        b"",
    ],
)
def test_what_it_refuses_stays_as_it_is(password: bytes) -> None:
    assert prepare(password) == password
    assert not password or is_what_libpq_hashes(password, password)


@given(
    st.binary(min_size=1).filter(lambda password: b"\0" not in password)
    | st.text("aä\u0308\u00ad\u0627٣ﬁ\u2168").map(str.encode).filter(bool)
)
def test_it_comes_to_what_libpq_hashes(password: bytes) -> None:
    assert is_what_libpq_hashes(prepare(password), password)
