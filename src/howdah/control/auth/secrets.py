"""What is known of a user's password, read from the text that files and auth_query hold.

PostgreSQL's three forms: the password itself, `md5` and a hash, and a SCRAM-SHA-256 verifier.  No text of an error
repeats any part of a secret: errors end up in logs.
"""

import base64
import binascii
import hmac
import os
import re

from howdah.control.auth.saslprep import prepare
from howdah.dataplane.plan import ScramSecret, Secret

#: The user exists and cannot log in by password: there is neither a password nor a hash of one.  Not for the plan,
#: which has `unfitting` in its place.
NO_PASSWORD = Secret()
MOST_ITERATIONS = 1_000_000
LONGEST_SALT = 64  # bytes
USUAL_SALT = 16  # bytes
KEY_SIZE = 32  # bytes of SHA-256

_SCRAM = "SCRAM-SHA-256$"
_FORM = f"{_SCRAM}ITERATIONS:SALT$STOREDKEY:SERVERKEY"
_PARTS = re.compile(r"([^:$]*):([^:$]*)\$([^:$]*):([^:$]*)")
#: Whoever misspells a hash must not find it used as a password, so only its exact form counts, as in PostgreSQL.
_MD5 = re.compile("md5[0-9a-fA-F]{32}")
_NUMBER = re.compile("[0-9]{1,9}")
#: What secrets that no password fits are made of.
_UNKNOWABLE = os.urandom(32)


def parse_secret(text: str) -> Secret:
    """The secret that `text` writes down.

    `text` is UTF-8 decoded, with bytes that are none as lone surrogates ("surrogateescape").  ValueError says, to
    people, why it is no secret.
    """
    if not text:
        raise ValueError("the password is empty; PostgreSQL takes no empty password, so leave it out")
    # PostgreSQL and PgBouncer take a malformed verifier for a plain password.  It is refused here: nobody has such a
    # password, and a slip of the pen would make the verifier's text, known to all who may read it, let people in.
    if text.startswith(_SCRAM):
        return Secret(scram=_scram(text.removeprefix(_SCRAM)))
    if _MD5.fullmatch(text):
        return Secret(md5=text.lower())
    return _plain(text)


def secret_of_lookup(value: str | None) -> Secret:
    """The secret in a row of auth_query.  ValueError as in `parse_secret`.

    NULL, and the empty text, is `NO_PASSWORD`, as in PgBouncer: the user exists and cannot log in by password.
    """
    return parse_secret(value) if value else NO_PASSWORD


def unfitting(user: str, iterations: int) -> Secret:
    """A secret that no password fits, for a user who is known and has none: the same for as long as the process lives.

    To a client it looks like that of anybody else.
    """

    def made(what: str) -> bytes:
        return hmac.digest(_UNKNOWABLE, f"{what}\0{user}".encode(), "sha256")

    return Secret(scram=ScramSecret(iterations, made("salt")[:USUAL_SALT], made("stored key"), made("server key")))


def _plain(text: str) -> Secret:
    try:
        password = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError("the password is not text; save it as UTF-8") from None
    if b"\0" in password:
        raise ValueError("the password holds a NUL character; no client can send one")
    prepared = prepare(password)
    return Secret(password=password, prepared=None if prepared == password else prepared)


def _scram(text: str) -> ScramSecret:
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ValueError(f"the SCRAM secret is malformed; its form is {_FORM}, as PostgreSQL's pg_authid has it")
    iterations = int(parts[1]) if _NUMBER.fullmatch(parts[1]) else 0
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise ValueError(f"the SCRAM secret's iterations are not a number from 1 to {MOST_ITERATIONS:,}")
    salt = _decoded("salt", parts[2])
    if not 1 <= len(salt) <= LONGEST_SALT:
        raise ValueError(f"the SCRAM secret's salt is not 1 to {LONGEST_SALT} bytes long; was it cut?")
    return ScramSecret(iterations, salt, _key("stored key", parts[3]), _key("server key", parts[4]))


def _key(name: str, text: str) -> bytes:
    key = _decoded(name, text)
    if len(key) != KEY_SIZE:
        raise ValueError(f"the SCRAM secret's {name} is not {KEY_SIZE} bytes long; was it cut?")
    return key


def _decoded(name: str, text: str) -> bytes:
    """Only the one way to write these bytes: everything else has been edited or cut."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not text or base64.b64encode(decoded).decode() != text:
        raise ValueError(f"the SCRAM secret's {name} is not base64; was it cut or edited?")
    return decoded
