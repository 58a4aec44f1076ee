"""Every seed of the fuzzers, and every input that once broke something, holds the fuzz targets' claims."""

import importlib
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
SEEDS = sorted(CORPUS.glob("*/*"))

pytest.importorskip("howdah_fuzz", reason="the release build has no fuzz targets")


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}-{seed.name}")
def test_seed_holds_the_claims(seed: Path) -> None:
    importlib.import_module(f"howdah_fuzz.{seed.parent.name}").replay(seed.read_bytes())


def test_every_target_has_seeds() -> None:
    targets = {path.stem for path in (CORPUS.parent / "targets").glob("*.pyx")}
    assert targets == {seed.parent.name for seed in SEEDS}
