"""Keeps the embedded PostgreSQL running while howdah runs."""

import asyncio
from typing import TYPE_CHECKING

from pydantic import SecretStr

from howdah.control.config import Config, DatabaseSettings, StartError, UserSettings
from howdah.control.log import FilteringBoundLogger

if TYPE_CHECKING:  # imported only where it is started
    from howdah.control.embedded import EmbeddedPostgres

_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


def with_embedded(config: Config, server: "EmbeddedPostgres") -> Config:
    """`config` with the embedded server for every database, and its superuser's password."""
    everybody = server.user if config.settings.auth_type == "any" else None
    return config.with_databases(
        {"*": DatabaseSettings(host=(str(server.socket_dir),), port=server.port, user=everybody)},
        {server.user: UserSettings(password=SecretStr(server.password))},
    )


async def keep_running(server: "EmbeddedPostgres", log: FilteringBoundLogger) -> None:
    """Start it again whenever it ends; runs until cancelled."""
    pause = _PAUSE_S
    while True:
        if server.pid:
            status = await server.ended()
            log.error("the embedded PostgreSQL has ended unexpectedly; starting it again", status=status)
        await asyncio.sleep(pause)
        try:
            await server.start()
        except StartError as failure:
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            log.error("the embedded PostgreSQL does not start", problem=str(failure), again_in_s=pause)  # noqa: TRY400
        else:
            pause = _PAUSE_S
            log.info("the embedded PostgreSQL is back", pid=server.pid)
