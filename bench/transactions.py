"""Measurements with pgbench: transactions a second, latency, and the pooler's CPU time for each."""

from collections.abc import Callable, Sequence

from bench import pgbench, scripts
from bench.idle_clients import IdleClients
from bench.meter import Meter, Metrics
from bench.pgbench import Load
from bench.targets import Target


def under_load(load: Load) -> Callable[[Target, int], Metrics]:
    """A run of pgbench against the target."""

    def measure(target: Target, seconds: int) -> Metrics:
        return _run(load, target, seconds)

    return measure


def among_idle(load: Load, idle: int) -> Callable[[Target, int], Metrics]:
    """The same among `idle` clients that do nothing, right after a run without them."""

    def measure(target: Target, seconds: int) -> Metrics:
        alone = _run(load, target, seconds)
        with IdleClients(target.port, idle):
            among = _run(load, target, seconds)
        return {**among, "alone_p99_us": alone["p99_us"], "p99_growth": among["p99_us"] / max(alone["p99_us"], 1.0)}

    return measure


def with_settings(clients: int) -> Callable[[Target, int], Metrics]:
    """What three settings of each client add to the CPU time of a transaction: the clients' own, or the same for all.

    Latencies and the like are those of the clients' own.
    """

    def load(names: Sequence[str], *, own: bool) -> Load:
        return Load("settings", "simple", clients, text=scripts.with_settings(names, own=own))

    three = scripts.THREE_SETTINGS
    loads = (load((), own=False), load(three, own=True), load(three, own=False))

    def measure(target: Target, seconds: int) -> Metrics:
        taken = [_run(each, target, seconds) for each in (*loads, *reversed(loads))]  # what drifts is drift of all
        cpu_us = [taken[i]["cpu_us"] + taken[-1 - i]["cpu_us"] for i in range(len(loads))]
        return {**taken[1], "own_growth": cpu_us[1] / cpu_us[0], "equal_growth": cpu_us[2] / cpu_us[0]}

    return measure


def _run(load: Load, target: Target, seconds: int) -> Metrics:
    with Meter(target) as meter:
        outcome = pgbench.run(load, target.port, seconds)
    metrics = {
        "tps": outcome.tps,
        "p50_us": outcome.p50_us,
        "p95_us": outcome.p95_us,
        "p99_us": outcome.p99_us,
        "failed": float(outcome.failed),
        "generator_cpu": outcome.generator_cpu / outcome.generator_threads,
        **meter.each(outcome.transactions),
    }
    if outcome.connect_us is not None:
        metrics["connect_us"] = outcome.connect_us
    if load.statements > 1:
        metrics["statements_s"] = outcome.tps * load.statements
        if "cpu_us" in metrics:
            metrics["statement_cpu_us"] = metrics["cpu_us"] / load.statements
    return metrics
