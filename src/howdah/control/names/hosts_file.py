"""/etc/hosts, which goes before name servers.  Read again when it has changed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from howdah.control.config.addresses import is_ip

PLACE = "/etc/hosts"
#: What it stands for is laid down, whether a file says so or not.
_LOCALHOST = ("127.0.0.1", "::1")


class HostsFile:
    def __init__(self, path: str = PLACE) -> None:
        self._path = Path(path)
        self._state: tuple[int, int, int] | None = None
        self._addresses: Mapping[str, tuple[str, ...]] = {}

    def addresses(self, host: str) -> tuple[str, ...]:
        """In the file's order; empty: not there."""
        self._read_if_changed()
        name = host.lower().rstrip(".")
        found = self._addresses.get(name, ())
        return found or (_LOCALHOST if name == "localhost" or name.endswith(".localhost") else ())

    def _read_if_changed(self) -> None:
        """A file that cannot be read is one without names."""
        try:
            status = self._path.stat()
            state = status.st_ino, status.st_mtime_ns, status.st_size
            if state != self._state:
                self._addresses = _parse(self._path.read_text(errors="replace").splitlines())
                self._state = state
        except OSError:
            self._addresses, self._state = {}, None


def _parse(lines: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if is_ip(address):
            for name in names:
                found[name.lower().rstrip(".")][address] = None
    return {name: tuple(addresses) for name, addresses in found.items()}
