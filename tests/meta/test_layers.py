"""Imports go one way: cdefs <- wire, sql <- dataplane <- control <- cli (docs/explain/architecture.md)."""

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, Import, files, imports, module_name, modules

#: Each layer, and which others it may import; itself always.
LAYERS = {
    "cdefs": set[str](),
    "wire": {"cdefs"},
    "sql": {"cdefs"},
    "dataplane": {"cdefs", "wire", "sql"},
    "control": {"dataplane"},
    "cli": {"control"},
}
#: Open to every layer: the table of reasons, and the package with its version.
FOR_ALL = {"howdah", "howdah.reasons"}
#: Bytes that strangers sent are read through these functions alone, in SQL's text too.
ALSO = {("sql", "howdah.wire.bytes")}
#: The data plane's door and the values that go through it: all that control may know of it.
DOOR = {"howdah.dataplane.engine", "howdah.dataplane.plan", "howdah.dataplane.rows"}
#: Inside the data plane, from the bottom up; a module imports only from its own step or below.
STEPS = (
    {"plan", "rows", "hashes", "buffers", "poller", "timers", "certificates", "tls", "conn", "stats"}
    | {"credentials", "access", "texts"},
    {"channels", "handover", "reply_queue", "statements", "session_state", "pool", "routes", "cancels", "turnstile"}
    | {"baggage"},
    {"parties", "client", "server", "mailbox", "welcome", "ears", "pool_terms", "rooms", "upkeep", "pruning"},
    {"opening", "proof", "handshake", "connecting", "server_login", "server_proof", "replication", "relay"}
    | {"recycle", "canceller", "forwarding"}
    | {"asking", "noting", "pinning", "sequences", "settling", "providing", "sql_prepared", "meanings"}
    | {"assignment", "turn", "linking", "preparing", "unnamed", "simple_query", "curing", "deferral", "descriptions"}
    | {"hearing", "listening", "channel_queries", "hub", "hub_channels"}
    | {"suspects", "refusing", "linting", "departing", "arriving"},
    {"listener", "worker", "snapshot", "tallies", "operations", "suspension"},
    {"engine"},
)
RIBS = STEPS[1]
BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handler", "service", "base", "core"}


def layer_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def step_of(module: str) -> int:
    name = module.split(".")[2]
    return next((number for number, names in enumerate(STEPS) if name in names), -1)


def inside_dataplane() -> list[Import]:
    return [
        found
        for found in imports()
        if layer_of(found.importer) == layer_of(found.imported) == "dataplane"
        and found.importer.count(".") >= 2
        and found.imported.count(".") >= 2
    ]


def listed(found: list[Import]) -> str:
    return "\n" + "\n".join(sorted({str(one) for one in found}))


def test_imports_are_found_at_all() -> None:
    assert len(imports()) > 20
    assert {path.suffix for path in files()} == {".py", ".pyi", ".pyx", ".pxd"}


def test_every_module_is_in_a_layer() -> None:
    known = {name for name in modules() if name in FOR_ALL or layer_of(name) in LAYERS or name == "howdah.__main__"}
    assert modules() - known == set()


def test_layers_import_only_from_below() -> None:
    wrong = [
        found
        for found in imports()
        if layer_of(found.importer) in LAYERS
        and found.imported not in FOR_ALL
        and layer_of(found.imported) not in {layer_of(found.importer), *LAYERS[layer_of(found.importer)]}
        and (layer_of(found.importer), found.imported) not in ALSO
    ]
    assert not wrong, listed(wrong)


def test_reasons_import_nothing_of_ours() -> None:
    wrong = [found for found in imports() if found.importer in FOR_ALL]
    assert not wrong, listed(wrong)


def test_control_knows_only_the_data_planes_door() -> None:
    wrong = [
        found
        for found in imports()
        if layer_of(found.importer) == "control"
        and layer_of(found.imported) == "dataplane"
        and found.imported not in DOOR
    ]
    assert not wrong, listed(wrong)


def test_every_module_of_the_data_plane_has_its_step() -> None:
    names = {name.split(".")[2] for name in modules() if name.startswith("howdah.dataplane.")}
    assert names - set().union(*STEPS) == set()


def test_the_data_planes_steps_import_only_from_below() -> None:
    wrong = [found for found in inside_dataplane() if step_of(found.imported) > step_of(found.importer)]
    assert not wrong, listed(wrong)


def test_ribs_do_not_know_each_other() -> None:
    wrong = [
        found
        for found in inside_dataplane()
        if {found.importer.split(".")[2], found.imported.split(".")[2]} <= RIBS and found.importer != found.imported
    ]
    assert not wrong, listed(wrong)


def test_compiled_modules_do_not_import_in_circles() -> None:
    """Cython happens to cope; a reader does not."""
    wrong = [
        found
        for found in imports()
        if any(other.importer == found.imported and other.imported == found.importer for other in imports())
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "tools", "fuzz"])
def test_modules_are_named_for_what_they_are(folder: str) -> None:
    found = [path for suffix in ("py", "pyx", "pxd") for path in (ROOT / folder).rglob(f"*.{suffix}")]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    assert [str(path.relative_to(ROOT)) for path in found if BANNED & set(re.split(r"[_.]", path.stem))] == []


@pytest.mark.parametrize("path", [path for path in files() if path.suffix == ".pyx"], ids=module_name)
def test_a_compiled_module_has_its_declarations(path: Path) -> None:
    text = path.read_text()
    assert path.with_suffix(".pxd").exists() or path.with_suffix(".pyi").exists()
    assert not re.search(r"^\s*(include\s+[\"']|DEF\s+\w|IF\s+\w+.*:$)", text, re.MULTILINE), "no include, DEF or IF"


def test_nogil_functions_say_noexcept() -> None:
    """Otherwise Cython takes the GIL after each call to look for an exception."""
    signature = re.compile(r"^\s*(?:cdef|cpdef)\s[^\n]*\([^\n]*\)[^\n:]*\bnogil\b", re.MULTILINE)
    wrong = [
        f"{path.relative_to(ROOT)}: {found.strip()}"
        for path in files()
        if path.suffix in {".pyx", ".pxd"} and "cdefs" not in path.parts
        for found in signature.findall(path.read_text())
        if "noexcept" not in found
    ]
    assert not wrong, "\n".join(wrong)
