"""The demo's story, from what was measured to what is shown."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.crowd import Ending, Outcome
from bench.demo import Story, table_of


def stories() -> list[Story]:
    refused = [Ending(Outcome.REFUSED, 3.0, "sorry, too many clients already")] * 30
    direct = Story("direct", 40, [*refused, *[Ending(Outcome.SERVED, 0.4)] * 10], [(0.0, 4), (0.5, 10)], 14.0, 0.0, 10)
    howdah = Story("howdah", 40, [Ending(Outcome.SERVED, 0.5)] * 40, [(0.0, 1), (0.5, 5)], 7.0, 30.0, 40)
    return [direct, howdah]


def test_the_story_counts_who_was_served_and_what_the_others_were_told() -> None:
    direct, howdah = stories()
    assert (direct.served, direct.peak, direct.seconds) == (10, 10, 3.0)
    assert direct.refusal == ("sorry, too many clients already", 30)
    assert howdah.refusal == ("", 0)


def test_the_table_shows_both_sides() -> None:
    written = StringIO()
    Console(width=120, file=written).print(table_of(stories()))
    (line,) = [line for line in written.getvalue().splitlines() if "got an error" in line]
    assert line.replace("│", " ").split()[-2:] == ["30", "0"]


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench.picture import draw

    draw(stories(), tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
