"""The lock file pins what pyproject.toml asks for, and holds no address."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from tests.meta.sources import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


def locked_versions() -> dict[str, set[Version]]:
    found: dict[str, set[Version]] = {}
    for name, version in PINNED.findall(LOCK):
        found.setdefault(name, set()).add(Version(version))
    return found


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != project["name"]]


def test_every_dependency_is_locked_at_a_version_it_allows() -> None:
    locked = locked_versions()
    for requirement in wanted():
        versions = locked.get(re.sub(r"[-_.]+", "-", requirement.name).lower(), set())
        assert versions, f"{requirement.name} is not in requirements.lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_every_pin_has_hashes() -> None:
    blocks = re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 20
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_names_no_host() -> None:
    assert not re.search(r"://|--index|--find-links|--trusted-host", LOCK)
