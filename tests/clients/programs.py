"""Workloads in other languages: programs that tell the story they are given, and list all they know when given none."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.kit.story import Both

FOLDER = Path(__file__).parent


def stories_of(command: Sequence[str | Path]) -> set[str]:
    """All that this program knows: none may be without its test."""
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


class Program:
    """The suite of a program that needs no compiling.  A test for each story: see `pytest_generate_tests`."""

    command: ClassVar[tuple[str | Path, ...]]
    stories: ClassVar[tuple[str, ...]]

    def test_story(self, both: Both, story: str) -> None:
        for side in both:
            side.tell(*self.command, story)

    def test_no_story_is_left_out(self) -> None:
        assert stories_of(self.command) == set(self.stories)
