"""What PgBouncer's log begins with."""

import resource
from collections.abc import Iterable

import howdah
from howdah.control.config.schema import GlobalSettings
from howdah.control.log import FilteringBoundLogger


def announce_listeners(log: FilteringBoundLogger, names: Iterable[str], settings: GlobalSettings, needed: int) -> None:
    """Before a client can notice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = (
        f"kernel file descriptor limit: {soft} (hard: {hard}); max_client_conn: {settings.max_client_conn}, "
        f"max expected fd use: {needed}"
    )
    for text in (limits, *(f"listening on {_shown(name)}" for name in names)):
        log.info(text)


def announce_start(log: FilteringBoundLogger) -> None:
    """The process is up."""
    text = f"process up: howdah {howdah.__version__}"
    log.info(text)


def _shown(name: str) -> str:
    return f"unix:{name}" if name.startswith(("/", "@")) else name
