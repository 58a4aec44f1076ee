"""Host names to addresses, without ever making a worker wait.

Each lookup runs in a daemon thread of its own: getaddrinfo can block for half a minute when no name server answers, and
asyncio's own executor would make the end of the process wait for that.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

#: How long the start waits for names; later lookups may take as long as they like.
FIRST_WAIT_S = 5.0


class Host(NamedTuple):
    name: str
    port: int


class SocketAddress(NamedTuple):
    """As getaddrinfo gives it."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a name: its addresses, or why there are none."""

    addresses: tuple[SocketAddress, ...] = ()
    error: str = ""


Lookup = Callable[[Host], Found]


def is_name(host: str) -> bool:
    """Whether `host` must be looked up: not a Unix socket directory, not an address."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def look_up(host: Host) -> Found:
    """Ask the system's resolver (files, DNS, whatever it is set up for); blocks."""
    try:
        found = socket.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    except socket.gaierror as failure:
        return Found(error=f"cannot resolve host name {host.name!r}: {failure.strerror}")
    except (OSError, UnicodeError) as failure:
        return Found(error=f"cannot resolve host name {host.name!r}: {failure}")
    # Without IPv6 in the Python build a v6 address would be (int, bytes): there is none such on Linux.
    unique = dict.fromkeys(
        SocketAddress(family, sockaddr) for family, _, _, _, sockaddr in found if isinstance(sockaddr[0], str)
    )
    return Found(tuple(unique))


@dataclass(slots=True)
class Names:
    """What is known of the names of one plan.  Pure: `merge` says whether there is news."""

    known: dict[Host, Found] = field(default_factory=dict)

    def merge(self, host: Host, answer: Found) -> bool:
        """A name server's order of answers is no news, nor is its failure while we have addresses from before."""
        before = self.known.get(host)
        if before is not None:
            if not answer.addresses and before.addresses:
                return False
            if answer.addresses and set(answer.addresses) == set(before.addresses):
                return False
            if answer == before:
                return False
        self.known[host] = answer
        return True

    def keep_only(self, hosts: Iterable[Host]) -> None:
        wanted = set(hosts)
        for host in list(self.known):
            if host not in wanted:
                del self.known[host]


async def in_thread(host: Host, lookup: Lookup = look_up) -> Found:
    """`lookup` in a daemon thread."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def deliver(found: Found) -> None:
        if not answer.done():
            answer.set_result(found)

    def work() -> None:
        found = lookup(host)
        try:
            loop.call_soon_threadsafe(deliver, found)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=work, name=f"resolve {host.name}", daemon=True).start()
    return await answer


async def resolve_all(hosts: Iterable[Host], wait_s: float, lookup: Lookup = look_up) -> dict[Host, Found]:
    """All of them side by side; a name without answer in time is an error like any other, and tried again later."""

    async def one(host: Host) -> Found:
        try:
            return await asyncio.wait_for(in_thread(host, lookup), wait_s)
        except TimeoutError:
            return Found(error=f"cannot resolve host name {host.name!r}: no answer within {wait_s:g} s")

    unique = list(dict.fromkeys(hosts))
    return dict(zip(unique, await asyncio.gather(*map(one, unique)), strict=True))
