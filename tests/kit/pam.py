"""A PAM service with a few users of its own, checked by a script through real modules (pam_exec, pam_succeed_if)."""

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Self

SYSTEM_FOLDER = Path("/etc/pam.d")
MODULES = sorted(Path("/lib").glob("*/security/pam_exec.so")) or sorted(Path("/usr/lib").glob("*/security/pam_exec.so"))
WHY_NOT = "Linux-PAM's modules pam_exec and pam_succeed_if are not installed (Debian's package libpam-modules)"

PASSWORDS = {"alice": "wonderland", "bob": "p ä ss", "locked": "out"}

_SCRIPT = """#!/bin/sh
# The password comes on stdin, ended by a NUL.
echo "$PAM_USER $PAM_RHOST" >> {folder}/asked
password=$(tr -d '\\000')
case "$PAM_USER=$password" in
{cases}
esac
{after}
exit 1
"""
_SERVICE = """
auth required pam_exec.so quiet expose_authtok {folder}/check
account required pam_succeed_if.so quiet user != locked
"""


class PamFolder:
    """A folder of services, for `pam_start_confdir`, or with a service of a random name in the system's own folder."""

    def __init__(self, name: str = "howdah", folder: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="howdah-pam-"))
        self.home.chmod(0o755)
        self.name = name
        self.services = folder or self.home
        self._hanging = self.home / "hang"
        cases = "\n".join(f"'{user}={password}') exit 0;;" for user, password in PASSWORDS.items())
        wait = f"while test -e {self._hanging}; do sleep 0.05; done"
        script = self.home / "check"
        script.write_text(_SCRIPT.format(folder=self.home, cases=cases, after=wait))
        script.chmod(0o755)
        self.write(self.name, _SERVICE.format(folder=self.home))

    @classmethod
    def of_the_system(cls) -> Self:
        """Only root may; to be removed like any other."""
        return cls(f"howdah-test-{uuid.uuid4().hex[:12]}", SYSTEM_FOLDER)

    def write(self, name: str, text: str) -> None:
        """A service of this name."""
        (self.services / name).write_text(text)

    def hang(self) -> None:
        """From now on a wrong password is answered no more, until `go_on`."""
        self._hanging.touch()

    def go_on(self) -> None:
        self._hanging.unlink(missing_ok=True)

    @property
    def asked(self) -> list[str]:
        """User and host of each question so far."""
        log = self.home / "asked"
        return log.read_text().splitlines() if log.exists() else []

    def remove(self) -> None:
        self.go_on()
        (self.services / self.name).unlink(missing_ok=True)
        shutil.rmtree(self.home, ignore_errors=True)
