"""Every setting, console command and table of SHOW has a test of its effect: see `proofs`."""

import ast
from functools import cache

import pytest

from howdah.control.config.schema import DatabaseSettings, GlobalSettings, PeerSettings, UserSettings
from howdah.control.console import commands, operations
from howdah.control.console.show import TABLES
from tests.meta import proofs
from tests.meta.sources import ROOT

VERBS = (set(commands._LOOKING) | set(commands._VERBS) | set(operations.COMMANDS)) - {"SHOW"}
WANTED = {
    "SETTINGS": set(GlobalSettings.model_fields),
    "OF_DATABASES": set(DatabaseSettings.model_fields),
    "OF_USERS": set(UserSettings.model_fields),
    "OF_PEERS": set(PeerSettings.model_fields),
    "COMMANDS": VERBS,
    "TABLES": {table.name for table in TABLES} | {"HELP"},
}


def lines(catalogue: str) -> list[list[str]]:
    return [line.split() for line in getattr(proofs, catalogue).split("\n") if line]


@cache
def those_in(file: str) -> set[str]:
    place = file if "/" in file else f"integration/{file}"
    tree = ast.parse((ROOT / "tests" / f"{place}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("catalogue", WANTED)
def test_each_has_one_line(catalogue: str) -> None:
    names = [name for name, _, _ in lines(catalogue)]
    assert set(names) == WANTED[catalogue]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("catalogue", WANTED)
def test_each_test_is_there(catalogue: str) -> None:
    assert [(name, file, test) for name, file, test in lines(catalogue) if test not in those_in(file)] == []
