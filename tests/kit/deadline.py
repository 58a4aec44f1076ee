"""Waiting for a condition with a deadline: the only way a test may wait."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: How much longer than usual to wait: the sanitizer jobs run with HOWDAH_TEST_PATIENCE=4.
PATIENCE = float(os.environ.get("HOWDAH_TEST_PATIENCE", "1"))
POLL_EVERY = 0.005


def wait_until(condition: Callable[[], T], what: str, within: float = 15.0) -> T:
    """Return the condition's first true value; fail with `what` and the last value when there is none in time."""
    deadline = time.monotonic() + within * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within * PATIENCE:g} s for {what}; last seen: {value!r}")
        time.sleep(POLL_EVERY)
