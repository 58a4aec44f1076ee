"""What is measured: one class a kind of measurement, and the list of all of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench import cpu, logins, pgbench
from bench.idle_clients import IdleClients
from bench.needs import Key, Needs
from bench.pgbench import Load
from bench.postgres import Postgres
from bench.targets import Target
from bench.wire import TERMINATE, Connection

Metrics = Mapping[str, float]
POOLERS = ("relay", "pgbouncer", "howdah")
WITH_LOGINS = ("pgbouncer", "howdah")  # the relay knows neither passwords nor TLS


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the report's tables.  `measure` is called once a round for each target."""

    name: str
    measure: Callable[[Target, int], Metrics]
    targets: tuple[str, ...] = ("direct", *POOLERS)
    needs: Needs = field(default_factory=Needs)
    fresh: bool = False  # each round wants a process that has not served anybody; `measure` starts it


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


def _run(load: Load, target: Target, seconds: int) -> Metrics:
    before, busy = _reading(target), cpu.machine_busy()
    outcome = pgbench.run(load, target.port, seconds)
    after, busy_after = _reading(target), cpu.machine_busy()
    metrics = {
        "tps": outcome.tps,
        "p50_us": outcome.p50_us,
        "p95_us": outcome.p95_us,
        "p99_us": outcome.p99_us,
        "failed": float(outcome.failed),
        "generator_cpu": outcome.generator_cpu / outcome.generator_threads,
        "machine_cpu": (busy_after[0] - busy[0]) / max(busy_after[1] - busy[1], 1.0),
    }
    if outcome.connect_us is not None:
        metrics["connect_us"] = outcome.connect_us
    if before is not None and after is not None and target.pid is not None:
        used, count = after - before, max(outcome.transactions, 1)
        memory = cpu.memory(target.pid)
        metrics |= {
            "cpu_us": used.total_us / count,
            "user_us": used.user_us / count,
            "system_us": used.system_us / count,
            "switches": used.switches / count,
            "rss_kib": float(memory.rss_kib),
            "pss_kib": float(memory.pss_kib),
        }
    return metrics


def _reading(target: Target) -> cpu.Used | None:
    return None if target.pid is None else cpu.used(target.pid)


def memory_of(count: int) -> Callable[[Target, int], Metrics]:
    """What `count` idle clients add to the memory of a fresh process."""

    def measure(target: Target, seconds: int) -> Metrics:
        del seconds
        with target:
            assert target.pid is not None
            with Connection(target.port) as connection:
                connection.run("SELECT 1")
            empty = cpu.memory(target.pid)
            with IdleClients(target.port, count):
                full = cpu.memory(target.pid)
        return {
            "empty_rss_kib": float(empty.rss_kib),
            "empty_pss_kib": float(empty.pss_kib),
            "full_rss_kib": float(full.rss_kib),
            "client_kib": (full.rss_kib - empty.rss_kib) / count,
        }

    return measure


def first_query(target: Target, seconds: int) -> Metrics:
    """From starting the process to the answer of the first query."""
    began = time.perf_counter()
    target.launch()
    try:
        while True:
            try:
                with Connection(target.port) as connection:
                    connection.run("SELECT 1")
                    taken = time.perf_counter() - began
                    connection.socket.sendall(TERMINATE)
                return {"first_query_ms": taken * 1000}
            except ConnectionRefusedError:
                if time.perf_counter() - began > 10 + seconds:
                    raise
            time.sleep(0.002)
    finally:
        target.stop()


def _pgbench_scenarios() -> list[Scenario]:
    return [
        Scenario(f"{script} {protocol} {clients}", under_load(Load(script, protocol, clients)))
        for script in ("select-only", "tpcb-like")
        for protocol in ("simple", "extended")
        for clients in (1, 16, 64, 512)
    ]


def _storm_scenarios() -> list[Scenario]:
    kinds: tuple[tuple[str, Key | None, bool], ...] = (
        ("scram", None, False),
        ("ecdsa", "ecdsa", False),
        ("rsa", "rsa", False),
        ("ecdsa resumed", "ecdsa", True),
    )
    return [
        Scenario(
            f"storm {name}, {workers} worker{'s'[: workers - 1]}",
            logins.storm(2000, resumed=resumed),
            WITH_LOGINS,
            Needs(workers=workers, scram=True, client_tls=key),
        )
        for name, key, resumed in kinds
        for workers in (1, 2)
    ]


def _tls_scenarios() -> list[Scenario]:
    towards_clients = Needs(scram=True, client_tls="ecdsa")
    both = Needs(scram=True, client_tls="ecdsa", server_tls=True)
    return [
        *(
            Scenario(
                f"TLS select-only {protocol} {clients}",
                under_load(Load("select-only", protocol, clients, tls=True)),
                WITH_LOGINS,
                both,
            )
            for protocol, clients in (("simple", 1), ("simple", 16), ("simple", 64), ("extended", 16))
        ),
        Scenario("TLS copy 1 GiB", logins.copy_out, WITH_LOGINS, towards_clients),
        Scenario("TLS copy 1 GiB, both ways", logins.copy_out, WITH_LOGINS, both),
        Scenario("10000 idle TLS", logins.idle_tls(10_000), WITH_LOGINS, towards_clients, fresh=True),
    ]


SCENARIOS: tuple[Scenario, ...] = (
    *_pgbench_scenarios(),
    Scenario("reconnect 16", under_load(Load("select-only", "simple", 16, reconnect=True)), needs=Needs(workers=2)),
    Scenario("reconnect 64", under_load(Load("select-only", "simple", 64, reconnect=True)), needs=Needs(workers=2)),
    Scenario("64 among 5000 idle", among_idle(Load("select-only", "simple", 64), idle=5000), POOLERS),
    Scenario("10000 idle", memory_of(10_000), POOLERS, fresh=True),
    Scenario("start", first_query, POOLERS, fresh=True),
    *_storm_scenarios(),
    *_tls_scenarios(),
)

#: What `--quick` runs: the numbers that decide, in a few minutes.
QUICK = (
    "select-only simple 1", "select-only simple 16", "select-only simple 64", "select-only extended 16", "reconnect 16",
    "64 among 5000 idle", "10000 idle", "start", "storm scram, 1 worker", "storm ecdsa, 2 workers",
    "TLS select-only simple 16", "TLS copy 1 GiB", "10000 idle TLS",
)  # fmt: skip


def measure_all(
    scenario: Scenario, names: list[str], postgres: Postgres, *, seconds: int, rounds: int, step: Callable[[str], None]
) -> dict[str, list[Metrics]]:
    """Every target `rounds` times, in turn, beginning with another one each round."""
    results: dict[str, list[Metrics]] = {name: [] for name in names}
    targets = {name: Target(name, postgres, scenario.needs) for name in names}
    started: list[Target] = []
    try:
        if not scenario.fresh:
            for target in targets.values():
                started.append(target)
                target.__enter__()
                scenario.measure(target, 1)  # warm: pools filled, caches loaded
        for turn in range(rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                step(name)
                target = Target(name, postgres, scenario.needs) if scenario.fresh else targets[name]
                results[name].append(scenario.measure(target, seconds))
    finally:
        for target in started:
            target.stop()
    return results
