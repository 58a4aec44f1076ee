"""Host names to addresses, without ever making a worker wait.

Each lookup runs in a thread of its own (`aside`): getaddrinfo can block for half a minute when no name server answers.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from howdah.control.aside import aside
from howdah.control.plan import Resolved

#: How long the start waits for names; clients of those not found meanwhile are told why.
FIRST_WAIT_S = 3.0
#: Nobody is asked more often, whatever dns_max_ttl and dns_nxdomain_ttl say.
SHORTEST_TTL_S = 1.0
#: A lookup without answer for so long is taken as failed.
LOOKUP_S = 30.0


Lookup = Callable[[str], Resolved]


def look_up(host: str) -> Resolved:
    """Ask the system's resolver (files, DNS, whatever it is set up for); blocks."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as failure:
        return Resolved((), f"cannot resolve host name {host!r}: {failure.strerror}")
    except (OSError, UnicodeError) as failure:
        return Resolved((), f"cannot resolve host name {host!r}: {failure}")
    return Resolved(tuple(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found)))


class Names:
    """What is known of the names of a configuration."""

    def __init__(self) -> None:
        self._known: dict[str, Resolved] = {}

    @property
    def known(self) -> Mapping[str, Resolved]:
        return self._known

    @property
    def all_found(self) -> bool:
        return all(answer.addresses for answer in self._known.values())

    def merge(self, answers: Mapping[str, Resolved]) -> list[str]:
        """The names there is news of.

        Another order of the same addresses is no news: name servers rotate them.  Nor is a failure while addresses from
        before are there: they are better than none.
        """
        news = [host for host, answer in answers.items() if self._is_news(host, answer)]
        self._known |= {host: answers[host] for host in news}
        return news

    def _is_news(self, host: str, answer: Resolved) -> bool:
        before = self._known.get(host)
        if before is None:
            return True
        if before.addresses:
            return bool(answer.addresses) and set(answer.addresses) != set(before.addresses)
        return answer != before

    def keep_only(self, hosts: Iterable[str]) -> None:
        """Forget names that the configuration no longer has."""
        wanted = set(hosts)
        self._known = {host: answer for host, answer in self._known.items() if host in wanted}


async def resolve_all(hosts: Iterable[str], wait_s: float, lookup: Lookup = look_up) -> dict[str, Resolved]:
    """All of them side by side; no answer within `wait_s` is a failure like any other."""

    async def one(host: str) -> Resolved:
        try:
            return await asyncio.wait_for(aside(f"resolve {host}", partial(lookup, host)), wait_s)
        except TimeoutError:
            return Resolved((), f"cannot resolve host name {host!r}: no answer within {wait_s:g} s")

    unique = list(dict.fromkeys(hosts))
    return dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
