"""Measurements of prepared statements: more of them than a server keeps, and Python's drivers at work."""

import sys
from collections.abc import Callable

from bench import drivers
from bench.meter import Meter, Metrics
from bench.poised import Poised
from bench.storm import generator
from bench.targets import Target


def many_statements(clients: int, count: int) -> Callable[[Target, int], Metrics]:
    """`clients` that have each prepared `count` statements and run one at random, again and again."""

    def measure(target: Target, seconds: int) -> Metrics:
        with generator.statements(target.port, clients=clients, count=count, seconds=seconds) as load:
            with Meter(target) as meter:
                done = load.go()
        return {
            "tps": done.units / done.seconds,
            **done.latencies,
            "generator_cpu": done.cpu_s / done.seconds,
            **meter.each(done.units),
        }

    return measure


def driver(name: drivers.Name) -> Callable[[Target, int], Metrics]:
    """One of `bench.drivers`: statements a second, and the pooler's CPU time for each; latencies are a batch's."""

    def measure(target: Target, seconds: int) -> Metrics:
        command = [sys.executable, "-m", "bench.drivers", name, str(target.port), str(seconds)]
        with Poised(command) as load, Meter(target) as meter:
            done = load.go()
        return {
            "statements_s": done.units / done.seconds,
            **done.latencies,
            "generator_cpu": done.cpu_s / done.seconds,
            **meter.each(done.units, "statement_cpu_us"),
        }

    return measure
