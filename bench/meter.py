"""What a target's process and the machine use while something is measured."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from bench import cpu
from bench.targets import Target

Metrics = Mapping[str, float]


class Meter:
    """Runs for as long as its context lasts, and is read afterwards."""

    def __init__(self, target: Target) -> None:
        self._pid = target.pid

    def __enter__(self) -> Self:
        self._busy = cpu.machine_busy()
        self._before = self._reading()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._after = self._reading()
        busy, busy_before = cpu.machine_busy(), self._busy
        self._machine = (busy[0] - busy_before[0]) / max(busy[1] - busy_before[1], 1.0)

    def _reading(self) -> cpu.Used | None:
        return None if self._pid is None else cpu.used(self._pid)

    def each(self, count: float, name: str = "cpu_us") -> Metrics:
        """CPU time as `name`, and what else there is, divided by how often something was done."""
        if self._before is None or self._after is None or self._pid is None:
            return {"machine_cpu": self._machine}
        used, memory, count = self._after - self._before, cpu.memory(self._pid), max(count, 1)
        return {
            "machine_cpu": self._machine,
            name: used.total_us / count,
            "user_us": used.user_us / count,
            "system_us": used.system_us / count,
            "switches": used.switches / count,
            "rss_kib": float(memory.rss_kib),
            "pss_kib": float(memory.pss_kib),
        }
