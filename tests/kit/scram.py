"""The client's half of SCRAM-SHA-256 (RFC 5802, 7677), one message at a time and open to tampering."""

import base64
import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass, field

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def prepared(password: str | bytes) -> bytes:
    """As much of SASLprep (RFC 4013) as the tests' passwords need: soft hyphens go, NFKC does the rest."""
    raw = password.encode() if isinstance(password, str) else password
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw  # then it is taken as it is, as PostgreSQL does
    return unicodedata.normalize("NFKC", text.replace("\u00ad", "")).encode()


def verifier(password: str, salt: bytes = b"sixteen byte sal", iterations: int = 4096) -> str:
    """The secret as PostgreSQL keeps it (pg_authid.rolpassword); the password is taken as it is, without SASLprep."""
    salted = salted_password(password.encode(), salt, iterations)
    stored, server = hashlib.sha256(_hmac(salted, b"Client Key")).digest(), _hmac(salted, b"Server Key")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"


def attributes(message: bytes) -> dict[str, bytes]:
    """The parts of a SCRAM message: `r=abc,s=def` is {"r": b"abc", "s": b"def"}."""
    parts = [part.partition(b"=") for part in message.split(b",")]
    return {name.decode(): value for name, _, value in parts}


@dataclass
class Scram:
    """One exchange.  Everything is settled at the start and may be changed by the test before it is sent."""

    password: str | bytes
    header: bytes = b"n,,"  # gs2-header: n, y or p=..., then an authorization identity
    binding: bytes = b""  # the channel's data, with p=
    nonce: bytes = field(default_factory=lambda: base64.b64encode(os.urandom(18)))
    user: bytes = b""  # PostgreSQL takes the startup packet's and lets clients leave this empty
    bare: bytes = b""
    auth_message: bytes = b""
    salted: bytes = b""

    @classmethod
    def bound(cls, password: str | bytes, certificate_hash: bytes) -> "Scram":
        """With channel binding to a server certificate (tls-server-end-point)."""
        return cls(password, b"p=tls-server-end-point,,", certificate_hash)

    def first(self) -> bytes:
        """client-first-message."""
        self.bare = b"n=" + self.user + b",r=" + self.nonce
        return self.header + self.bare

    @property
    def channel(self) -> bytes:
        """The value of c= in the final message."""
        return base64.b64encode(self.header + self.binding)

    def final(self, server_first: bytes) -> bytes:
        """client-final-message, with the right proof."""
        parts = attributes(server_first)
        assert parts["r"].startswith(self.nonce), f"the nonce is not ours: {server_first!r}"
        password = self.password.encode() if isinstance(self.password, str) else self.password
        self.salted = salted_password(password, base64.b64decode(parts["s"]), int(parts["i"]))
        without_proof = b"c=" + self.channel + b",r=" + parts["r"]
        return self.prove(server_first, without_proof)

    def prove(self, server_first: bytes, without_proof: bytes) -> bytes:
        """Any client-final-message-without-proof with the proof that fits it."""
        self.auth_message = b",".join((self.bare, server_first, without_proof))
        client_key = _hmac(self.salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), self.auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, server_final: bytes) -> None:
        """See that the server knows the secret, too."""
        signature = _hmac(_hmac(self.salted, b"Server Key"), self.auth_message)
        assert server_final == b"v=" + base64.b64encode(signature), f"wrong server signature: {server_final!r}"
