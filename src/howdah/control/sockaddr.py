"""Socket addresses as the C structs of Linux: what the data plane connects to without further thought."""

import ipaddress
import socket
import struct

from howdah.dataplane.plan import Address

#: sockaddr_un's path holds 108 bytes; a path in the file system ends with a NUL among them.
LONGEST_SOCKET_PATH = 107

_IN = struct.Struct("=H2s4s8x")  # sin_family, sin_port, sin_addr, padding
_IN6 = struct.Struct("=H2s4s16sI")  # sin6_family, sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id


def unix_socket_path(directory: str, port: int) -> str:
    """PostgreSQL's name for the socket in `directory`; with a leading "@" it is in the abstract namespace."""
    return f"{directory.rstrip('/')}/.s.PGSQL.{port}"


def unix_address(directory: str, port: int) -> Address:
    """The Unix socket in `directory`.  ValueError when the name is too long for a socket."""
    name = unix_socket_path(directory, port)
    path = name.encode("utf-8", "surrogateescape")
    if len(path) > LONGEST_SOCKET_PATH:
        raise ValueError(f"{name} is longer than the {LONGEST_SOCKET_PATH} bytes a Unix socket's name may have")
    # An abstract name starts with a NUL and ends where the length says; a path ends with a NUL.
    body = b"\0" + path[1:] if path.startswith(b"@") else path + b"\0"
    return Address(struct.pack("=H", socket.AF_UNIX) + body, f"unix:{name}")


def ip_address(host: str, port: int) -> Address:
    """A numeric IPv4 or IPv6 address.  ValueError when `host` is neither, or names a zone that is not there."""
    ip = ipaddress.ip_address(host)
    port_bytes = port.to_bytes(2, "big")
    if isinstance(ip, ipaddress.IPv4Address):
        return Address(_IN.pack(socket.AF_INET, port_bytes, ip.packed), f"{host}:{port}")
    return Address(
        _IN6.pack(socket.AF_INET6, port_bytes, bytes(4), ip.packed, _scope_id(ip.scope_id)), f"[{host}]:{port}"
    )


def _scope_id(zone: str | None) -> int:
    if zone is None:
        return 0
    if zone.isdecimal():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise ValueError(f"this machine has no network interface {zone!r}") from None
