"""The host names of the configuration in force: looked up at first, and again when it is time.

Answers hold for their TTL, where it is known, and for dns_max_ttl at most; failures for dns_nxdomain_ttl.  With
dns_zone_check_period, names whose zone has changed are looked up at once.  `publisher` makes plans of what is known.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from howdah.control.config.schema import GlobalSettings
from howdah.control.log import FilteringBoundLogger
from howdah.control.names import system
from howdah.control.names.known import Limits, Lookup, Names, resolve_all
from howdah.control.names.zones import Zones
from howdah.control.plan import Resolved

if TYPE_CHECKING:  # loads dnspython
    from howdah.control.names.name_servers import NameServers

#: How long the start and a reload wait for names; clients of those not found meanwhile are told why.
FIRST_WAIT_S = 3.0
#: A lookup without answer for so long is taken as failed.
LOOKUP_S = 30.0
#: Where zones are asked for when resolv_conf does not say.
SYSTEMS_RESOLV_CONF = "/etc/resolv.conf"


class HostNames:
    """`settings` are those in force; `lookup` is a test's."""

    def __init__(
        self, settings: Callable[[], GlobalSettings], log: FilteringBoundLogger, lookup: Lookup | None, *, drop_in: bool
    ) -> None:
        self._settings = settings
        self._log = log
        self._drop_in = drop_in
        self._servers: NameServers | None = None
        self._lookup = lookup or (self._name_servers().look_up if settings().resolv_conf else system.look_up)
        self._names = Names()
        self._zones = Zones(log)
        self._due_changed, self._period_changed = asyncio.Event(), asyncio.Event()
        #: How many questions are on their way.
        self.queries = 0

    @property
    def known(self) -> Mapping[str, Resolved]:
        return self._names.known

    def rows(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Each name with the seconds until it is looked up again, and its addresses."""
        now, limits = time.monotonic(), self._limits()
        for host, found in self._names.known.items():
            yield host, max(int(self._names.due(host, limits) - now), 0), found.addresses

    def zones(self) -> Iterator[tuple[str, int, int]]:
        """Each zone with its serial and how many names are in it."""
        return self._zones.rows()

    async def find(self, hosts: Iterable[str]) -> None:
        """Look up those that are new.

        Names that cannot be resolved are no obstacle: we go on asking.
        """
        self._learn(await self._ask([host for host in hosts if host not in self._names.known], FIRST_WAIT_S))

    def keep_only(self, hosts: Iterable[str]) -> None:
        """These are the names there are from now on; settings may have changed, too."""
        wanted = frozenset(hosts)
        self._names.keep_only(wanted)
        self._zones.follow(wanted)
        self._due_changed.set()
        self._period_changed.set()

    async def watch(self, publish: Callable[[], None]) -> None:
        """Look names up when it is time, and publish what is new; runs until cancelled."""
        while True:
            if due := self._due():
                answers = await self._ask(due, LOOKUP_S)
                known = self._names.known  # a reload may have come meanwhile
                if self._learn({host: answer for host, answer in answers.items() if host in known}):
                    publish()
            else:
                await _sleep_until(self._next_due(), self._due_changed)

    async def watch_zones(self) -> None:
        """Look at zones every dns_zone_check_period; runs until cancelled."""
        checked_at = time.monotonic()
        while True:
            period = self._settings().dns_zone_check_period
            if period and time.monotonic() >= checked_at + period:
                self._names.expire(await self._zones.check(self._name_servers().serial))
                self._due_changed.set()
                checked_at = time.monotonic()
            else:
                await _sleep_until(checked_at + period if period else None, self._period_changed)

    async def _ask(self, hosts: Iterable[str], wait_s: float) -> dict[str, Resolved]:
        return await resolve_all(hosts, wait_s, self._counted)

    def _learn(self, answers: Mapping[str, Resolved]) -> bool:
        """Whether there is news."""
        self._tell_all(answers)
        news = self._names.merge(answers, time.monotonic())
        for host in news:
            found = self._names.known[host]
            if found.addresses:
                self._log.info("host name resolved", host=host, addresses=", ".join(found.addresses))
            else:
                self._log.warning(f"DNS lookup failed: {host}: {found.error}" if self._drop_in else found.error)
        return bool(news)

    def _tell_all(self, answers: Mapping[str, Resolved]) -> None:
        """Each answer, news or not, as PgBouncer does for who wants to know everything."""
        if self._drop_in and self._settings().verbose > 1:
            for host, found in answers.items():
                for number, address in enumerate(found.addresses):
                    shown = f"[{address}]" if ":" in address else address
                    self._log.debug(f"DNS: {host}[{number}] = {shown}:0 [STREAM]", noise=True)

    async def _counted(self, host: str) -> Resolved:
        self.queries += 1
        try:
            return await self._lookup(host)
        finally:
            self.queries -= 1

    def _name_servers(self) -> "NameServers":
        from howdah.control.names.name_servers import NameServers

        if self._servers is None:
            self._servers = NameServers(self._settings().resolv_conf or SYSTEMS_RESOLV_CONF)
        return self._servers

    def _limits(self) -> Limits:
        settings = self._settings()
        return Limits(settings.dns_max_ttl, settings.dns_nxdomain_ttl)

    def _due(self) -> list[str]:
        now, limits = time.monotonic(), self._limits()
        return [host for host in self._names.known if self._names.due(host, limits) <= now]

    def _next_due(self) -> float | None:
        limits = self._limits()
        return min((self._names.due(host, limits) for host in self._names.known), default=None)


async def _sleep_until(at: float | None, woken: asyncio.Event) -> None:
    """A time of the monotonic clock (None: for ever), or less if woken."""
    try:
        async with asyncio.timeout(None if at is None else max(at - time.monotonic(), 0)):
            await woken.wait()
    except TimeoutError:
        return
    woken.clear()
