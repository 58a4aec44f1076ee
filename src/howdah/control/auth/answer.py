"""What comes back from those who were asked about a login."""

from typing import NamedTuple

from howdah.control.auth.saslprep import prepare
from howdah.dataplane.plan import Secret
from howdah.dataplane.rows import AuthVerdict


class Answer(NamedTuple):
    """A verdict as the data plane takes it.

    `message` goes into the log with UNAVAILABLE, to the client with BUSY, and with other verdicts into the debug log.
    """

    verdict: AuthVerdict
    secret: Secret | None = None
    message: str = ""


def found(secret: Secret) -> Answer:
    return Answer(AuthVerdict.FOUND, secret)


def unknown(message: str) -> Answer:
    return Answer(AuthVerdict.UNKNOWN, None, message)


def allowed(password: bytes) -> Answer:
    """The password is right; PostgreSQL may want it, too, and gets it where nothing else is known to log in with."""
    prepared = prepare(password)
    return Answer(AuthVerdict.ALLOWED, Secret(password, None if prepared == password else prepared))


def denied(message: str) -> Answer:
    return Answer(AuthVerdict.DENIED, None, message)


def busy(what: str) -> Answer:
    return Answer(AuthVerdict.BUSY, None, what)


def unavailable(message: str) -> Answer:
    return Answer(AuthVerdict.UNAVAILABLE, None, message)
