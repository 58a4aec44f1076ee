"""Addresses to listen on: what may be written, and which of them strangers can reach."""

import functools
import ipaddress
import re

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*\.?")


@functools.lru_cache(maxsize=4096)  # thousands of databases have a few hosts between them
def is_ip(host: str) -> bool:
    """Whether `host` is a numeric address, an IPv6 one with or without zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_host_name(host: str) -> bool:
    """Whether `host` could be a name to look up; 300.1.2.3 is a mistyped address, not a name."""
    return bool(_HOST_NAME.fullmatch(host)) and not re.fullmatch(r"[0-9.]+", host)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach `address`.  Any name but localhost may resolve to anything."""
    if is_ip(address):
        ip = ipaddress.ip_address(address)
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return (mapped or ip).is_loopback
    return address == "localhost"


def server_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what PostgreSQL cannot be at: anything but addresses, names and socket directories."""
    bare = tuple(h[1:-1] if h.startswith("[") and h.endswith("]") else h for h in hosts)
    for host in bare:
        if not host.startswith(("/", "@")) and not is_ip(host) and not is_host_name(host):
            raise ValueError(_host_advice(host))
    return bare


def listen_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what cannot be listened on; `[::1]` is read as `::1`."""
    bare = tuple(a[1:-1] if a.startswith("[") and a.endswith("]") else a for a in addresses)
    for address in bare:
        if address != "*" and not is_ip(address) and not is_host_name(address):
            raise ValueError(_advice(address))
    return tuple(dict.fromkeys(bare))


def _host_advice(host: str) -> str:
    if "://" in host:
        return f"{host.partition('://')[0]}://... is a URL; write its parts as host, port, user and dbname"
    if port := _port_of(host):
        return f"{host!r} holds a port; write it as port = {port}"
    return f"{host!r} is neither a host name nor an IP address nor a socket directory (/...)"


def _port_of(address: str) -> str:
    head, _, port = address.rpartition(":")
    return port if head and port.isdigit() else ""


def _advice(address: str) -> str:
    if address.startswith(("/", "@")):
        return f"{address!r} is a directory; Unix sockets are set by unix_socket_dir"
    if port := _port_of(address):
        return f"{address!r} holds a port; write it as listen_port = {port}"
    return f"{address!r} is neither an IP address nor a host name nor *"
