"""The zones that host names are in, and their serials: one that has changed makes its names be looked up again.

A zone is, as in PgBouncer, what stands behind the first dot of a name.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator

from howdah.control.log import FilteringBoundLogger


class Zones:
    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._hosts: dict[str, list[str]] = {}
        self._serials: dict[str, int] = {}

    def follow(self, hosts: Iterable[str]) -> None:
        """These are the names there are now."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for host in hosts:
            _, _, zone = host.partition(".")
            if zone.strip("."):
                found[zone.lower()].append(host)
        self._hosts = dict(found)
        self._serials = {zone: serial for zone, serial in self._serials.items() if zone in found}

    def rows(self) -> Iterator[tuple[str, int, int]]:
        """Name, serial (0: not known) and how many names are in it."""
        for zone, hosts in sorted(self._hosts.items()):
            yield zone, self._serials.get(zone, 0), len(hosts)

    async def check(self, ask: Callable[[str], Awaitable[int | None]]) -> list[str]:
        """The names in zones whose serial is another than before."""
        zones = list(self._hosts)
        serials = await asyncio.gather(*map(ask, zones))
        changed = [zone for zone, serial in zip(zones, serials, strict=True) if self._is_news(zone, serial)]
        return [host for zone in changed for host in self._hosts.get(zone, ())]

    def _is_news(self, zone: str, serial: int | None) -> bool:
        """Any other serial is: a zone that was restored has an older one.

        The first is, too: the zone may have changed since its names were looked up.
        """
        if serial is None:
            self._log.debug(f"failure to get zone '{zone}' serial")
            return False
        before = self._serials.get(zone, 0)
        if zone not in self._hosts or serial == before:
            return False
        self._serials[zone] = serial
        self._log.info(f"zone '{zone}' serial changed: old={before} new={serial}")
        return True
