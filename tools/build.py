"""Builds the compiled half in one flavour: ``python tools/build.py [release|debug|sanitize|fuzz|thread]``.

The release build goes next to its sources, where the editable install finds it.  Every other flavour gets a package of
its own in ``build/FLAVOUR/lib``: links to the Python files and its own compiled modules, put in front with PYTHONPATH
(``tools/under`` does).  So all flavours can be there at once and a changed Python file never needs a build.
Only what changed is compiled again; a changed ``setup.py`` compiles everything again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where the packages come from; see setup.py.
PACKAGES = {
    "howdah": ROOT / "src" / "howdah",
    "howdah_probe": ROOT / "tests" / "probe",
    "howdah_fuzz": ROOT / "fuzz" / "targets",
}
NOT_LINKED = {".pyx", ".pxd", ".so", ".c", ".pyc"}


def link_python_files(lib: Path) -> None:
    """Make `lib` show the sources' Python files and nothing that is gone from there."""
    for package, source in PACKAGES.items():
        for path in source.rglob("*"):
            if path.is_dir() or path.suffix in NOT_LINKED or "__pycache__" in path.parts:
                continue
            link = lib / package / path.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(path)
    for link in lib.rglob("*"):
        if link.is_symlink() and not link.exists():
            link.unlink()


def drop_orphans(lib: Path) -> None:
    """Remove compiled modules whose source is gone: they would go on being imported."""
    for package, source in PACKAGES.items():
        for module in (lib / package).rglob("*.so"):
            stem = module.name.partition(".")[0]
            if not (source / module.relative_to(lib / package)).with_name(f"{stem}.pyx").exists():
                module.unlink()


def build(flavour: str) -> int:
    folder = ROOT / "build" / flavour
    lib = ROOT / "src" if flavour == "release" else folder / "lib"
    stamp = folder / "stamp"
    command = [sys.executable, "setup.py", "-q", "build_ext", f"--build-temp={folder / 'objects'}"]
    if flavour == "release":
        command += ["--inplace"]
    else:
        link_python_files(lib)
        command += [f"--build-lib={lib}"]
    drop_orphans(lib)
    if stamp.exists() and (ROOT / "setup.py").stat().st_mtime > stamp.stat().st_mtime:
        written = "release" if flavour == "release" else "checked"
        shutil.rmtree(ROOT / "build" / f"cython-{written}", ignore_errors=True)
        command += ["--force"]
    print(f"howdah set-up: compiling what changed, flavour {flavour}", file=sys.stderr, flush=True)
    environment = {**os.environ, "HOWDAH_BUILD": flavour}
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if status == 0:
        folder.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    return status


if __name__ == "__main__":
    sys.exit(build(sys.argv[1] if len(sys.argv) > 1 else "release"))
