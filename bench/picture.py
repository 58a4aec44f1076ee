"""The demo's picture: two panels, PostgreSQL's backends over time and what became of the clients."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from bench.crowd import Outcome

if TYPE_CHECKING:
    from bench.demo import Story

mpl.use("Agg")
from matplotlib import pyplot as plt

DIRECT, HOWDAH, FAILED, INK, FAINT = "#c8553d", "#1f6f8b", "#d9d4cc", "#22303a", "#8a939a"
COLOURS = {"direct": DIRECT, "howdah": HOWDAH}
LABELS = {"direct": "straight at PostgreSQL", "howdah": "through howdah"}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
}


def draw(stories: Sequence["Story"], path: Path) -> None:
    """Write the picture; on white, so that it reads on a dark page, too."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(11, 5), dpi=160, facecolor="white", gridspec_kw={"width_ratios": [1.25, 1], "wspace": 0.12}
        )
        _backends(left, stories)
        _outcomes(right, stories)
        figure.text(
            0.055, 0.935, f"{stories[0].count:,} clients connect at once to a PostgreSQL that allows 100",
            fontsize=15, fontweight="bold", va="center",
        )  # fmt: skip
        figure.text(0.055, 0.868, "each runs one short transaction and stays connected", color=FAINT, va="center")
        figure.subplots_adjust(left=0.055, right=0.985, top=0.74, bottom=0.125)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def _backends(axes: Any, stories: Sequence["Story"]) -> None:
    axes.set_title("PostgreSQL backend processes", loc="left", fontsize=11.5, color=INK, pad=12)
    end = max(story.seconds for story in stories) * 1.04
    axes.axhline(100, color=FAINT, lw=1, ls=(0, (4, 4)))
    axes.text(end, 102.5, "max_connections", color=FAINT, ha="right", fontsize=9.5)
    for story in stories:
        points = [(at, number) for at, number in story.backends if 0 <= at <= story.seconds]
        last = points[-1][1] if points else 0
        times = [0.0, *(at for at, _ in points), story.seconds]
        numbers = [0, *(number for _, number in points), last]
        colour = COLOURS[story.name]
        axes.fill_between(times, numbers, color="white", lw=0)  # covers what lies behind
        axes.fill_between(times, numbers, color=colour, alpha=0.12, lw=0)
        axes.plot(times, numbers, color=colour, lw=2.4, solid_capstyle="round", clip_on=False)
        axes.plot(times[-1], numbers[-1], "o", color=colour, ms=6)
        axes.annotate(
            _ending(story), (times[-1], numbers[-1]), xytext=_aside(times[-1], end), textcoords="offset points",
            color=colour, fontsize=10, fontweight="bold", va="center", ha="left" if times[-1] < end / 2 else "right",
        )  # fmt: skip
    axes.set_xlim(0, end)
    axes.set_ylim(0, 112)
    axes.set_xlabel("seconds since the clients started")


def _ending(story: "Story") -> str:
    what = "everybody served" if story.served == story.count else "the last client told no"
    return f"{LABELS[story.name]}: {story.peak} backends,\n{what} after {story.seconds:.1f} s"


def _aside(at: float, end: float) -> tuple[int, int]:
    return (10, 0) if at < end / 2 else (-10, -24)


def _outcomes(axes: Any, stories: Sequence["Story"]) -> None:
    axes.set_title("What became of the clients", loc="left", fontsize=11.5, color=INK, pad=12)
    count = stories[0].count
    for row, story in enumerate(stories):
        failed = story.count - story.served
        colour = COLOURS[story.name]
        axes.barh(row, story.served, color=colour, height=0.46)
        axes.barh(row, failed, left=story.served, color=FAILED, height=0.46)
        axes.text(0, row - 0.27, LABELS[story.name], fontsize=10.5, fontweight="bold", color=colour, va="bottom")
        inside = story.served > count * 0.3
        axes.text(
            story.served / 2 if inside else story.served + count * 0.02, row,
            f"{story.served:,} served" + ("" if inside else f", {failed:,} turned away: {_why(story)}"),
            color="white" if inside else INK, ha="center" if inside else "left", va="center", fontsize=10,
        )  # fmt: skip
        axes.text(0, row + 0.28, _memory(story), fontsize=9.5, color=FAINT, va="top")
    axes.set_xlim(0, count)
    axes.set_ylim(len(stories) - 0.42, -0.42)
    axes.set_axis_off()


def _why(story: "Story") -> str:
    refused = story.outcomes[Outcome.REFUSED]
    return "“too many clients”" if refused * 2 > story.count - story.served else "no answer"


def _memory(story: "Story") -> str:
    text = f"{story.backend_mib:,.0f} MiB in backends"
    return f"{text} + {story.pooler_mib:,.0f} MiB in howdah" if story.pooler_mib else text
