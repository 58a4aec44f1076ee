"""The plan in force: made from the configuration, the files it names and what its host names resolve to.

Made anew when any of them changes.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from howdah.control.config import Config
from howdah.control.config.schema import GlobalSettings, Reload
from howdah.control.intake import Intake
from howdah.control.log import FilteringBoundLogger
from howdah.control.plan import Resolved, build_plan, host_names
from howdah.control.resolve import FIRST_WAIT_S, LOOKUP_S, SHORTEST_TTL_S, Lookup, Names, look_up, resolve_all
from howdah.dataplane.plan import Plan


def changed_for_restart(before: GlobalSettings, after: GlobalSettings) -> list[str]:
    """Settings that have changed and that only a start takes up."""
    return [
        name
        for name, field in type(after).model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("reload") == Reload.RESTART
        and getattr(before, name) != getattr(after, name)
    ]


def restart_needed(before: GlobalSettings, after: GlobalSettings) -> str:
    """A sentence about them, or ""."""
    changed = changed_for_restart(before, after)
    return f"these settings have changed and take effect at the next start: {', '.join(changed)}" if changed else ""


class Target(Protocol):
    """The part of the engine that takes plans."""

    def publish(self, plan: Plan) -> None: ...


class Publisher:
    """Holds the configuration and the plan; `attach` says who gets the next ones."""

    def __init__(self, config: Config, intake: Intake, log: FilteringBoundLogger, lookup: Lookup = look_up) -> None:
        self.config = config
        self.intake = intake
        #: Held by whoever puts something new into force that took time to read.
        self.changing = asyncio.Lock()
        self._log = log
        self._lookup = lookup
        self._names = Names()
        self._asked_at = time.monotonic()
        self._target: Target | None = None
        self._then: Callable[[], None] = lambda: None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("no plan before first_plan")
        return self._plan

    def host_names(self) -> Iterator[tuple[str, int, tuple[str, ...]]]:
        """Each with the seconds until it is looked up again, and its addresses."""
        left = self.config.settings.dns_max_ttl - (time.monotonic() - self._asked_at)
        for host, found in self._names.known.items():
            yield host, max(int(left), 0), found.addresses

    async def first_plan(self) -> Plan:
        """Names that cannot be resolved are no obstacle: their clients get the reason, and we go on asking."""
        self._learn(await resolve_all(host_names(self.config), FIRST_WAIT_S, self._lookup))
        self._plan = build_plan(self.config, self.intake, self._names.known, 1)
        return self._plan

    def attach(self, target: Target, then: Callable[[], None] = lambda: None) -> None:
        """From now on `target` gets each plan, and `then` is called once it has."""
        self._target, self._then = target, then

    async def use(self, config: Config, intake: Intake) -> None:
        """Put another configuration into force."""
        fresh = [host for host in host_names(config) if host not in self._names.known]
        self._learn(await resolve_all(fresh, FIRST_WAIT_S, self._lookup))
        self._names.keep_only(host_names(config))
        self._publish(config, intake)

    def renew(self, intake: Intake) -> None:
        """Put other contents of the configuration's files into force."""
        self._publish(self.config, intake)

    async def watch_names(self) -> None:
        """Look names up again every dns_max_ttl, unknown ones every dns_nxdomain_ttl; runs until cancelled."""
        while True:
            settings = self.config.settings
            pause = settings.dns_max_ttl
            if not self._names.all_found:
                pause = min(pause, settings.dns_nxdomain_ttl)
            await asyncio.sleep(max(pause, SHORTEST_TTL_S))
            answers = await resolve_all(host_names(self.config), LOOKUP_S, self._lookup)
            self._asked_at = time.monotonic()
            wanted = set(host_names(self.config))  # a reload may have come meanwhile
            if self._learn({host: answer for host, answer in answers.items() if host in wanted}):
                self._publish(self.config, self.intake)

    def _learn(self, answers: Mapping[str, Resolved]) -> bool:
        news = self._names.merge(answers)
        for host in news:
            found = self._names.known[host]
            if found.error:
                self._log.warning(found.error)
            else:
                self._log.info("host name resolved", host=host, addresses=", ".join(found.addresses))
        return bool(news)

    def _publish(self, config: Config, intake: Intake) -> None:
        """The engine first: what it cannot take is not in force, and nobody is to believe so."""
        plan = build_plan(config, intake, self._names.known, self.plan.version + 1)
        if self._target is not None:
            self._target.publish(plan)
        self.config, self.intake, self._plan = config, intake, plan
        if self._target is not None:
            self._then()
        self._log.debug("plan published", version=plan.version)
