"""Tables for people, JSON for keeping."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import pgbench, pgbouncer
from bench.compare import Mark, Metrics, ratio, spread
from bench.places import ROOT

#: metric, heading, factor, decimals
COLUMNS = (
    ("tps", "tx/s", 1.0, 0),
    ("statements_s", "statements/s", 1.0, 0),
    ("p50_us", "p50 ms", 0.001, 2),
    ("p95_us", "p95 ms", 0.001, 2),
    ("p99_us", "p99 ms", 0.001, 2),
    ("alone_p99_us", "alone ms", 0.001, 2),
    ("p99_growth", "growth", 1.0, 2),
    ("own_growth", "own settings", 1.0, 3),
    ("equal_growth", "equal settings", 1.0, 3),
    ("cpu_us", "CPU µs/tx", 1.0, 2),
    ("statement_cpu_us", "CPU µs/statement", 1.0, 3),
    ("user_us", "user", 1.0, 2),
    ("system_us", "system", 1.0, 2),
    ("connect_us", "connect µs", 1.0, 0),
    ("rss_kib", "RSS MiB", 1 / 1024, 1),
    ("pss_kib", "PSS MiB", 1 / 1024, 1),
    ("grown_kib", "grown MiB", 1 / 1024, 2),
    ("idle_rss_kib", "idle MiB", 1 / 1024, 1),
    ("empty_rss_kib", "empty MiB", 1 / 1024, 1),
    ("client_kib", "KiB/client", 1.0, 2),
    ("first_query_ms", "first query ms", 1.0, 0),
    ("login_cpu_us", "CPU µs/login", 1.0, 1),
    ("last_ms", "last result ms", 1.0, 0),
    ("login_p50_ms", "login p50 ms", 1.0, 0),
    ("login_p99_ms", "p99 ms", 1.0, 0),
    ("bystander_p50_us", "bystander p50 ms", 0.001, 1),
    ("bystander_p99_us", "p99 ms", 0.001, 1),
    ("bystander_max_us", "max ms", 0.001, 1),
    ("generator_us", "generator µs/login", 1.0, 0),
    ("mib_s", "MiB/s", 1.0, 0),
    ("gib_cpu_ms", "CPU ms/GiB", 1.0, 0),
)
#: The number whose scatter a scenario's table shows: the first of these it has.
DECIDING = ("cpu_us", "statement_cpu_us", "login_cpu_us", "gib_cpu_ms")
#: Of the table of ratios: who against whom, and in what.
PAIRS = (("howdah", "pgbouncer"), ("howdah", "relay"), ("relay", "pgbouncer"))
#: What the kinds of scenarios have in each column.
RATIOS = (
    (("tps", "statements_s", "mib_s"), "tx/s"),
    (("p99_us", "bystander_p99_us"), "p99"),
    (DECIDING, "CPU"),
    (("last_ms",), "last"),
)


def cell(metrics: Metrics, name: str, factor: float, decimals: int) -> str:
    """One number as text; a dash where there is none."""
    return f"{metrics[name] * factor:,.{decimals}f}" if name in metrics else "–"


def scenario_table(name: str, medians: Mapping[str, Metrics], rounds: Mapping[str, Sequence[Metrics]]) -> Table:
    """All targets of one scenario, with how much the deciding number scattered."""
    shown = [column for column in COLUMNS if any(column[0] in metrics for metrics in medians.values())]
    table = Table(title=name, title_justify="left", title_style="bold")
    table.add_column("")
    for _, heading, _, _ in shown:
        table.add_column(heading, justify="right")
    deciding = next((name for name in DECIDING if any(name in metrics for metrics in medians.values())), "")
    noise = {target: spread(rounds[target], deciding) for target in medians}
    if any(noise.values()):
        table.add_column("± CPU", justify="right")
    for target, metrics in medians.items():
        cells = [cell(metrics, column, factor, decimals) for column, _, factor, decimals in shown]
        scatter = [f"{noise[target]:.0%}" if noise[target] else ""] if any(noise.values()) else []
        table.add_row(target, *cells, *scatter)
    return table


def pairs(results: Mapping[str, Mapping[str, Metrics]]) -> list[tuple[str, str]]:
    """Those of PAIRS that were measured."""
    there = {target for targets in results.values() for target in targets}
    return [pair for pair in PAIRS if there.issuperset(pair)]


def ratio_table(results: Mapping[str, Mapping[str, Metrics]], pairs: Sequence[tuple[str, str]]) -> Table:
    """How they compare; relay/pgbouncer is the best there is to get."""
    title = "Ratios of medians (tx/s, statements/s or MiB/s: higher is better; p99, of storms the bystander's,"
    table = Table(title=f"{title} CPU, and the time to a storm's last result: lower)", title_justify="left")
    table.add_column("")
    for ours, other in pairs:
        for _, heading in RATIOS:
            table.add_column(f"{ours}\n÷ {other}\n{heading}", justify="right")
    for scenario, targets in results.items():
        values = [
            _first_ratio(targets.get(ours, {}), targets.get(other, {}), metrics)
            for ours, other in pairs
            for metrics, _ in RATIOS
        ]
        if any(value is not None for value in values):
            table.add_row(scenario, *("–" if value is None else f"{value:.2f}" for value in values))
    return table


def _first_ratio(ours: Metrics, other: Metrics, names: Sequence[str]) -> float | None:
    found = (ratio(ours, other, name) for name in names)
    return next((value for value in found if value is not None), None)


def bar_table(marks: Sequence[Mark]) -> Table:
    """Which promises hold."""
    table = Table(title="The bar", title_justify="left", title_style="bold")
    for heading in ("scenario", "what", "measured", "limit", ""):
        table.add_column(heading, justify="right" if heading in {"measured", "limit"} else "left")
    for mark in marks:
        sign = "≥" if mark.at_least else "≤"
        met = "[green]met" if mark.met else "[red]missed"
        table.add_row(mark.scenario, mark.what, f"{mark.value:.2f}", f"{sign} {mark.limit:g}", met)
    return table


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": total[0] // 1024 if total else None,
        "kernel": platform.release(),
        "congestion_control": "".join(_lines("/proc/sys/net/ipv4/tcp_congestion_control")),
        "load_average_at_start": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def versions() -> dict[str, str]:
    """Of everything that takes part."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        howdah = version("howdah")
    except PackageNotFoundError:
        howdah = "not installed"
    installed = pgbouncer.installed()
    return {
        "howdah": howdah,
        "commit": _output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
        "pgbouncer": "none" if installed is None else pgbouncer.describe(installed).splitlines()[0],
        "postgresql": _output([str(pgbench.program().with_name("postgres")), "--version"]),
        "pgbench": _output([str(pgbench.program()), "--version"]),
        "python": sys.version.split()[0],
    }


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def save(
    path: Path,
    *,
    options: Mapping[str, Any],
    about: Mapping[str, Any],
    medians: Mapping[str, Mapping[str, Metrics]],
    rounds: Mapping[str, Mapping[str, Sequence[Metrics]]],
    notes: Sequence[str],
) -> None:
    """Write everything measured; whole or not at all."""
    document = {
        "taken": datetime.now().astimezone().isoformat(timespec="seconds"),
        **about,
        "options": options,
        "notes": notes,
        "scenarios": [
            {
                "name": name,
                "targets": {
                    target: {"median": _rounded(metrics), "rounds": [_rounded(r) for r in rounds[name][target]]}
                    for target, metrics in targets.items()
                },
            }
            for name, targets in medians.items()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".tmp")
    half.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    half.replace(path)


def _rounded(metrics: Metrics) -> dict[str, float]:
    return {name: round(value, 3) for name, value in metrics.items()}
