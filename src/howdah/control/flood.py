"""A limit on repeated log lines, so that a storm of the same event costs a count and not a line each."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Flow:
    began: float
    lines: int = 0
    held_back: int = 0


class HeldBack(NamedTuple, Generic[Key]):
    key: Key
    lines: int
    seconds: float


class Flood(Generic[Key]):
    """Up to `most` lines of one key in `period` seconds; the rest of the period is silent and ends with a summary."""

    def __init__(self, most: int, period: float = 10.0) -> None:
        self._most = most
        self._period = period
        self._flows: dict[Key, _Flow] = {}

    def admits(self, key: Key, now: float) -> bool:
        flow = self._flows.get(key)
        if flow is None or (now - flow.began >= self._period and not flow.held_back):
            flow = self._flows[key] = _Flow(now)
        if flow.lines < self._most:
            flow.lines += 1
            return True
        flow.held_back += 1
        return False

    def summaries(self, now: float, *, final: bool = False) -> list[HeldBack[Key]]:
        """What was held back in periods that are over (in all of them, when `final`); those keys start afresh."""
        due = [
            HeldBack(key, flow.held_back, now - flow.began)
            for key, flow in self._flows.items()
            if flow.held_back and (final or now - flow.began >= self._period)
        ]
        for summary in due:
            del self._flows[summary.key]
        return due
