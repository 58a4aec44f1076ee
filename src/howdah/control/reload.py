"""Reading the configuration again, for SIGHUP and for the console's RELOAD.

One reload at a time, and none is forgotten: whoever asks while one is going on gets another one behind it, since that
may have read the file before it was changed.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from howdah.control.aside import aside
from howdah.control.config import Config, ConfigError, StartError
from howdah.control.config.agreement import findings
from howdah.control.config.errors import Problem
from howdah.control.config.schema import Tables
from howdah.control.intake import Intake, take_in
from howdah.control.log import FilteringBoundLogger
from howdah.control.publisher import Publisher, changed_for_restart, restart_needed
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
        self._next: asyncio.Future[str] = asyncio.Future()

    def ask(self) -> asyncio.Future[str]:
        """Reload once more: what was wrong with the configuration, "" when it is in force.

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

    async def _once(self) -> str:
        try:
            async with self._publisher.changing:
                config = await self._put_into_force()
        except StartError as failure:
            problem = in_one_line(failure) if isinstance(failure, ConfigError) else str(failure)
            self._log.error("configuration not reloaded, the old one stays in force", problem=problem)
            return problem
        except Exception:  # noqa: BLE001  # whatever it is: the next reload may work
            self._log.exception("configuration not reloaded, the old one stays in force")
            return "internal error, see howdah's log"
        self._log.info("configuration reloaded", source=config.source)
        return ""

    async def _put_into_force(self) -> Config:
        """All of it or, with a StartError, nothing."""
        running = self._publisher.config
        wanted, config, intake = await aside("read configuration", partial(self._read, running))
        restart = restart_needed(running.settings, wanted.settings)
        for text in filter(None, (*map(str, (*wanted.warnings, *intake.warnings)), restart)):
            self._log.warning(text)
        await self._publisher.use(config, intake)
        self._accept(config)
        return config

    def _read(self, running: Config) -> tuple[Config, Config, Intake]:
        """The configuration as it is written, as it can be used without a restart, and its files."""
        wanted = self._reread()
        config = until_restart(running, wanted)
        return wanted, config, take_in(config, self._ticket_key)


def until_restart(running: Config, wanted: Config) -> Config:
    """`wanted` with those settings of `running` that stay in force until the next start.

    ConfigError where the two do not go together: `auth_type = "trust"` may be right for the addresses in the file, and
    would open those that howdah listens on.
    """
    kept = changed_for_restart(running.settings, wanted.settings)
    settings = wanted.settings.model_copy(update={name: getattr(running.settings, name) for name in kept})
    tables = Tables.model_construct(howdah=settings, databases=wanted.databases, users=wanted.users, peers=wanted.peers)
    faults = [finding for finding in findings(tables) if finding.stops(pgbouncer=wanted.pgbouncer)]
    if faults:
        advice = f"restart howdah: {', '.join(kept)} cannot change before"
        raise ConfigError(
            Problem(wanted.source, ".".join(map(str, finding.keys[0][1:])), finding.message, advice)
            for finding in faults
        )
    return wanted.model_copy(update={"settings": settings})
