"""The threads that ask LDAP and PAM, whose libraries block: at most so many, however many logins wait.

asyncio's own executor is not used: the end of the process would wait for a directory server that does not answer.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

#: A thread with nothing to do for this long ends.
IDLE_S = 30.0


class Crew:
    """Runs work in the order it comes.  Made, used and closed by the loop's thread; threads start when needed."""

    def __init__(self, most: int) -> None:
        self.most = most  # may be changed; fewer take effect as threads become idle
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._change = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives or raises.  When cancelled, work that has not begun never will.

        RuntimeError when there is no thread and none can be started.
        """
        future: Future[T] = Future()
        job = (future, work)
        with self._change:
            self._work.append(job)
            if self._idle >= len(self._work):
                self._change.notify()
            elif self._threads < self.most:
                self._start_thread(job)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            with self._change, contextlib.suppress(ValueError):  # where it has begun it is not there any more
                self._work.remove(job)
            raise

    def close(self) -> None:
        """Threads end when their work does; nobody waits for them."""
        with self._change:
            self._closed = True
            self._work.clear()
            self._change.notify_all()

    def _start_thread(self, job: tuple[Future[Any], Callable[[], Any]]) -> None:
        """For `job`, which goes unless somebody else can do it; the machine may have no thread left."""
        self._threads += 1
        try:
            threading.Thread(target=self._labour, name="ask LDAP or PAM", daemon=True).start()
        except (RuntimeError, MemoryError):
            self._threads -= 1
            if not self._threads:
                self._work.remove(job)
                raise

    def _labour(self) -> None:
        while (job := self._next()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as failure:  # noqa: BLE001  whoever waits gets it, whatever it is
                future.set_exception(failure)
            else:
                future.set_result(result)

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._change:
            if not self._work and not self._closed:
                self._idle += 1
                self._change.wait_for(lambda: bool(self._work) or self._closed, IDLE_S)
                self._idle -= 1
            if self._work and not self._closed and self._threads <= self.most:
                return self._work.popleft()
            self._threads -= 1
            return None
