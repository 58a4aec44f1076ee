"""Many clients at once, one thread each."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

from tests.kit.client import Client
from tests.kit.deadline import PATIENCE, wait_until

T = TypeVar("T")


class Crowd(Generic[T]):
    """Runs `work(number)` for each member at the same time, from one starting shot on."""

    def __init__(self, size: int, work: Callable[[int], T]) -> None:
        self._work = work
        self._shot = threading.Barrier(size)
        self.results: dict[int, T] = {}
        self.errors: dict[int, BaseException] = {}
        self._threads = [threading.Thread(target=self._member, args=(number,), daemon=True) for number in range(size)]
        for thread in self._threads:
            thread.start()

    def _member(self, number: int) -> None:
        self._shot.wait(60)
        try:
            self.results[number] = self._work(number)
        except BaseException as error:  # handed to the test's thread
            self.errors[number] = error

    def wait(self, within: float = 60.0) -> dict[int, T]:
        """Everybody's results; the first error is raised."""
        self.join(within)
        for error in self.errors.values():
            raise error
        return self.results

    def join(self, within: float = 60.0) -> None:
        """Wait for everybody, errors and all; one that hangs is a failure."""
        for thread in self._threads:
            thread.join(within * PATIENCE)
        hanging = sum(thread.is_alive() for thread in self._threads)
        assert not hanging, f"{hanging} of {len(self._threads)} clients hang"


def crowd(size: int, work: Callable[[int], T], within: float = 60.0) -> dict[int, T]:
    """Run the work for each member and wait for all: the results by number."""
    return Crowd(size, work).wait(within)


class Background(Crowd[T]):
    """One piece of work beside the test's own thread."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(1, lambda _: work())

    @property
    def is_done(self) -> bool:
        return not self._threads[0].is_alive()

    def result(self, within: float = 60.0) -> T:
        return self.wait(within)[0]


class Busy:
    """A context manager: clients that ask all the time, and in the end have had nothing but the right answer."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._over = threading.Event()
        self._answers: list[str | None] = []
        self._crowd = Crowd(len(clients), self._ask)

    def _ask(self, number: int) -> None:
        while not self._over.is_set():
            self._answers.append(self._clients[number].query("SELECT 7").value)

    def goes_on(self) -> None:
        """Wait until they have had some more answers."""
        seen = len(self._answers)
        wait_until(lambda: len(self._answers) > seen + 50, "queries to go on")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if kind is None:
            self._crowd.wait()
            assert set(self._answers) == {"7"}
