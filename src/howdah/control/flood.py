"""A limit on repeated log lines, so that a storm of the same event costs a count and not a line each."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Flow:
    second_began: float
    in_second: int = 0
    quiet_since: float | None = None  # when lines began to be held back
    held_back: int = 0


class HeldBack(NamedTuple, Generic[Key]):
    key: Key
    lines: int
    seconds: float


class Flood(Generic[Key]):
    """Up to `per_second` lines of one key a second; beyond that silence for `period` seconds, then one summary."""

    def __init__(self, per_second: int, period: float = 10.0) -> None:
        self._per_second = per_second
        self._period = period
        self._flows: dict[Key, _Flow] = {}

    def admits(self, key: Key, now: float) -> bool:
        flow = self._flows.get(key)
        if flow is None:
            flow = self._flows[key] = _Flow(now)
        if flow.quiet_since is None:
            if now - flow.second_began >= 1.0:
                flow.second_began, flow.in_second = now, 0
            flow.in_second += 1
            if flow.in_second <= self._per_second:
                return True
            flow.quiet_since = now
        flow.held_back += 1
        return False

    def summaries(self, now: float, *, final: bool = False) -> list[HeldBack[Key]]:
        """What has been held back for a whole period (or at all, when `final`); those keys start afresh."""
        due = [
            HeldBack(key, flow.held_back, now - flow.quiet_since)
            for key, flow in self._flows.items()
            if flow.quiet_since is not None and (final or now - flow.quiet_since >= self._period)
        ]
        for summary in due:
            del self._flows[summary.key]
        return due
