"""Go's pgx and lib/pq, as Debian packages them: see workload.go, pgx.go and libpq.go."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.cases import FILE
from tests.clients.programs import stories_of
from tests.kit.story import Both

pytestmark = pytest.mark.all_clients

SOURCES = sorted(Path(__file__).parent.glob("*.go"))
#: Where Debian keeps the sources of Go's libraries.
LIBRARIES = Path("/usr/share/gocode")
STORIES = ("rows", "values", "transactions", "failures", "change", "batches", "copies", "large", "cancel", "pool",
           "lib_pq", "lib_pq_copy")  # fmt: skip


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled workload."""
    program = tmp_path_factory.mktemp("go") / "workload"
    # Go's cache is what makes the second build quick; it is wherever the user has it.
    environment = {"GO111MODULE": "off", "GOPATH": str(LIBRARIES), "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", program, *SOURCES], check=True, env=os.environ | environment)
    return program


@pytest.mark.timeout(300)  # the first build compiles the libraries, too
@pytest.mark.parametrize("story", STORIES)
def test_story(both: Both, program: Path, story: str) -> None:
    for side in both:
        side.tell(program, story, CASES=str(FILE))


def test_no_story_is_left_out(program: Path) -> None:
    assert stories_of([program]) == set(STORIES)
