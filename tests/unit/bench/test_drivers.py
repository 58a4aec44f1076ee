"""Batches of drivers, timed; the drivers themselves are not asked."""

import asyncio

import pytest

from bench.drivers import Batch, run


def batch_of(statements: int, done: list[int]) -> Batch:
    async def batch() -> int:
        done.append(statements)
        await asyncio.sleep(0)
        return statements

    return batch


def test_the_statements_of_all_connections_are_added() -> None:
    done: list[int] = []
    told = asyncio.run(run([batch_of(100, done), batch_of(7, done)], 0.05))
    assert {100, 7} == set(done)  # both had their turns
    assert told.units == sum(done)
    assert told.seconds >= 0.05
    assert 0 < told.p50_us <= told.p99_us


def test_a_batch_that_fails_ends_the_run() -> None:
    async def fails() -> int:
        raise ConnectionError("the server went away")

    with pytest.raises(ConnectionError, match="went away"):
        asyncio.run(run([fails], 1.0))
