"""The pid file: one process at a time, and nothing that is not ours removed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from howdah.control.config.errors import StartError
from howdah.control.process.pidfile import PidFile


def _dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


#: Numbers that no other living process has.
STALE: dict[str, Callable[[], int]] = {"of the dead": _dead_process, "our own": os.getpid, "too large": lambda: 10**30}


def test_it_holds_our_number_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    assert file.claim() == ""
    file.write(None)
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove()
    assert not path.exists()


def test_a_live_process_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(StartError, match="exists, another instance running"):
        PidFile(str(path)).claim()
    assert path.exists()


@pytest.mark.parametrize("text", ["", "abc\n", "0\n", "-1\n"])
def test_a_file_that_names_nobody_is_not_touched(tmp_path: Path, text: str) -> None:
    """Somebody may be writing it."""
    path = tmp_path / "pid"
    path.write_text(text)
    with pytest.raises(StartError, match="another instance running"):
        PidFile(str(path)).claim()


@pytest.mark.parametrize("whose", STALE)
def test_a_stale_one_is_replaced(tmp_path: Path, whose: str) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{STALE[whose]()}\n")
    assert PidFile(str(path)).claim() == "stale pidfile, removing"
    assert not path.exists()


def test_another_ones_is_left_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.write(None)
    (tmp_path / "new").write_text("1\n")
    (tmp_path / "new").rename(path)
    file.remove()
    assert path.read_text() == "1\n"


def test_one_that_was_not_written_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\n")
    PidFile(str(path)).remove()
    assert path.exists()


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="could not open pidfile"):
        PidFile(str(tmp_path / "none" / "pid")).write(None)
