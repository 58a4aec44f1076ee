"""Makes a failing program small: takes steps away for as long as it fails."""

import time
from collections.abc import Callable
from typing import TypeAlias

from tests.model.program import Program

Fails: TypeAlias = Callable[[Program], bool]


def shrunk(program: Program, fails: Fails, within: float = 90.0) -> Program:
    """The smallest part of the program, to within one step, that still fails (delta debugging).

    When time is up, the smallest found so far.
    """
    until = time.monotonic() + within

    def fails_in_time(part: Program) -> bool:
        return time.monotonic() < until and fails(part)

    size = max(len(program) // 2, 1)
    while True:
        smaller = _without_runs(size, program, fails_in_time)
        if len(smaller) == len(program):
            if size == 1:
                return program
            size //= 2
        program = smaller


def _without_runs(size: int, program: Program, fails: Fails) -> Program:
    """Without each run of `size` steps that it fails without."""
    at = 0
    while at < len(program):
        rest = [*program[:at], *program[at + size :]]
        if rest and fails(rest):
            program = rest
        else:
            at += size
    return program
