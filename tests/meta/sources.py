"""What imports what, read from the sources' text: `import` in .py, `import` and `cimport` in .pyx and .pxd."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"

_CYTHON_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|[^\n#]+)", re.MULTILINE)
_CYTHON_PLAIN = re.compile(r"^\s*c?import\s+([\w., ]+)", re.MULTILINE)


@dataclass(frozen=True)
class Import:
    path: Path
    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}: {self.importer} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def files() -> tuple[Path, ...]:
    found = (path for suffix in ("py", "pyi", "pyx", "pxd") for path in SRC.rglob(f"*.{suffix}"))
    return tuple(sorted(path for path in found if "__pycache__" not in path.parts))


@cache
def modules() -> frozenset[str]:
    return frozenset(module_name(path) for path in files())


def _absolute(path: Path, module: str, level: int) -> str:
    if level == 0:
        return module
    package = list(path.relative_to(SRC).parent.parts)
    base = package[: len(package) - (level - 1)]
    return ".".join([*base, module] if module else base)


def _named(module: str, names: list[str]) -> list[str]:
    """`from package import module` names the module; anything else in a `from` names only where it is from."""
    return [f"{module}.{name}" if f"{module}.{name}" in modules() else module for name in names]


def _python_imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node.module or "", node.level)
            found += _named(module, [alias.name for alias in node.names])
    return found


def _cython_imports(path: Path) -> list[str]:
    found = []
    text = re.sub(r"#[^\n]*", "", path.read_text())
    for module, names in _CYTHON_FROM.findall(text):
        level = len(module) - len(module.lstrip("."))
        listed = [name.split()[0] for name in names.strip("() \n").split(",") if name.strip()]
        found += _named(_absolute(path, module.lstrip("."), level), listed)
    for names in _CYTHON_PLAIN.findall(text):
        found += [name.split()[0] for name in names.split(",") if name.strip()]
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one of our modules by another."""
    return tuple(
        Import(path, module_name(path), name)
        for path in files()
        for name in (_python_imports(path) if path.suffix in {".py", ".pyi"} else _cython_imports(path))
        if name.partition(".")[0] == "howdah" and name != module_name(path)
    )
