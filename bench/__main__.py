"""``python -m bench``: measure howdah against what it competes with."""

import sys
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report
from bench.compare import bar, company, medians, saturated, warnings
from bench.meter import Metrics
from bench.places import RESULTS, NotHere, raise_files_limit
from bench.postgres import Databases
from bench.scenarios import QUICK, SCENARIOS, Scenario, measure_all
from bench.targets import NAMES, missing

Rounds = dict[str, list[Metrics]]


@click.command(context_settings={"max_content_width": 110})
@click.option("--quick", is_flag=True, help="The deciding scenarios, three short rounds.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Scenarios by name; * is a wildcard; can be repeated.")
@click.option("--targets", default=",".join(NAMES), show_default=True, help="Which to measure, comma separated.")
@click.option("--seconds", type=click.IntRange(1, 600), help="Length of one run.  [default: 5; 3 with --quick]")
@click.option(
    "--rounds", type=click.IntRange(1, 99), help="Runs of each target, in turn.  [default: 5; 3 with --quick]"
)
@click.option("--scale", default=20, show_default=True, help="pgbench's scale factor.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file.  [default: bench/results/DATE-TIME.json]")
@click.option("--list", "list_only", is_flag=True, help="Name the scenarios and stop.")
def main(
    *, quick: bool, only: tuple[str, ...], targets: str, seconds: int | None, rounds: int | None, scale: int,
    output: Path | None, list_only: bool,
) -> None:  # fmt: skip
    """Measure howdah, PgBouncer, a bare relay and PostgreSQL itself in alternating runs, and compare medians."""
    chosen = _chosen(only or (QUICK if quick else ("*",)))
    if list_only:
        print("\n".join(scenario.name for scenario in chosen))
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    raise_files_limit()
    try:
        names = _usable(targets, console)
        _measure(
            console, chosen, names, seconds=seconds or (3 if quick else 5), rounds=rounds or (3 if quick else 5),
            scale=scale, output=output or RESULTS / f"{datetime.now():%Y-%m-%d-%H%M}.json",
        )  # fmt: skip
    except NotHere as error:
        raise SystemExit(f"bench: {error}") from None


def _chosen(patterns: tuple[str, ...]) -> list[Scenario]:
    chosen = [s for s in SCENARIOS if any(fnmatch(s.name, pattern) for pattern in patterns)]
    if not chosen:
        raise SystemExit(f"bench: no scenario is called {' or '.join(patterns)}; --list names them")
    return chosen


def _usable(wanted: str, console: Console) -> list[str]:
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if unknown := set(names) - set(NAMES):
        raise SystemExit(f"bench: no target is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    usable = []
    for name in names:
        console.print(f"[dim]preparing {name} ...", end="\r")
        if reason := missing(name):
            console.print(f"[yellow]without {name}: {reason}")
        else:
            usable.append(name)
    return usable


def _measure(
    console: Console, chosen: list[Scenario], names: list[str], *, seconds: int, rounds: int, scale: int, output: Path
) -> None:
    about = {"machine": report.machine(), "versions": report.versions()}
    options = {"seconds": seconds, "rounds": rounds, "scale": scale, "targets": names}
    all_rounds: dict[str, Rounds] = {}
    all_medians: dict[str, dict[str, dict[str, float]]] = {}
    notes = [text] if (text := company(about["machine"]["load_average_at_start"], about["machine"]["cores"])) else []
    for text in notes:
        console.print(f"[yellow]{text}")
    with Databases(scale) as databases, _progress(console) as progress:
        plan = [(scenario, [name for name in names if name in scenario.targets]) for scenario in chosen]
        task = progress.add_task("", total=sum(len(targets) for _, targets in plan) * rounds)

        for scenario, targets in plan:

            def step(name: str, scenario: Scenario = scenario) -> None:
                progress.update(task, advance=1, description=f"{scenario.name}: {name}")

            try:
                postgres = databases.of(tls=scenario.needs.server_tls)
                taken = measure_all(scenario, targets, postgres, seconds=seconds, rounds=rounds, step=step)
            except (RuntimeError, ValueError, OSError, NotHere) as error:
                notes.append(f"{scenario.name}: given up: {error}")
                console.print(f"[red]{notes[-1]}")
                continue
            all_rounds[scenario.name] = taken
            all_medians[scenario.name] = {name: medians(of) for name, of in taken.items()}
            _say(console, scenario.name, all_medians[scenario.name], taken, notes)
            report.save(output, options=options, about=about, medians=all_medians, rounds=all_rounds, notes=notes)
    if pairs := report.pairs(all_medians):
        console.print(report.ratio_table(all_medians, pairs))
    if marks := bar(all_medians):
        console.print(report.bar_table(marks))
    console.print(f"All numbers: {output}")


def _progress(console: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=True)


def _say(console: Console, name: str, middle: dict[str, dict[str, float]], taken: Rounds, notes: list[str]) -> None:
    console.print(report.scenario_table(name, middle, taken))
    found = [f"{name}: {text}" for target, metrics in middle.items() for text in warnings(target, metrics)]
    if saturated(middle.values()):
        found.append(
            f"{name}: the machine was full; tx/s and latency are about all programs together, CPU µs about each"
        )
    notes += found
    for text in found:
        console.print(f"[yellow]{text}")


if __name__ == "__main__":
    sys.exit(main())
