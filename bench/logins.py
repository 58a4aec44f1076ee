"""Measurements of logins and of TLS: storms, idle clients."""

import sys
from collections.abc import Callable

from bench import cpu
from bench.meter import Meter, Metrics
from bench.storm import generator
from bench.targets import Target


def storm(clients: int, *, resumed: bool = False) -> Callable[[Target, int], Metrics]:
    """`clients` at the same moment, each with one query, as often as fits; a bystander meanwhile."""

    def measure(target: Target, seconds: int) -> Metrics:
        tls: generator.Tls = ("resumed" if resumed else "full") if target.tls else "off"
        with Meter(target) as meter:
            storm = generator.storm(target.port, clients=clients, seconds=seconds, tls=tls)
        if storm.first_error:
            print(f"bench: {target.name}: {storm.first_error}", file=sys.stderr)
        return {
            **meter.each(storm.clients, "login_cpu_us"),
            "last_ms": storm.last * 1000,
            "login_p50_ms": storm.login_p50 * 1000,
            "login_p99_ms": storm.login_p99 * 1000,
            "bystander_p50_us": storm.bystander(0.50),
            "bystander_p99_us": storm.bystander(0.99),
            "bystander_max_us": storm.bystander(1.0),
            "bystander_samples": float(len(storm.bystander_us)),
            "failed": float(storm.clients - storm.answered),
            "resumed": storm.resumed / storm.clients,
            "generator_us": storm.generator_cpu * 1e6 / storm.clients,
            "generator_cpu": storm.busiest,
            "generator_waited": storm.kept_waiting,
        }

    return measure


def idle_tls(count: int) -> Callable[[Target, int], Metrics]:
    """What `count` idle clients with TLS add to the memory of a fresh process."""

    def measure(target: Target, seconds: int) -> Metrics:
        del seconds
        with target:
            assert target.pid is not None
            with generator.IdleCrowd(target.port, 1, "full"):
                empty = cpu.memory(target.pid)
            with generator.IdleCrowd(target.port, count, "full"):
                full = cpu.memory(target.pid)
        return {
            "empty_rss_kib": float(empty.rss_kib),
            "full_rss_kib": float(full.rss_kib),
            "client_kib": (full.rss_kib - empty.rss_kib) / count,
        }

    return measure
