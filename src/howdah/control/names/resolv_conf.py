"""A file in the form of /etc/resolv.conf: name servers, search domains and options.  Read again when it has changed.

dnspython reads it.  Here is what that does not know: ports of name servers (`127.0.0.1:5353`, `[::1]:5353`), and that
lines which say nothing sensible are passed over, as C libraries do.
"""

import io
from pathlib import Path

import dns.asyncresolver

from howdah.control.config.addresses import is_ip

#: Where C libraries ask when a file names nobody.
_NOBODY_NAMED = "127.0.0.1"
#: For one question, over all name servers and tries.
LIFETIME_S = 10.0


class ResolvConf:
    def __init__(self, path: str) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._resolver = dns.asyncresolver.Resolver(configure=False)

    def resolver(self) -> dns.asyncresolver.Resolver:
        """What the file says now.  OSError when it cannot be read."""
        status = Path(self.path).stat()
        state = status.st_ino, status.st_mtime_ns, status.st_size
        if state != self._state:
            self._resolver = read(Path(self.path).read_text(errors="replace"))
            self._state = state
        return self._resolver


def read(text: str) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    servers: list[tuple[str, int | None]] = []
    rest: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"]:
            servers += filter(None, (_server(word) for word in words[1:2]))
        else:
            rest.append(line)
    servers = servers or [(_NOBODY_NAMED, None)]
    rest += [f"nameserver {address}" for address, _ in servers]
    resolver.read_resolv_conf(io.StringIO("\n".join(rest)))
    resolver.nameserver_ports = {address: port for address, port in servers if port is not None}
    resolver.lifetime = LIFETIME_S
    return resolver


def _server(word: str) -> tuple[str, int | None] | None:
    """Address and port; None: this is none."""
    if is_ip(word):
        return word, None
    address, colon, port = word.rpartition(":")
    address = address.removeprefix("[").removesuffix("]")
    if colon and is_ip(address) and port.isdecimal() and 0 < int(port) < 65536:
        return address, int(port)
    return None
