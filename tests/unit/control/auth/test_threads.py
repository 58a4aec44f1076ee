"""The threads that block for the loop: so many and no more, in order, and never in the way of the end."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from howdah.control.auth import threads
from howdah.control.auth.threads import Crew
from tests.kit.deadline import wait_until


def run(work: Callable[[Crew], Awaitable[None]], most: int = 3) -> None:
    async def main() -> None:
        crew = Crew(most)
        try:
            await work(crew)
        finally:
            crew.close()

    asyncio.run(main())


class Busy:
    """Work that lasts until it is let go, and knows how many do it at a time."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = 0
        self.names = set[str]()

    def __call__(self) -> int:
        self.begun += 1
        self.names.add(threading.current_thread().name)
        assert self.gate.wait(20)
        return threading.get_ident()


def test_what_work_gives_or_raises_comes_back() -> None:
    async def work(crew: Crew) -> None:
        assert await crew.run(lambda: 17) == 17
        with pytest.raises(ZeroDivisionError):
            await crew.run(lambda: 1 // 0)
        with pytest.raises(SystemExit):
            await crew.run(exit)

    run(work)


def test_so_many_threads_and_no_more() -> None:
    async def work(crew: Crew) -> None:
        busy = Busy()
        asked = [asyncio.ensure_future(crew.run(busy)) for _ in range(20)]
        await asyncio.sleep(0)
        wait_until(lambda: busy.begun == 3, "three threads to be at work")
        assert crew._threads == 3
        busy.gate.set()
        assert len(set(await asyncio.gather(*asked))) <= 3

    run(work)


def test_one_thread_does_for_work_that_comes_one_by_one() -> None:
    async def work(crew: Crew) -> None:
        seen = set()
        for _ in range(10):
            seen.add(await crew.run(threading.get_ident))
            wait_until(lambda: crew._idle == crew._threads, "the thread to be idle again")
        assert len(seen) == 1

    run(work)


def test_cancelled_work_that_has_not_begun_never_does() -> None:
    async def work(crew: Crew) -> None:
        busy, done = Busy(), list[int]()
        first = asyncio.ensure_future(crew.run(busy))
        second = asyncio.ensure_future(crew.run(lambda: done.append(2)))
        await asyncio.sleep(0)
        wait_until(lambda: busy.begun == 1, "the first to begin")
        second.cancel()
        await asyncio.wait([second])
        assert not crew._work
        busy.gate.set()
        await first
        await crew.run(lambda: done.append(3))
        assert done == [3]

    run(work, most=1)


def test_fewer_threads_when_fewer_are_wanted() -> None:
    async def work(crew: Crew) -> None:
        busy = Busy()
        asked = [asyncio.ensure_future(crew.run(busy)) for _ in range(6)]
        await asyncio.sleep(0)
        wait_until(lambda: busy.begun == 3, "three threads to be at work")
        crew.most = 1
        busy.gate.set()
        await asyncio.gather(*asked)
        wait_until(lambda: crew._threads == 1, "the others to end")
        assert await crew.run(lambda: 1) == 1

    run(work)


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.01)

    async def work(crew: Crew) -> None:
        await crew.run(lambda: 1)
        wait_until(lambda: crew._threads == 0, "the thread to end")
        assert await crew.run(lambda: 2) == 2

    run(work)


class _CannotStart(threading.Thread):
    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(crew: Crew) -> None:
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading, "Thread", _CannotStart)
            for _ in range(5):
                with pytest.raises(RuntimeError, match="can't start"):
                    await crew.run(lambda: 1)
                assert crew._threads == 0
        assert not crew._work
        assert await asyncio.wait_for(crew.run(lambda: 2), 20) == 2

    run(work)


def test_where_no_more_can_be_started_those_there_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(crew: Crew) -> None:
        busy = Busy()
        first = asyncio.ensure_future(crew.run(busy))
        await asyncio.sleep(0)
        wait_until(lambda: busy.begun == 1, "the first to begin")
        monkeypatch.setattr(threading, "Thread", _CannotStart)
        second = asyncio.ensure_future(crew.run(lambda: 2))
        await asyncio.sleep(0)
        busy.gate.set()
        await first
        assert await asyncio.wait_for(second, 20) == 2

    run(work)


def test_the_end_does_not_wait_for_a_thread_that_hangs() -> None:
    busy = Busy()

    async def work(crew: Crew) -> None:
        asking = asyncio.ensure_future(crew.run(busy))
        await asyncio.sleep(0)
        wait_until(lambda: busy.begun == 1, "the work to begin")
        asking.cancel()
        await asyncio.wait([asking])

    run(work)  # comes back while the thread is still there
    assert not busy.gate.is_set()
    busy.gate.set()
