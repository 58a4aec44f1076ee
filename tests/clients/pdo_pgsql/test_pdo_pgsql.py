"""PHP's PDO: see workload.php."""

import pytest

from tests.clients.programs import FOLDER, stories_of
from tests.kit.story import Both

pytestmark = pytest.mark.all_clients

PROGRAM = ("php", FOLDER / "pdo_pgsql" / "workload.php")
STORIES = ("rows", "emulated", "objects", "values", "transactions", "errors", "copies", "cursors", "large")


@pytest.mark.parametrize("story", STORIES)
def test_story(both: Both, story: str) -> None:
    for side in both:
        side.tell(*PROGRAM, story)


def test_no_story_is_left_out() -> None:
    assert stories_of(PROGRAM) == set(STORIES)
