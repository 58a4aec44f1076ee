"""Work that may block for long, beside the loop.

Each piece runs in a daemon thread of its own: asyncio's executor would make the end of the process wait for a name
server that does not answer or a file system that hangs.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(name: str, work: Callable[[], T]) -> T:
    """What `work` returns or raises.  When cancelled, it goes on unheard."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on it cannot be cancelled, only whoever waits for it

    def run() -> None:
        try:
            result = work()
        except BaseException as failure:  # noqa: BLE001  whoever waits gets it, whatever it is
            future.set_exception(failure)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(future)
