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
    ("p50_us", "p50 ms", 0.001, 2),
    ("p95_us", "p95 ms", 0.001, 2),
    ("p99_us", "p99 ms", 0.001, 2),
    ("alone_p99_us", "alone ms", 0.001, 2),
    ("p99_growth", "growth", 1.0, 2),
    ("cpu_us", "CPU µs/tx", 1.0, 2),
    ("user_us", "user", 1.0, 2),
    ("system_us", "system", 1.0, 2),
    ("connect_us", "connect µs", 1.0, 0),
    ("rss_kib", "RSS MiB", 1 / 1024, 1),
    ("pss_kib", "PSS MiB", 1 / 1024, 1),
    ("empty_rss_kib", "empty MiB", 1 / 1024, 1),
    ("client_kib", "KiB/client", 1.0, 2),
    ("first_query_ms", "first query ms", 1.0, 0),
)
#: Of the table of ratios: who against whom, and in what.
PAIRS = (("howdah", "pgbouncer"), ("howdah", "relay"), ("relay", "pgbouncer"))
RATIOS = (("tps", "tx/s"), ("p99_us", "p99"), ("cpu_us", "CPU"))


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
    noise = {target: spread(rounds[target], "cpu_us") for target in medians}
    if any(noise.values()):
        table.add_column("± CPU", justify="right")
    for target, metrics in medians.items():
        cells = [cell(metrics, column, factor, decimals) for column, _, factor, decimals in shown]
        scatter = [f"{noise[target]:.0%}" if noise[target] else ""] if any(noise.values()) else []
        table.add_row(target, *cells, *scatter)
    return table


def ratio_table(results: Mapping[str, Mapping[str, Metrics]]) -> Table:
    """The pairs of PAIRS that were measured; relay/pgbouncer is the best there is to get."""
    there = {target for targets in results.values() for target in targets}
    pairs = [pair for pair in PAIRS if there.issuperset(pair)]
    table = Table(title="Ratios of medians (CPU and p99: lower is better; tx/s: higher)", title_justify="left")
    table.add_column("")
    for ours, other in pairs:
        for _, heading in RATIOS:
            table.add_column(f"{ours}\n÷ {other}\n{heading}", justify="right")
    for scenario, targets in results.items():
        values = [
            ratio(targets.get(ours, {}), targets.get(other, {}), metric)
            for ours, other in pairs
            for metric, _ in RATIOS
        ]
        if any(value is not None for value in values):
            table.add_row(scenario, *("–" if value is None else f"{value:.2f}" for value in values))
    return table


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
