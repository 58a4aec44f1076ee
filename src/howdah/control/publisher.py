"""The plan in force: made from the configuration, the files it names and what its host names resolve to.

Made anew when any of them changes.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from howdah.control.config import Config
from howdah.control.config.schema import GlobalSettings, Reload
from howdah.control.intake import Intake
from howdah.control.log import FilteringBoundLogger
from howdah.control.names.host_names import HostNames
from howdah.control.names.known import Lookup
from howdah.control.plan import build_plan, host_names
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

    def __init__(self, config: Config, intake: Intake, log: FilteringBoundLogger, lookup: Lookup | None = None) -> None:
        self.config = config
        self.intake = intake
        #: Held by whoever puts something new into force that took time to read.
        self.changing = asyncio.Lock()
        self.names = HostNames(lambda: self.config.settings, log, lookup, drop_in=config.drop_in)
        self._log = log
        self._target: Target | None = None
        self._then: Callable[[], None] = lambda: None
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("no plan before first_plan")
        return self._plan

    async def first_plan(self) -> Plan:
        """Names that cannot be resolved are no obstacle: their clients get the reason, and we go on asking."""
        await self.names.find(host_names(self.config))
        self.names.keep_only(host_names(self.config))
        self._plan = build_plan(self.config, self.intake, self.names.known, 1)
        return self._plan

    def attach(self, target: Target, then: Callable[[], None] = lambda: None) -> None:
        """From now on `target` gets each plan, and `then` is called once it has."""
        self._target, self._then = target, then

    async def use(self, config: Config, intake: Intake) -> None:
        """Put another configuration into force."""
        await self.names.find(host_names(config))
        self._publish(config, intake)
        self.names.keep_only(host_names(config))

    def renew(self, intake: Intake) -> None:
        """Put other contents of the configuration's files into force."""
        self._publish(self.config, intake)

    async def watch_names(self) -> None:
        """Publish what names come to stand for; runs until cancelled."""
        await self.names.watch(lambda: self._publish(self.config, self.intake))

    def _publish(self, config: Config, intake: Intake) -> None:
        """The engine first: what it cannot take is not in force, and nobody is to believe so."""
        plan = build_plan(config, intake, self.names.known, self.plan.version + 1)
        if self._target is not None:
            self._target.publish(plan)
        self.config, self.intake, self._plan = config, intake, plan
        if self._target is not None:
            self._then()
        self._log.debug("plan published", version=plan.version)
