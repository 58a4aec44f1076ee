"""The one user's password and what poolers know of it, and certificates made for one run.

Both poolers read the same files.  The certificates are self-signed and good for three months: what is measured is the
handshake, whose price does not depend on who signed them.
"""

import base64
import hashlib
import hmac
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.needs import Key
from bench.places import NotHere

USER = "bench"
PASSWORD = "a password nobody else has"
ITERATIONS = 64  # few: pgbench derives its keys for each connection, and that is not what is measured

_KEY_OPTIONS: dict[Key, tuple[str, ...]] = {
    "ecdsa": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "rsa": ("-newkey", "rsa:2048"),
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files."""

    certificate: Path
    key: Path


def scram_secret(password: str = PASSWORD, iterations: int = ITERATIONS, salt: bytes | None = None) -> str:
    """SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER, as PostgreSQL stores it (RFC 5803)."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def _one_secret() -> str:
    return scram_secret()


def userlist(home: Path, *, scram: bool) -> Path:
    """The auth_file both poolers read; without SCRAM it only names the user, which PgBouncer asks for even then."""
    path = home / "userlist.txt"
    path.write_text(f'"{USER}" "{_one_secret() if scram else ""}"\n')
    return path


def install(home: Path, kind: Key, owner: pwd.struct_passwd | None = None) -> Certificate:
    """This run's certificate of that kind, and its key, in `home`, readable by `owner` alone."""
    made = Certificate(home / f"{kind}.crt", home / f"{kind}.key")
    for path, text in zip((made.certificate, made.key), _one_certificate(kind), strict=True):
        path.touch(0o600)
        path.write_bytes(text)
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return made


@cache
def _one_certificate(kind: Key) -> tuple[bytes, bytes]:
    """A certificate and its key."""
    program = shutil.which("openssl")
    if program is None:
        raise NotHere("the openssl command is missing, which makes the certificates: install the package openssl")
    with TemporaryDirectory(prefix="howdah-certificate-") as folder:
        certificate, key = Path(folder, "crt"), Path(folder, "key")
        subprocess.run(
            [
                *(program, "req", "-x509", *_KEY_OPTIONS[kind], "-nodes", "-days", "90", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        return certificate.read_bytes(), key.read_bytes()
