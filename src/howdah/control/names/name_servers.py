"""Questions to name servers, as a file in the form of /etc/resolv.conf says, by dnspython.

For those who have set `resolv_conf`, and for serials of zones; everybody else's names are `system`'s.  /etc/hosts goes
first, and addresses that this machine has no route to come last, as C libraries have it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver

from howdah.control.names.hosts_file import HostsFile
from howdah.control.names.resolv_conf import LIFETIME_S, ResolvConf
from howdah.control.plan import Resolved

#: Questions on their way at a time: each has a socket.
_AT_A_TIME = 100
_TYPES = (dns.rdatatype.AAAA, dns.rdatatype.A)

dns.asyncbackend.set_default_backend("asyncio")  # loads it now, not when the user has changed


class _Unanswered(Exception):
    """Why, in words that do not vary from one try to the next."""


class NameServers:
    def __init__(self, path: str, hosts: HostsFile | None = None) -> None:
        self._conf = ResolvConf(path)
        self._hosts = hosts or HostsFile()
        self._turn = asyncio.Semaphore(_AT_A_TIME)

    async def look_up(self, host: str) -> Resolved:
        """All addresses, IPv6 first, and how long they hold."""
        if listed := self._hosts.addresses(host):
            return Resolved(listed)
        try:
            answers = await self._ask_for_addresses(host)
        except _Unanswered as failure:
            return Resolved((), f"cannot resolve host name {host!r}: {failure}")
        found = [str(record.address) for answer in answers for record in answer]
        if not found:
            return Resolved((), f"cannot resolve host name {host!r}: it has no address")
        ttl_s = min(answer.chaining_result.minimum_ttl for answer in answers if answer.rrset)
        return Resolved(_reachable_first(found), ttl_s=float(ttl_s))

    async def serial(self, zone: str) -> int | None:
        """The serial of the zone, or of the one that this name is in; None: nobody says."""
        try:
            answer = await self._ask(zone, dns.rdatatype.SOA)
        except _Unanswered:
            return None
        sections = answer.response.answer, answer.response.authority
        serials = (int(record.serial) for section in sections for records in section for record in records
                   if record.rdtype == dns.rdatatype.SOA)  # fmt: skip
        return next(serials, None)

    async def _ask_for_addresses(self, host: str) -> list[dns.resolver.Answer]:
        """One of the two is enough: there are servers that have no answer about IPv6, not even that there is none."""
        both = await asyncio.gather(*(self._ask(host, each) for each in _TYPES), return_exceptions=True)
        answers = [answer for answer in both if isinstance(answer, dns.resolver.Answer)]
        failures = [failure for failure in both if isinstance(failure, BaseException)]
        for failure in failures:
            if not isinstance(failure, _Unanswered) or not any(answer.rrset for answer in answers):
                raise failure
        return answers

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        path = self._conf.path
        try:
            async with self._turn:
                return await self._conf.resolver().resolve(name, kind, search=True, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            raise _Unanswered("there is no such name") from None
        except dns.resolver.LifetimeTimeout:
            raise _Unanswered(f"no name server of {path} has answered within {LIFETIME_S:g} s") from None
        except dns.resolver.NoNameservers as failure:
            raise _Unanswered(f"the name servers of {path} do not know: {_reasons(failure)}") from None
        except OSError as failure:
            raise _Unanswered(f"{path}: {failure.strerror}") from None
        except (dns.exception.DNSException, ValueError) as failure:
            raise _Unanswered(str(failure)) from None


def _reasons(failure: dns.resolver.NoNameservers) -> str:
    """What each name server has said, once."""
    errors = failure.kwargs.get("errors") or ()
    return ", ".join(dict.fromkeys(f"{server.removeprefix('Do53:')} {reason}" for server, _, _, reason, _ in errors))


def _reachable_first(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(addresses), key=lambda address: not _has_route(address)))


def _has_route(address: str) -> bool:
    """Connecting a datagram socket sends nothing: the kernel only looks for a route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return True
    return False
