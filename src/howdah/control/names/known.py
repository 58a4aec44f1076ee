"""What is known of host names, since when, and for how long it holds.

Looks nothing up: `host_names` does, by `resolve_all`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from howdah.control.plan import Resolved

#: Nobody is asked more often, whatever dns_max_ttl, dns_nxdomain_ttl and name servers say.
SHORTEST_TTL_S = 1.0


Lookup = Callable[[str], Awaitable[Resolved]]


class Limits(NamedTuple):
    """How long answers hold at most: dns_max_ttl and dns_nxdomain_ttl."""

    found_s: float
    failed_s: float


class _Answer(NamedTuple):
    """The latest, whether it was news or not."""

    at: float  # when it came, of the monotonic clock
    ttl_s: float
    failed: bool


class Names:
    """What is known of the names of a configuration."""

    def __init__(self) -> None:
        self._known: dict[str, Resolved] = {}
        self._latest: dict[str, _Answer] = {}

    @property
    def known(self) -> Mapping[str, Resolved]:
        return self._known

    def merge(self, answers: Mapping[str, Resolved], at: float) -> list[str]:
        """The names there is news of.

        Another order of the same addresses is no news: name servers rotate them.  Nor is a failure while addresses from
        before are there: they are better than none.
        """
        news = [host for host, answer in answers.items() if self._is_news(host, answer)]
        self._known |= {host: answers[host] for host in news}
        for host, answer in answers.items():
            self._latest[host] = _Answer(at, answer.ttl_s, not answer.addresses)
        return news

    def _is_news(self, host: str, answer: Resolved) -> bool:
        before = self._known.get(host)
        if before is None:
            return True
        if before.addresses:
            return bool(answer.addresses) and set(answer.addresses) != set(before.addresses)
        return bool(answer.addresses) or answer.error != before.error

    def keep_only(self, hosts: Iterable[str]) -> None:
        """Forget names that the configuration no longer has."""
        wanted = set(hosts)
        self._known = {host: answer for host, answer in self._known.items() if host in wanted}
        self._latest = {host: answer for host, answer in self._latest.items() if host in wanted}

    def expire(self, hosts: Iterable[str]) -> None:
        """What is known of these is to be asked anew now."""
        for host in hosts:
            if host in self._latest:
                self._latest[host] = self._latest[host]._replace(at=-math.inf)

    def due(self, host: str, limits: Limits) -> float:
        """When it is to be looked up again, of the monotonic clock."""
        latest = self._latest[host]
        most_s = limits.failed_s if latest.failed else min(latest.ttl_s, limits.found_s)
        return latest.at + max(most_s, SHORTEST_TTL_S)


async def resolve_all(hosts: Iterable[str], wait_s: float, lookup: Lookup) -> dict[str, Resolved]:
    """All of them side by side; no answer within `wait_s` is a failure like any other."""

    async def one(host: str) -> Resolved:
        try:
            async with asyncio.timeout(wait_s):
                return await lookup(host)
        except TimeoutError:
            return Resolved((), f"cannot resolve host name {host!r}: no answer within {wait_s:g} s")

    unique = list(dict.fromkeys(hosts))
    return dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
