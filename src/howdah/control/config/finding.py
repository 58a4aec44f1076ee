"""One contradiction between settings, with the settings it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

from howdah.control.config.locate import KeyPath


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction.  The first key is the one to point at."""

    keys: Sequence[KeyPath]
    message: str
    advice: str
    fatal: bool = True
    #: PgBouncer starts with it, so that a file of PgBouncer's may have it: no more than a warning there.
    tolerated: bool = False

    def stops(self, *, pgbouncer: bool) -> bool:
        """Whether it keeps a configuration from being used; `pgbouncer`: one that is read by PgBouncer's rules."""
        return self.fatal and not (self.tolerated and pgbouncer)


def in_howdah(*keys: str) -> list[KeyPath]:
    """Keys of table [howdah]."""
    return [("howdah", key) for key in keys]
