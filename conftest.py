"""Says what a run of the tests was doing when it died.

Compiled code can take the whole interpreter with it, and pytest then ends without a word.  Each process notes the test
it is in; notes of processes that are gone without having taken them back are shown at the start of the next run.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline for an example: under sanitizers, or beside other work, the first ones take long.
settings.register_profile("howdah", deadline=None, print_blob=True)
settings.load_profile("howdah")

_NOTES = Path(__file__).parent / ".pytest_cache" / "running"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _note() -> Path:
    return _NOTES / str(os.getpid())


def _take_notes_of_the_dead() -> list[str]:
    found = []
    for note in sorted(_NOTES.glob("[0-9]*")):
        if not _alive(int(note.name)):
            found.append(note.read_text() or "(before its first test)")
            note.unlink(missing_ok=True)
    return found


def pytest_report_header() -> list[str]:
    if not _NOTES.is_dir():
        return []
    return [f"AN EARLIER RUN DIED in {test} (crash or kill)" for test in _take_notes_of_the_dead()]


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    _NOTES.mkdir(parents=True, exist_ok=True)
    _note().write_text("")


def pytest_runtest_logstart(nodeid: str) -> None:
    if _note().exists():
        _note().write_text(nodeid)


def pytest_sessionfinish() -> None:
    _note().unlink(missing_ok=True)
