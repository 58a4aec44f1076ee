"""Which user of the operating system to be: found before the start, become when all that needs root is done."""

import contextlib
import importlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass

from howdah.control.config.errors import StartError

#: Loaded when they are first needed, by which time the user may not be able to read where Python is installed.
_NEEDED_LATER = (
    "howdah.control.console.query",
    "howdah.control.metrics.site",
    "howdah.control.names.name_servers",
    "ldap",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """For a while, and with its rights alone: for paths that this user may have a hand in."""
        group, groups = os.getegid(), os.getgroups()
        os.initgroups(self.name, self.gid)
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)

    def become(self) -> None:
        """For good: its groups, then its group, then itself; all threads change with the one that calls."""
        for module in _NEEDED_LATER:
            with contextlib.suppress(ImportError):  # one that is not installed
                importlib.import_module(module)
        try:
            os.initgroups(self.name, self.gid)
            os.setgid(self.gid)
            os.setuid(self.uid)
        except OSError as failure:
            raise StartError(f"failed to assume identity of user '{self.name}': {failure.strerror}") from None


def find_identity(name: str) -> Identity | None:
    """The user to become; None: we are to stay who we are.  StartError where that cannot be."""
    if not name:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise StartError(f"could not find user '{name}' to switch to") from None
    if entry.pw_uid == os.geteuid() != 0:
        return None
    if os.geteuid() != 0:
        raise StartError(f"failed to assume identity of user '{name}': only root can; we are uid {os.geteuid()}")
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
