"""pgjdbc: see Workload.java."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.cases import FILE
from tests.clients.programs import stories_of
from tests.kit.story import Both

pytestmark = pytest.mark.all_clients

DRIVER = Path("/usr/share/java/postgresql.jar")
SOURCE = Path(__file__).with_name("Workload.java")
STORIES = ("rows", "values", "transactions", "errors", "change", "batches", "cursors", "copies", "large", "cancel",
           "threads")  # fmt: skip
#: Two ways of it: each statement prepared at once, and as it comes.
OPTIONS = {"prepared at once": "prepareThreshold=1", "as it comes": "prepareThreshold=5"}


Command = tuple[str, ...]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The compiled workload."""
    classes = tmp_path_factory.mktemp("pgjdbc")
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-cp", DRIVER, "-d", classes, SOURCE], check=True)
    return ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{classes}:{DRIVER}", "Workload")


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("story", STORIES)
def test_story(both: Both, program: Command, story: str, options: str) -> None:
    for side in both:
        side.tell(*program, story, DRIVER_OPTIONS=OPTIONS[options], CASES=str(FILE))


def test_no_story_is_left_out(program: Command) -> None:
    assert stories_of(program) == set(STORIES)
