"""What is measured: the list of all scenarios, and how their targets take turns."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import bulk, logins, prepared
from bench.footprint import first_query, memory_of, memory_of_statements
from bench.meter import Metrics
from bench.needs import Key, Needs
from bench.pgbench import Load
from bench.postgres import Postgres
from bench.scripts import DEFERRED_BEGIN, PIPELINE, PIPELINED
from bench.targets import Target
from bench.transactions import among_idle, under_load, with_settings

POOLERS = ("relay", "pgbouncer", "howdah")
TRUE_POOLERS = ("pgbouncer", "howdah")  # the relay knows neither passwords nor TLS nor prepared statements
WITH_STATEMENTS = ("direct", *TRUE_POOLERS)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the report's tables.  `measure` is called once a round for each target."""

    name: str
    measure: Callable[[Target, int], Metrics]
    targets: tuple[str, ...] = ("direct", *POOLERS)
    needs: Needs = field(default_factory=Needs)
    fresh: bool = False  # each round wants a process that has not served anybody; `measure` starts it


def _pgbench_scenarios() -> list[Scenario]:
    return [
        Scenario(f"{script} {protocol} {clients}", under_load(Load(script, protocol, clients)))
        for script in ("select-only", "tpcb-like")
        for protocol in ("simple", "extended")
        for clients in (1, 16, 64, 512)
    ]


def _statement_scenarios() -> list[Scenario]:
    def pgbench(name: str, load: Load) -> Scenario:
        return Scenario(name, under_load(load), WITH_STATEMENTS)

    def memory(name: str, *, same_order: bool) -> Scenario:
        measure = memory_of_statements(1000, 200, 5000, same_order=same_order)
        return Scenario(name, measure, TRUE_POOLERS, fresh=True)

    return [
        *(
            pgbench(f"{script} prepared {clients}", Load(script, "prepared", clients))
            for script, clients in (("select-only", 1), ("select-only", 16), ("select-only", 64), ("tpcb-like", 16))
        ),
        Scenario("500 statements", prepared.many_statements(64, 500), WITH_STATEMENTS),
        pgbench(
            f"pgbench pipeline {PIPELINED}",
            Load("pipeline", "prepared", 16, text=PIPELINE, statements=PIPELINED),
        ),
        Scenario("psycopg pipeline 100", prepared.driver("psycopg pipeline"), WITH_STATEMENTS),
        Scenario("asyncpg executemany 1000", prepared.driver("asyncpg executemany"), WITH_STATEMENTS),
        memory("statement memory", same_order=True),
        memory("statement memory, any order", same_order=False),
    ]


def _bulk_scenarios() -> list[Scenario]:
    def moving(name: str, work: bulk.Work, size: int) -> Scenario:
        return Scenario(name, bulk.moving(work, size), fresh=True)

    return [
        moving("40 MB row", bulk.rows, bulk.ROW),
        moving("copy out 1 GiB", bulk.copy_out, bulk.GIB),
        moving("copy in 1 GiB", bulk.copy_in, bulk.GIB),
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
            TRUE_POOLERS,
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
                TRUE_POOLERS,
                both,
            )
            for protocol, clients in (("simple", 1), ("simple", 16), ("simple", 64), ("extended", 16))
        ),
        Scenario("TLS copy 1 GiB", bulk.moving(bulk.copy_out, bulk.GIB), TRUE_POOLERS, towards_clients, fresh=True),
        Scenario("TLS copy 1 GiB, both ways", bulk.moving(bulk.copy_out, bulk.GIB), TRUE_POOLERS, both, fresh=True),
        Scenario("10000 idle TLS", logins.idle_tls(10_000), TRUE_POOLERS, towards_clients, fresh=True),
    ]


SCENARIOS: tuple[Scenario, ...] = (
    *_pgbench_scenarios(),
    *_statement_scenarios(),
    Scenario("deferred begin 16", under_load(Load("deferred begin", "simple", 16, text=DEFERRED_BEGIN))),
    *_bulk_scenarios(),
    Scenario("settings 64", with_settings(64), ("howdah",)),
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
    "select-only simple 1", "select-only simple 16", "select-only simple 64", "select-only extended 16",
    "select-only prepared 16", "500 statements", "40 MB row", "reconnect 16", "64 among 5000 idle", "10000 idle",
    "start", "storm scram, 1 worker", "storm ecdsa, 2 workers", "TLS select-only simple 16", "TLS copy 1 GiB",
    "10000 idle TLS",
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
