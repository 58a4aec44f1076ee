"""The files beside the configuration (users, rules, certificates) as they were when they were read.

A hash of what was read is kept, so that `watch` can tell whether anything has become different since.
"""

import errno
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from howdah.control.config.errors import Problem

#: More is no list of users and no certificate, and must not fill the memory.
LARGEST_FILE = 64 << 20


def fingerprint(path: str) -> bytes | None:
    """A hash of what the file holds; None when it cannot be read."""
    try:
        return hashlib.sha256(_read(path)).digest()
    except OSError:
        return None


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE >> 20} MiB")
    return data


@dataclass(slots=True)
class InputFiles:
    """Reads files, each once, and collects what is wrong with them."""

    fingerprints: dict[str, bytes | None] = field(default_factory=dict)  # by path
    problems: list[Problem] = field(default_factory=list)

    def text(self, path: str) -> str:
        """UTF-8, with bytes that are none as lone surrogates.  Raises OSError."""
        return self._raw(path).decode("utf-8", "surrogateescape").removeprefix("\ufeff")

    def text_for(self, setting: str, path: str) -> str | None:
        """What the file that `setting` names holds; None, and a problem, when it cannot be read."""
        try:
            return self.text(path)
        except OSError as failure:
            self._cannot_read(setting, path, failure)
            return None

    def bytes_for(self, setting: str, path: str) -> bytes:
        """The same as bytes; without a path there are none, and a file without any is at fault."""
        if not path:
            return b""
        try:
            data = self._raw(path)
        except OSError as failure:
            self._cannot_read(setting, path, failure)
            return b""
        if not data.strip():
            self.problems.append(Problem(path, "", "is empty", f"{setting} names it"))
        return data

    def _raw(self, path: str) -> bytes:
        self.fingerprints[path] = None
        data = _read(path)
        self.fingerprints[path] = hashlib.sha256(data).digest()
        return data

    def _cannot_read(self, setting: str, path: str, failure: OSError) -> None:
        advice = f"{setting} names it: check the name and the permissions"
        self.problems.append(Problem(path, "", f"cannot be read: {failure.strerror}", advice))
