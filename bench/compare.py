"""Medians, ratios and warnings: from measurements to statements.  No measuring in here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Metrics = Mapping[str, float]
#: Above this share of its threads' time a load generator may be what is measured.
GENERATOR_FULL = 0.85
MACHINE_FULL = 0.95


def medians(rounds: Sequence[Metrics]) -> dict[str, float]:
    """The median of each metric over the rounds that have it."""
    names = {name: None for metrics in rounds for name in metrics}
    return {name: median(metrics[name] for metrics in rounds if name in metrics) for name in names}


def spread(rounds: Sequence[Metrics], name: str) -> float:
    """How far apart the middle half of the rounds lies, relative to their median: the noise of a number."""
    values = sorted(metrics[name] for metrics in rounds if name in metrics)
    if len(values) < 3 or not median(values):
        return 0.0
    quarter = len(values) // 4
    return (values[-1 - quarter] - values[quarter]) / median(values)


def ratio(ours: Metrics, other: Metrics, name: str) -> float | None:
    """`ours` / `other`, when both have it."""
    if name not in ours or not other.get(name):
        return None
    return ours[name] / other[name]


def warnings(target: str, metrics: Metrics) -> list[str]:
    """What makes this result say less than it seems to."""
    found = []
    if metrics.get("generator_cpu", 0.0) > GENERATOR_FULL:
        share = f"{metrics['generator_cpu']:.0%}"
        found.append(f"{target}: the load generator used {share} of its time: it may be the limit, not {target}")
    if metrics.get("failed", 0.0):
        found.append(f"{target}: {metrics['failed']:.0f} transactions failed")
    return found


def saturated(results: Iterable[Metrics]) -> bool:
    """Whether the cores were full: then tps and latency are about the sum of all programs, CPU time is about each."""
    return any(metrics.get("machine_cpu", 0.0) > MACHINE_FULL for metrics in results)


def company(load_average: float, cores: int) -> str:
    """A warning when others were at work before we began, or ""."""
    if load_average < 0.3 * cores:
        return ""
    return (
        f"the load average was {load_average:.1f} on {cores} cores before the start: other programs are running, "
        "tx/s and latency are theirs, too"
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the bar: a number of howdah's against what it must not exceed (or fall below)."""

    scenario: str
    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


Results = Mapping[str, Mapping[str, Metrics]]  # scenario, target: medians


def bar(results: Results) -> list[Mark]:
    """The performance howdah promises, checked where the scenarios for it were run."""
    marks: list[Mark] = []
    for scenario, targets in results.items():
        ours = targets.get("howdah")
        if ours is not None:
            marks += _marks(scenario, ours, targets)
    return marks


def _marks(scenario: str, ours: Metrics, targets: Mapping[str, Metrics]) -> list[Mark]:
    pgbouncer, relay = targets.get("pgbouncer", {}), targets.get("relay", {})
    marks: list[Mark] = []
    if scenario.startswith("select-only") and scenario.rsplit(maxsplit=1)[-1] in {"1", "16", "64"}:
        _compare(marks, scenario, "CPU a transaction, against PgBouncer", ratio(ours, pgbouncer, "cpu_us"), 0.90)
        _compare(marks, scenario, "CPU a transaction, against the bare relay", ratio(ours, relay, "cpu_us"), 1.25)
        _compare(marks, scenario, "p99, against PgBouncer", ratio(ours, pgbouncer, "p99_us"), 1.0)
        _compare(
            marks, scenario, "transactions/s, against PgBouncer", ratio(ours, pgbouncer, "tps"), 1.0, at_least=True
        )
    elif scenario == "500 statements":
        if _generator_had_time(ours, pgbouncer):
            _compare(
                marks, scenario, "transactions/s, against PgBouncer", ratio(ours, pgbouncer, "tps"), 1.0, at_least=True
            )
    elif scenario == "statement memory":
        _compare(marks, scenario, "MiB more than without statements", _mib(ours, "grown_kib"), 4.0)
    elif scenario == "40 MB row" or scenario.startswith("copy "):
        _compare(marks, scenario, "MiB more than before", _mib(ours, "grown_kib"), 4.0)
    elif scenario.startswith("settings"):
        _compare(marks, scenario, "CPU, own settings against none", ours.get("own_growth"), 1.15)
        _compare(marks, scenario, "CPU, equal settings against none", ours.get("equal_growth"), 1.02)
    elif scenario.startswith("reconnect"):
        _compare(marks, scenario, "connections/s, against PgBouncer", ratio(ours, pgbouncer, "tps"), 1.2, at_least=True)
    elif scenario.endswith("among 5000 idle"):
        _compare(marks, scenario, "p99, against the same without the idle", ours.get("p99_growth"), 1.2)
    elif scenario == "10000 idle":
        _compare(marks, scenario, "KiB a client", ours.get("client_kib"), 2.0)
        _compare(marks, scenario, "MiB of the empty process", _mib(ours, "empty_rss_kib"), 60.0)
    elif scenario.startswith("storm "):
        _storm_marks(marks, scenario, ours, pgbouncer)
    elif scenario.startswith("TLS select-only"):
        _compare(marks, scenario, "CPU a transaction, against PgBouncer", ratio(ours, pgbouncer, "cpu_us"), 0.95)
    elif scenario.startswith("TLS copy"):
        _compare(marks, scenario, "MiB/s, against PgBouncer", ratio(ours, pgbouncer, "mib_s"), 1.0, at_least=True)
    elif scenario == "10000 idle TLS":
        _compare(marks, scenario, "KiB a client, against PgBouncer", ratio(ours, pgbouncer, "client_kib"), 1.0)
    elif scenario == "start":
        _compare(marks, scenario, "ms to the first query", ours.get("first_query_ms"), 700.0)
    return marks


def _mib(metrics: Metrics, name: str) -> float | None:
    return metrics[name] / 1024 if name in metrics else None


def _generator_had_time(*measured: Metrics) -> bool:
    return all(metrics.get("generator_cpu", 0.0) <= GENERATOR_FULL for metrics in measured)


def _storm_marks(marks: list[Mark], scenario: str, ours: Metrics, pgbouncer: Metrics) -> None:
    errors = ours.get("failed", 0.0) + pgbouncer.get("failed", 0.0)
    _compare(marks, scenario, "logins that failed, on either side", errors, 0)
    if "resumed" not in scenario:
        _compare(marks, scenario, "CPU a login, against PgBouncer", ratio(ours, pgbouncer, "login_cpu_us"), 0.80)
    _compare(marks, scenario, "bystander's p99, against PgBouncer", ratio(ours, pgbouncer, "bystander_p99_us"), 0.5)
    if _generator_had_time(ours, pgbouncer):
        limit = 1.0 if scenario.endswith("1 worker") else 0.75
        _compare(
            marks, scenario, "time to the last result, against PgBouncer", ratio(ours, pgbouncer, "last_ms"), limit
        )


def _compare(
    marks: list[Mark], scenario: str, what: str, value: float | None, limit: float, *, at_least: bool = False
) -> None:
    if value is not None:
        marks.append(Mark(scenario, what, value, limit, at_least))
