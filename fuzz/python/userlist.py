"""Lists of users."""

from fuzz.python import written
from fuzz.python.claims import claim, claim_named, decoded, usable
from howdah.control.auth.secrets import NO_PASSWORD
from howdah.control.auth.userlist import read_userlist
from howdah.dataplane.plan import Secret

PATH = "userlist.txt"


def check(data: bytes) -> None:
    text = decoded(data)
    users = read_userlist(PATH, text)
    claim_named(users.problems, {PATH: text})
    for name, secret in users.secrets.items():
        claim(1 <= len(name.encode()) <= 63 and "\0" not in name, f"no name of a user: {name!r}")
        if secret != NO_PASSWORD:
            _claim_secret(secret)
    again = read_userlist(PATH, written.userlist(users.secrets))
    claim(usable(again.problems) and again.secrets == users.secrets, "written down it is something else")


def _claim_secret(secret: Secret) -> None:
    kinds = [secret.password is not None, bool(secret.md5), secret.scram is not None]
    claim(sum(kinds) == 1, "more than one secret, or none")
    claim(secret.password != b"" and b"\0" not in (secret.password or b""), "a password that cannot be sent")
    claim(not secret.md5 or (len(secret.md5) == 35 and secret.md5 == secret.md5.lower()), "no md5")
    if secret.scram is not None:
        scram = secret.scram
        claim(1 <= scram.iterations <= 1_000_000 and 1 <= len(scram.salt) <= 64, "no SCRAM verifier")
        claim(len(scram.stored_key) == len(scram.server_key) == 32, "no SCRAM keys")
