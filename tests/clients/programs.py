"""Workloads in other languages: programs that tell the story they are given, and list all they know when given none."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def stories_of(command: Sequence[str | Path]) -> set[str]:
    """All that this program knows: none may be without its test."""
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
