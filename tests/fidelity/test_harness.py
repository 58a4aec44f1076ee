"""What the suite relies on: cases that PostgreSQL answers alike each time, neighbours who do what they are for."""

import itertools

import pytest

from tests.fidelity import soils
from tests.fidelity.case import case, hear, other
from tests.fidelity.cases import CASES
from tests.fidelity.neighbours import SERVERS
from tests.fidelity.not_yet import BY_LUCK, NOT_YET
from tests.fidelity.player import Differs, Transcript, compare
from tests.fidelity.stage import Stage


def test_there_are_enough_cases_and_all_named_exist() -> None:
    assert len(CASES) >= 140
    assert not (NOT_YET | BY_LUCK) - CASES.keys()


@pytest.mark.parametrize("part", range(4))
def test_postgresql_answers_alike_each_time(stage: Stage, part: int) -> None:
    for one in list(CASES.values())[part::4]:
        compare(one, stage.direct(one), stage.direct(one))


def test_soils_are_what_postgresql_takes(stage: Stage) -> None:
    """Twice: who stays does it all again."""
    seen = stage.direct(case("soils", *soils.LEAVING, *soils.STAYING, soils.FAILED, "ROLLBACK", *soils.STAYING))
    errors = [line for lines in seen for line in lines if line.startswith("error")]
    assert len(errors) == 3
    assert all("division by zero" in error for error in errors), errors


def test_each_transaction_runs_on_another_server(stage: Stage) -> None:
    pid = "SELECT pg_backend_pid()"
    seen = stage.through(case("pids", *[pid] * 6, *[step for _ in range(3) for step in (pid, other(pid))]))
    first = [lines[1] for lines in seen[:6]]
    assert all(one != two for one, two in itertools.pairwise(first)), first
    assert all(one != two for one, two in itertools.pairwise(seen[6::2])), seen
    assert all(one != two for one, two in itertools.pairwise(seen[7::2])), seen
    assert all(len(servers) == SERVERS for servers in stage.steps), stage.steps


def test_what_takes_no_server_does_not_count(stage: Stage) -> None:
    seen = stage.through(case("pids", "SELECT pg_backend_pid()", hear(0), "BEGIN", "SELECT pg_backend_pid()"))
    assert seen[0][1] != seen[3][1], seen


def test_the_other_server_is_soiled_during_a_transaction(stage: Stage) -> None:
    stage.through(case("open", "BEGIN; SELECT 1", "SELECT 2", "COMMIT", "SELECT 3"))
    assert [len(servers) for servers in stage.steps] == [2, 1, 1, 2]


@pytest.mark.parametrize("seen", [[["SET"], ["row ['8MB']"]], [["SET"], []], [["SET"], ["row ['7MB']", "SHOW"]]])
def test_any_other_answer_is_a_difference(seen: Transcript) -> None:
    one = case("shown", "SET work_mem = '7MB'", "SHOW work_mem")
    compare(one, [["SET"], ["row ['7MB']"]], [["SET"], ["row ['7MB']"]])
    with pytest.raises(Differs, match="SHOW work_mem"):
        compare(one, [["SET"], ["row ['7MB']"]], seen)
