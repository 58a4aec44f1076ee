"""howdah answers whatever clients say as PostgreSQL would: see `tests.model`.

A failure prints the smallest program that was found to fail, as it goes into `regressions`.
"""

import random
import time

import pytest

from tests.kit.pooler import Pooler
from tests.model import generator, shrinking
from tests.model.neighbours import Neighbours
from tests.model.program import Program, listing
from tests.model.regressions import PROGRAMS
from tests.model.universe import Referee

pytestmark = pytest.mark.timeout(1200)

#: A difference may depend on which worker the kernel gives each client to.
ATTEMPTS = 3


def verdict(referee: Referee, program: Program) -> str:
    """Nothing, or what a person needs to know of the difference."""
    difference = referee.difference(program)
    return f"\n[\n{listing(program)}]\n{difference}" if difference else ""


def smallest(referee: Referee, program: Program) -> Program:
    referee.within = min(referee.within, 1.0)
    return shrinking.shrunk(program, lambda part: any(referee.difference(part) for _ in range(ATTEMPTS)))


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_once_was_wrong(referee: Referee, name: str) -> None:
    for _ in range(ATTEMPTS):
        assert not verdict(referee, PROGRAMS[name])


@pytest.mark.parametrize("part", range(4))
def test_random_programs(referee: Referee, pytestconfig: pytest.Config, part: int) -> None:
    seed = random.getrandbits(32)
    dice = random.Random(seed)
    until = time.monotonic() + pytestconfig.getoption("model_seconds") / 5
    while time.monotonic() < until:
        program = generator.program(dice)
        if found := verdict(referee, program):
            small = verdict(referee, smallest(referee, program))
            pytest.fail(f"seed {seed}: howdah answers differently{small or found}", pytrace=False)
    assert referee.count.played > 5
    assert referee.count.excluded.total() < referee.count.played / 10 + 5


def test_random_programs_among_neighbours(referee: Referee, small_pooler: Pooler, pytestconfig: pytest.Config) -> None:
    """The same while others take, wait for and soil the same two servers.  What is found here cannot be made small."""
    seed = random.getrandbits(32)
    dice = random.Random(seed)
    until = time.monotonic() + pytestconfig.getoption("model_seconds") / 5
    with Neighbours(lambda: small_pooler.client(database="model"), count=3, seed=seed):
        while time.monotonic() < until:
            found = verdict(referee, generator.program(dice))
            assert not found, f"seed {seed}{found}"
