"""Watching from the outside while a test runs: sessions as PostgreSQL counts them, memory as the kernel does."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.kit.postgres import Postgres

SAMPLE_EVERY = 0.002


class _Sampler:
    """Calls `sample` on a thread of its own until the block ends; an error in it is raised at the end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def sample(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        if self._error is not None and error is None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._stop.wait(SAMPLE_EVERY):
                self.sample()
        except BaseException as error:  # handed to the thread that waits
            self._error = error


class BackendWatch(_Sampler):
    """The most PostgreSQL sessions at once that `where` holds for.

    `peak` counts a session only when two samples in a row show it: one that is being closed may be seen beside its
    successor for a moment, as PostgreSQL takes a little while to end a session.
    """

    def __init__(self, postgres: Postgres, where: str = "true") -> None:
        super().__init__()
        self.peak = 0
        self.samples = 0
        self._last: set[int] = set()
        self._connection = postgres.connect()
        self._query = postgres.backends_query(where)
        self._not_ours = postgres.not_ours

    def sample(self) -> None:
        now = {pid for (pid,) in self._connection.execute(self._query)} - self._not_ours
        self.peak = max(self.peak, len(now & self._last))
        self._last = now
        self.samples += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._connection.close()


class MemoryWatch(_Sampler):
    """How much a process' resident memory grew at most since the block began."""

    def __init__(self, resident_bytes: Callable[[], int]) -> None:
        super().__init__()
        self._resident_bytes = resident_bytes
        self._first = resident_bytes()
        self.growth = 0

    def sample(self) -> None:
        self.growth = max(self.growth, self._resident_bytes() - self._first)
