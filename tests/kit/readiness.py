"""Whether a socket has something to read, or room to write, also at descriptors from 1,024 on (not so select())."""

import select
from typing import Protocol


class HasFileno(Protocol):
    def fileno(self) -> int: ...


def readable(what: "HasFileno | int", within: float | None = 0) -> bool:
    """At once, or in so many seconds; None: some time."""
    return _ready(what, select.POLLIN, within)


def writable(what: "HasFileno | int", within: float = 0) -> bool:
    return _ready(what, select.POLLOUT, within)


def _ready(what: "HasFileno | int", wanted: int, within: float | None) -> bool:
    poller = select.poll()
    poller.register(what, wanted)
    return bool(poller.poll(None if within is None else 1000 * within))
