"""docs/explain/one-query.md stays true: what it names exists, and each step is reached from those before it.

The steps are the rows of its table: a number, then a cell whose first `module.function` (below howdah, without the
layer where it is the data plane's) is the function that takes the step; further names in the row only have to exist.
"""

import re
from functools import cache
from pathlib import Path

from tests.meta.sources import ROOT, SRC

TOUR = ROOT / "docs" / "explain" / "one-query.md"
ROW = re.compile(r"^\|\s*(\d+)\s*\|(.+)\|\s*$", re.MULTILINE)
NAME = re.compile(r"`((?:[a-z_]+\.)+[a-z_]+)(?:\(\))?`")


@cache
def source(module: str) -> str:
    """Text of a module: "relay" is the data plane's, "wire.frame" names its layer."""
    base = SRC / "howdah" / module.replace(".", "/")
    tried = [base, SRC / "howdah" / "dataplane" / module.replace(".", "/")]
    texts = [
        Path(f"{path}{suffix}").read_text()
        for path in tried
        for suffix in (".pyx", ".pxd", ".py")
        if Path(f"{path}{suffix}").exists()
    ]
    assert texts, f"one-query.md names the module {module}, which is not there"
    return "\n".join(texts)


def body(module: str, function: str) -> str:
    """The function's text, up to the next line that is not indented."""
    start = rf"^(?:    )?(?:cdef|cpdef|def|async def)\s[^\n=]*?\b{function}\("
    found = re.search(rf"({start}.*?:\s*\n(?:(?:[ \t][^\n]*|\))?\n)*)", source(module), re.MULTILINE | re.DOTALL)
    assert found, f"one-query.md names {module}.{function}, which is not there"
    return found.group(1)


def split(name: str) -> tuple[str, str]:
    module, _, function = name.rpartition(".")
    return module, function


def steps() -> list[tuple[str, str]]:
    rows = [NAME.findall(text) for _, text in ROW.findall(TOUR.read_text())]
    return [split(names[0]) for names in rows if names]


def test_the_rows_are_numbered_and_each_names_a_function() -> None:
    rows = ROW.findall(TOUR.read_text())
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 10
    assert [number for number, text in rows if not NAME.findall(text)] == []


def test_everything_the_tour_names_exists() -> None:
    for name in NAME.findall(TOUR.read_text()):
        module, function = split(name)
        assert re.search(rf"\b{function}\b", source(module)), f"one-query.md names {name}, which is not there"


def test_each_step_is_reached_from_an_earlier_one() -> None:
    order = steps()
    for number, (module, function) in enumerate(order[1:], start=1):
        earlier = order[:number]
        direct = any(re.search(rf"\b{function}\b", body(*step)) for step in earlier)
        nearby = any(re.search(rf"\b{function}\(", source(step[0])) for step in earlier if step[0] != module)
        assert direct or nearby, f"step {number + 1}, {module}.{function}: no earlier step leads there"
