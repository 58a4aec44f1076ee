"""``python -m bench.demo`` (``make demo``): two thousand clients at once, straight at PostgreSQL and through howdah.

PostgreSQL allows 100 connections.  The table and the picture at the end say what became of the clients and what it
took to serve them.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import cpu
from bench.crowd import Crowd, Ending, Outcome
from bench.needs import Needs
from bench.places import ROOT, NotHere, raise_files_limit
from bench.postgres import Postgres
from bench.targets import POOL_SIZE, Target, missing
from bench.wire import Connection

MAX_CONNECTIONS = 100
TRANSACTION = "BEGIN; INSERT INTO visits VALUES ({number}); SELECT count(*) FROM visits WHERE client = {number}; COMMIT"
TITLES = {"direct": "straight at PostgreSQL", "howdah": "through howdah"}


@dataclass(slots=True)
class Story:
    """What happened to one crowd."""

    name: str
    count: int
    endings: list[Ending] = field(default_factory=list)
    backends: list[tuple[float, int]] = field(default_factory=list)  # seconds, processes
    backend_mib: float = 0.0  # proportional set size of all backends, with all clients connected
    pooler_mib: float = 0.0
    committed: int = 0

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(ending.outcome for ending in self.endings)

    @property
    def served(self) -> int:
        return self.outcomes[Outcome.SERVED]

    @property
    def seconds(self) -> float:
        """Until the last client knew."""
        return max((ending.at for ending in self.endings), default=0.0)

    @property
    def peak(self) -> int:
        return max((number for _, number in self.backends), default=0)

    @property
    def refusal(self) -> tuple[str, int]:
        """The commonest thing said to those who were not served."""
        said = Counter(ending.text for ending in self.endings if ending.outcome is not Outcome.SERVED)
        return said.most_common(1)[0] if said else ("", 0)


def backends_of(postmaster: int) -> list[int]:
    """The processes that serve a client of this PostgreSQL; not those that only tell one that it is full."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            title = (entry / "cmdline").read_bytes() if parent == postmaster else b""
        except OSError:
            continue  # it ended meanwhile
        if b"127.0.0.1(" in title and b"dead-end" not in title:
            found.append(int(entry.name))
    return found


def memory_mib(pids: Sequence[int]) -> float:
    """Proportional set size of all together."""
    total = 0
    for pid in pids:
        try:
            total += cpu.memory(pid).pss_kib
        except OSError:
            continue
    return total / 1024


def tell(name: str, postgres: Postgres, count: int, progress: Progress) -> Story:
    """One crowd, against `name`."""
    story = Story(name, count)
    task = progress.add_task(TITLES[name], total=count, note="")

    def watch(seconds: float) -> None:
        story.backends.append((seconds, len(backends_of(postgres.pid))))
        ended = crowd.so_far()
        served = ended[Outcome.SERVED]
        failed = sum(ended) - served
        note = f"[green]{served} served[/]  [red]{failed} failed[/]  {story.backends[-1][1]} backends"
        progress.update(task, completed=sum(ended), note=note)

    with Target(name, postgres, Needs(workers=2)) as target:
        crowd = Crowd(target.port, count, TRANSACTION)
        story.endings = crowd.run(watch)
        pids = backends_of(postgres.pid)
        story.backend_mib = memory_mib(pids)
        story.pooler_mib = memory_mib([target.pid]) if target.pid else 0.0
        crowd.go_home()
    with Connection(postgres.port) as connection:
        story.committed = int(connection.run("SELECT count(*) FROM visits")[0][0] or 0)
        connection.run("TRUNCATE visits")
    return story


def table_of(stories: Sequence[Story]) -> Table:
    """What the demo is about, in one look."""
    table = Table(
        title=f"{stories[0].count:,} clients at once, max_connections = {MAX_CONNECTIONS}", title_style="bold"
    )
    table.add_column("")
    for story in stories:
        table.add_column(TITLES[story.name], justify="right")
    failed = [story.count - story.served for story in stories]
    rows = [
        ("clients served", [f"[{'green' if s.served == s.count else 'red'}]{s.served:,}" for s in stories]),
        ("clients that got an error", [f"[{'red' if number else 'green'}]{number:,}" for number in failed]),
        ("transactions committed", [f"{s.committed:,}" for s in stories]),
        ("PostgreSQL backends, at most", [f"{s.peak}" for s in stories]),
        ("memory of the backends", [f"{s.backend_mib:,.0f} MiB" for s in stories]),
        ("memory of howdah", [f"{s.pooler_mib:,.0f} MiB" if s.pooler_mib else "–" for s in stories]),
        ("until the last client had its answer", [f"{s.seconds:,.2f} s" for s in stories]),
    ]
    for what, values in rows:
        table.add_row(what, *values)
    return table


@click.command()
@click.option("--clients", default=2000, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--picture", type=click.Path(path_type=Path), default=ROOT / "build" / "demo.png", help="PNG to write.")
def main(*, clients: int, picture: Path) -> None:
    """Let many clients connect at once: first straight at PostgreSQL, then through howdah."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    raise_files_limit()
    names = ["direct", "howdah"]
    if reason := missing("howdah"):
        raise SystemExit(f"demo: {reason}")
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        with Postgres(max_connections=MAX_CONNECTIONS) as postgres:
            with Connection(postgres.port) as connection:
                connection.run("CREATE TABLE visits (client int)")
            with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
                stories = [tell(name, postgres, clients, progress) for name in names]
    except NotHere as error:
        raise SystemExit(f"demo: {error}") from None
    console.print(table_of(stories))
    for story in stories:
        text, number = story.refusal
        if number:
            console.print(f"{TITLES[story.name]}, {number:,} times: [red]{text}")
    _draw(console, stories, picture)
    if stories[-1].served != clients or stories[-1].peak > POOL_SIZE:
        raise SystemExit("demo: howdah did not serve everybody with a pool of 20; that is a fault, please report it")


def _draw(console: Console, stories: Sequence[Story], path: Path) -> None:
    try:
        from bench.picture import draw
    except ModuleNotFoundError:
        console.print("No picture: matplotlib is not installed (pip install 'howdah[demo]').")
        return
    draw(stories, path)
    console.print(f"Picture: {path}")


if __name__ == "__main__":
    main()
