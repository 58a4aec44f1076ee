"""Measurements of logins and of TLS: storms, long answers, idle clients."""

import sys
from collections.abc import Callable, Mapping

from bench import cpu
from bench.storm import generator
from bench.targets import Target

Metrics = Mapping[str, float]
GIB = 1 << 30
#: 1 GiB of text: rows of 1,023 letters and a line feed.
GIB_OF_ROWS = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, 1048576)) TO STDOUT"


def storm(clients: int, *, resumed: bool = False) -> Callable[[Target, int], Metrics]:
    """`clients` at the same moment, each with one query, as often as fits; a bystander meanwhile."""

    def measure(target: Target, seconds: int) -> Metrics:
        assert target.pid is not None
        tls: generator.Tls = ("resumed" if resumed else "full") if target.tls else "off"
        before, busy = cpu.used(target.pid), cpu.machine_busy()
        storm = generator.storm(target.port, clients=clients, seconds=seconds, tls=tls)
        used, busy_after = cpu.used(target.pid) - before, cpu.machine_busy()
        if storm.first_error:
            print(f"bench: {target.name}: {storm.first_error}", file=sys.stderr)
        return {
            "login_cpu_us": used.total_us / storm.clients,
            "user_us": used.user_us / storm.clients,
            "system_us": used.system_us / storm.clients,
            "switches": used.switches / storm.clients,
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
            "machine_cpu": (busy_after[0] - busy[0]) / max(busy_after[1] - busy[1], 1.0),
            "rss_kib": float(cpu.memory(target.pid).rss_kib),
        }

    return measure


def copy_out(target: Target, seconds: int) -> Metrics:
    """One client reads 1 GiB."""
    del seconds
    assert target.pid is not None
    before = cpu.used(target.pid)
    copied = generator.copy(target.port, sql=GIB_OF_ROWS, tls="full" if target.tls else "off")
    used = cpu.used(target.pid) - before
    if copied.bytes != GIB:
        raise RuntimeError(f"{target.name}: {copied.bytes} of {GIB} bytes came")
    return {
        "mib_s": copied.bytes / copied.seconds / (1 << 20),
        "gib_cpu_ms": used.total_us / 1000,
        "generator_cpu": copied.cpu_s / copied.seconds,
        "rss_kib": float(cpu.memory(target.pid).rss_kib),
    }


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
