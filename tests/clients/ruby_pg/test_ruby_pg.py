"""Ruby's pg: see workload.rb."""

import pytest

from tests.clients.programs import FOLDER, stories_of
from tests.kit.story import Both

pytestmark = pytest.mark.all_clients

PROGRAM = ("ruby", FOLDER / "ruby_pg" / "workload.rb")
STORIES = ("rows", "statements", "values", "transactions", "pipeline", "errors", "copies", "rows_one_by_one", "large",
           "cancel")  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_story(both: Both, story: str) -> None:
    for side in both:
        side.tell(*PROGRAM, story)


def test_no_story_is_left_out() -> None:
    assert stories_of(PROGRAM) == set(STORIES)
