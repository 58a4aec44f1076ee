"""Places beside the loop, for what SQLite does: a few at a time, whoever asks for more waits.

What one SELECT takes is bounded by `sandbox`; this bounds how many take it at once.  Called by `reading`.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from howdah.control.aside import aside

T = TypeVar("T")

MOST_AT_ONCE = 4


class Places:
    def __init__(self, count: int = MOST_AT_ONCE) -> None:
        self._free = asyncio.Semaphore(count)

    async def work(self, name: str, work: Callable[[Callable[[], bool]], T]) -> T:
        """What `work` returns or raises.  When cancelled, it is told so by what it is given; its place is free when it
        is over.
        """
        given_up = threading.Event()
        await self._free.acquire()
        task = asyncio.ensure_future(aside(name, lambda: work(given_up.is_set)))
        task.add_done_callback(lambda _: self._free.release())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            given_up.set()
            raise
