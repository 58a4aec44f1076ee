"""Reading the configuration again, for SIGHUP and for the console's RELOAD.

One reload at a time, and none is forgotten: whoever asks while one is going on gets another one behind it, since that
may have read the file before it was changed.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from howdah.control.aside import aside
from howdah.control.config import Config, ConfigError, StartError
from howdah.control.intake import Intake, take_in
from howdah.control.log import FilteringBoundLogger
from howdah.control.publisher import Publisher, restart_needed
from howdah.control.watch import in_one_line


class Reload:
    """`reread` gives the configuration as it is now, or raises StartError; `accept` is told of one before its use."""

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
        config = self._reread()
        intake = await aside("read files", partial(take_in, config, self._ticket_key))
        self._warn(config, intake)
        self._accept(config)
        await self._publisher.use(config, intake)
        return config

    def _warn(self, config: Config, intake: Intake) -> None:
        restart = restart_needed(self._publisher.config.settings, config.settings)
        for text in filter(None, (*map(str, (*config.warnings, *intake.warnings)), restart)):
            self._log.warning(text)
