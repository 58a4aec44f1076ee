"""node-postgres: see workload.js."""

import pytest

from tests.clients.programs import FOLDER, stories_of
from tests.kit.story import Both

pytestmark = pytest.mark.all_clients

PROGRAM = ("node", FOLDER / "node_postgres" / "workload.js")
STORIES = ("rows", "values", "transactions", "errors", "pool", "streams", "copies", "large", "cancel")


@pytest.mark.parametrize("story", STORIES)
def test_story(both: Both, story: str) -> None:
    for side in both:
        side.tell(*PROGRAM, story)


def test_no_story_is_left_out() -> None:
    assert stories_of(PROGRAM) == set(STORIES)
