"""A client cannot tell howdah in transaction mode from PostgreSQL: see `tests.fidelity`."""

import pytest

from tests.fidelity.case import Case
from tests.fidelity.cases import CASES
from tests.fidelity.not_yet import BY_LUCK, NOT_YET
from tests.fidelity.player import Differs
from tests.fidelity.stage import Stage


def _marked(name: str, case: Case) -> object:
    is_open = name in NOT_YET | BY_LUCK
    fails = pytest.mark.xfail(reason="does not follow its client yet", raises=Differs, strict=name in NOT_YET)
    return pytest.param(case, id=name, marks=[fails] if is_open else [])


@pytest.mark.parametrize("case", [_marked(name, case) for name, case in CASES.items()])
def test_a_client_sees_what_postgresql_shows(stage: Stage, case: Case) -> None:
    stage.check(case)
