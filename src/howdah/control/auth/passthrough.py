"""password_passthrough: a user whom nobody here knows is let in if PostgreSQL itself lets them in with their password.

A success is remembered for auth_cache_ttl, so that a storm of one user does not log in twice as often as it must; what
is kept is a keyed hash of the password.  A failure is not remembered: the password may be right a moment later.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

from howdah.control.auth.answer import Answer, allowed, denied, unavailable
from howdah.control.auth.context import AuthContext, Problem
from howdah.control.auth.dial import Refused, try_password

#: Trial logins at a time at one entry of [databases]: wrong passwords must not take PostgreSQL's connections.
MOST_AT_ONCE = 4
#: Users remembered.
MOST_KNOWN = 10_000
#: invalid_password and invalid_authorization_specification: the user, the password, or pg_hba.conf.
_DENIALS = ("28P01", "28000")

_KEY = secrets.token_bytes(32)


def fingerprint(password: bytes) -> bytes:
    """Tells passwords apart without keeping them; means nothing outside of this process."""
    return hashlib.blake2b(password, key=_KEY, digest_size=32).digest()


class Passthrough:
    """`context` is to be set before use, and again after each reload."""

    def __init__(self) -> None:
        self.context = AuthContext()
        self._known: OrderedDict[tuple[str, str], tuple[bytes, float]] = OrderedDict()
        self._turns: dict[str, asyncio.Semaphore] = {}

    def use(self, context: AuthContext) -> None:
        """From now on; what was found out under another configuration is forgotten."""
        self.context = context
        self._known.clear()
        self._turns = {name: turns for name, turns in self._turns.items() if name in context.databases}

    def forget(self, database: str, user: str) -> None:
        self._known.pop((database, user), None)

    async def ask(self, database: str, user: str, password: bytes) -> Answer:
        """Raises nothing but what asyncio raises."""
        mark = fingerprint(password)
        if self._knows(database, user, mark):
            return allowed(password)
        context = self.context
        place = context.place_of(database)
        if isinstance(place, Problem):
            return unavailable(f"password_passthrough: {place.text}")
        entry = context.entry_of(database)
        try:
            async with self._turns.setdefault(entry, asyncio.Semaphore(MOST_AT_ONCE)):
                await try_password(place, user, password)
        except Refused as refusal:
            if any(state in _DENIALS for state in refusal.sqlstates):
                return denied(f"PostgreSQL: {refusal}")
            return unavailable(f"password_passthrough: {refusal}")
        if context is self.context:
            self._remember(database, user, mark)
        return allowed(password)

    def _knows(self, database: str, user: str, mark: bytes) -> bool:
        known, until = self._known.get((database, user), (b"", 0.0))
        return time.monotonic() < until and hmac.compare_digest(known, mark)

    def _remember(self, database: str, user: str, mark: bytes) -> None:
        if not self.context.cache_s:
            return
        self._known[database, user] = (mark, time.monotonic() + self.context.cache_s)
        self._known.move_to_end((database, user))
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
