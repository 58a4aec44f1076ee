"""What a process used: CPU time of all its threads, memory, switches.

The sum comes from the scheduler's own account in nanoseconds (/proc/PID/task/*/schedstat).  The split into user and
system comes from /proc/PID/stat, which the kernel samples at each timer tick and reports in units of 10 ms: right over
seconds, meaningless over milliseconds.  So the split is applied to the exact sum.
"""

import os
from dataclasses import dataclass
from pathlib import Path

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU time in microseconds and context switches, since the process began or between two readings."""

    total_us: float
    user_ticks_us: float
    system_ticks_us: float
    switches: int

    def __sub__(self, earlier: "Used") -> "Used":
        return Used(
            self.total_us - earlier.total_us,
            self.user_ticks_us - earlier.user_ticks_us,
            self.system_ticks_us - earlier.system_ticks_us,
            self.switches - earlier.switches,
        )

    @property
    def user_us(self) -> float:
        ticks = self.user_ticks_us + self.system_ticks_us
        return self.total_us * self.user_ticks_us / ticks if ticks else 0.0

    @property
    def system_us(self) -> float:
        return self.total_us - self.user_us


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident and proportional set size in KiB."""

    rss_kib: int
    pss_kib: int


def parse_stat(text: str) -> tuple[float, float]:
    """User and system time in microseconds from /proc/PID/stat; the name in it may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) * TICK_US, int(fields[12]) * TICK_US


def parse_rollup(text: str) -> Memory:
    """Memory from /proc/PID/smaps_rollup."""
    values = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines() if line.endswith(" kB")}
    return Memory(values["Rss"], values["Pss"])


def used(pid: int) -> Used:
    """What `pid` has used so far."""
    process = Path(f"/proc/{pid}")
    total_ns = switches = 0
    for task in (process / "task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
        status = (task / "status").read_text()
        switches += sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)
    user, system = parse_stat((process / "stat").read_text())
    return Used(total_ns / 1000, user, system, switches)


def memory(pid: int) -> Memory:
    """What `pid` has resident now."""
    return parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())


def parse_peak(text: str) -> int:
    """The largest resident size in KiB from /proc/PID/status."""
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))


def peak_kib(pid: int) -> int:
    """The most `pid` ever had resident, or since `reset_peak`."""
    return parse_peak(Path(f"/proc/{pid}/status").read_text())


def reset_peak(pid: int) -> None:
    """Let the peak begin again at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def machine_busy() -> tuple[float, float]:
    """Busy and total CPU time of the whole machine since boot, in ticks."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return float(sum(fields) - idle), float(sum(fields))
