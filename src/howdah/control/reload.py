"""Putting another configuration into force: the one that is written now, for SIGHUP and the console's RELOAD, or the
one in force with another value, for the console's SET.

One reload at a time, and none is forgotten: whoever asks while one is going on gets another one behind it, since that
may have read the file before it was changed.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError

from howdah.control.aside import aside
from howdah.control.config import Config, ConfigError, StartError
from howdah.control.config.agreement import findings
from howdah.control.config.changes import changes
from howdah.control.config.errors import Problem
from howdah.control.config.faults import describe
from howdah.control.config.schema import GlobalSettings, Tables
from howdah.control.intake import Intake, take_in
from howdah.control.log import FilteringBoundLogger
from howdah.control.publisher import Publisher, changed_for_restart, restart_needed
from howdah.control.reloaded import Reloaded
from howdah.control.watch import in_one_line


class Reload:
    """`reread` gives the configuration as it is now, or raises StartError; `accept` is told of one in use."""

    def __init__(
        self,
        publisher: Publisher,
        reread: Callable[[], Config],
        ticket_key: bytes,
        accept: Callable[[Config], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._publisher = publisher
        self._reread = reread
        self._ticket_key = ticket_key
        self._accept = accept
        self._log = log
        self._wanted = asyncio.Event()
        self._next: asyncio.Future[Reloaded] = asyncio.Future()

    def ask(self) -> asyncio.Future[Reloaded]:
        """Reload once more.

        Shared by all who have asked before it begins: not to be cancelled.
        """
        self._wanted.set()
        return self._next

    async def run(self) -> None:
        """Do what is asked for, and has been, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            asked, self._next = self._next, asyncio.Future()
            asked.set_result(await self._once())

    async def change(self, name: str, value: str) -> str:
        """Give one setting another value, until the next reload; what is wrong with that, "" when it is in force."""
        try:
            async with self._publisher.changing:
                running = self._publisher.config
                config = with_value(running, name, value)
                intake = await aside("read files", partial(take_in, config, self._ticket_key))
                changed = await self._use(running, config, intake)
        except StartError as failure:
            return _in_words(failure)
        self._log.info("setting changed on the console", changes=changed)
        return ""

    async def _once(self) -> Reloaded:
        try:
            async with self._publisher.changing:
                config, reloaded = await self._put_into_force()
        except StartError as failure:
            problem = _in_words(failure)
            self._log.error("configuration not reloaded, the old one stays in force", problem=problem)
            return Reloaded(problem)
        except Exception:  # noqa: BLE001  # whatever it is: the next reload may work
            self._log.exception("configuration not reloaded, the old one stays in force")
            return Reloaded("internal error, see howdah's log")
        told = {"changes": reloaded.changes} if reloaded.changes else {}
        self._log.info("configuration reloaded", source=config.source, **told)
        return reloaded

    async def _put_into_force(self) -> tuple[Config, Reloaded]:
        """All of it or, with a StartError, nothing."""
        running = self._publisher.config
        wanted, config, intake = await aside("read configuration", partial(self._read, running))
        restart = restart_needed(running.settings, wanted.settings)
        for text in filter(None, (*map(str, (*wanted.warnings, *intake.warnings)), restart)):
            self._log.warning(text)
        changed = await self._use(running, config, intake)
        return config, Reloaded(changes=(*changed, *filter(None, (restart,))))

    async def _use(self, running: Config, config: Config, intake: Intake) -> tuple[str, ...]:
        """Put it into force; what is different then."""
        await self._publisher.use(config, intake)
        self._accept(config)
        return changes(running, config)

    def _read(self, running: Config) -> tuple[Config, Config, Intake]:
        """The configuration as it is written, as it can be used without a restart, and its files."""
        wanted = self._reread()
        config = until_restart(running, wanted)
        return wanted, config, take_in(config, self._ticket_key)


def _in_words(failure: StartError) -> str:
    return in_one_line(failure) if isinstance(failure, ConfigError) else str(failure)


def with_value(running: Config, name: str, value: str) -> Config:
    """`running` with another value of one setting; StartError where that cannot be."""
    try:
        read = Tables.model_validate({"howdah": {name: value}}).howdah
    except ValidationError as error:
        fault = describe(error.errors(include_url=False)[0])
        raise StartError("; ".join(filter(None, (f"{name}: {fault.message}", fault.advice)))) from None
    if starts_only(name):
        raise StartError(f"{name}: only a restart can change it; change it in the configuration, then restart howdah")
    settings = running.settings.model_copy(update={name: getattr(read, name)})
    config = running.model_copy(update={"settings": settings})
    drop_in = running.pgbouncer
    before = [finding.message for finding in findings(running.tables()) if finding.stops(pgbouncer=drop_in)]
    for finding in findings(config.tables()):
        if finding.stops(pgbouncer=drop_in) and finding.message not in before:
            raise StartError("; ".join(filter(None, (f"{name}: {finding.message}", finding.advice))))
    return config


def starts_only(name: str) -> bool:
    """Does a change of this setting take a restart?"""
    extra = GlobalSettings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and extra.get("reload") == "restart"


def until_restart(running: Config, wanted: Config) -> Config:
    """`wanted` with those settings of `running` that stay in force until the next start.

    ConfigError where the two do not go together: `auth_type = "trust"` may be right for the addresses in the file, and
    would open those that howdah listens on.
    """
    kept = changed_for_restart(running.settings, wanted.settings)
    if not kept:
        return wanted
    settings = wanted.settings.model_copy(update={name: getattr(running.settings, name) for name in kept})
    config = wanted.model_copy(update={"settings": settings})
    faults = [finding for finding in findings(config.tables()) if finding.stops(pgbouncer=wanted.pgbouncer)]
    if faults:
        advice = f"restart howdah: {', '.join(kept)} cannot change before"
        raise ConfigError(
            Problem(wanted.source, ".".join(map(str, finding.keys[0][1:])), finding.message, advice)
            for finding in faults
        )
    return config
