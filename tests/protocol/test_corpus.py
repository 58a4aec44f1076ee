"""Every seed of the fuzzers, and every input that once broke something, holds the fuzz targets' claims."""

import importlib
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
SEEDS = sorted((FUZZ / "corpus").glob("*/*"))
COMPILED = {path.stem for path in (FUZZ / "targets").glob("*.pyx")}


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}-{seed.name}")
def test_seed_holds_the_claims(seed: Path) -> None:
    target = seed.parent.name
    if target in COMPILED:
        pytest.importorskip("howdah_fuzz", reason="the release build has no compiled fuzz targets")
        importlib.import_module(f"howdah_fuzz.{target}").replay(seed.read_bytes())
    else:
        importlib.import_module(f"fuzz.python.{target}").check(seed.read_bytes())


def test_every_target_has_seeds() -> None:
    in_python = {path.stem for path in (FUZZ / "python").glob("*.py") if "def check(" in path.read_text()}
    assert COMPILED | in_python == {seed.parent.name for seed in SEEDS}
