"""Listening sockets on their way from one process to the other: described there, put together again here."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from howdah.control.listen import Endpoints, Listeners, SocketLock, take_unix, tcp_addresses
from howdah.control.succession.doorstep import Doorstep
from howdah.control.succession.letters import Door
from howdah.control.succession.line import LineFault


def describe(
    listeners: Listeners, doorstep: Doorstep, http: Iterable[socket.socket]
) -> tuple[tuple[Door, ...], list[int]]:
    """All of them, and the file descriptor of each."""
    found: list[tuple[Door, int]] = []
    for use, groups in (("tcp", listeners.tcp), ("proxied", listeners.proxied)):
        for number, group in enumerate(groups):
            found += [(Door(use=use, group=number), sock.fileno()) for sock in group]
    for listener in listeners.unix:
        found.append((Door(use="unix", name=listener.name, grouped=listener.grouped), listener.socket.fileno()))
        if listener.lock is not None:
            found.append((Door(use="lock", name=listener.name), listener.lock.fileno()))
    found += [(Door(use="handed"), sock.fileno()) for sock in listeners.handed]
    found += [(Door(use="http"), sock.fileno()) for sock in http]
    found.append((Door(use="doorstep", name=doorstep.name), doorstep.fileno()))
    return tuple(door for door, _ in found), [fd for _, fd in found]


@dataclass(slots=True)
class Taken:
    """What the predecessor listens on.  Nothing of it is ours until `own`."""

    listeners: Listeners
    doorstep: Doorstep
    http: list[socket.socket] = field(default_factory=list)

    def own(self) -> None:
        """The files are ours to remove from now on, and name us."""
        self.listeners.own()
        self.doorstep.ours = True


def put_together(doors: Sequence[Door], fds: Sequence[int], workers: int) -> Taken:
    """LineFault where they do not fit."""
    taken = Taken(Listeners(workers, ours=False), Doorstep(""))
    groups: dict[tuple[str, int], list[socket.socket]] = {}
    try:
        for door, fd in zip(doors, fds, strict=True):
            _put(taken, groups, door, fd)
    except (OSError, ValueError, LookupError) as failure:
        raise LineFault(f"the listening sockets of the other process cannot be taken: {failure}") from None
    taken.listeners.tcp = [group for (use, _), group in groups.items() if use == "tcp"]
    taken.listeners.proxied = [group for (use, _), group in groups.items() if use == "proxied"]
    return taken


def _put(taken: Taken, groups: dict[tuple[str, int], list[socket.socket]], door: Door, fd: int) -> None:
    if door.use == "lock":
        listener = next(one for one in taken.listeners.unix if one.name == door.name)
        listener.lock = SocketLock(Path(door.name), fd)
        return
    if door.use == "doorstep":
        taken.doorstep.name = door.name
        taken.doorstep.take(fd)
        return
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    if door.use in ("tcp", "proxied"):
        groups.setdefault((door.use, door.group), []).append(sock)
    elif door.use == "unix":
        taken.listeners.unix.append(take_unix(sock, door.name, grouped=door.grouped))
    elif door.use == "handed":
        taken.listeners.handed.append(sock)
    else:
        taken.http.append(sock)


def difference(endpoints: Endpoints, listeners: Listeners) -> str:
    """A sentence where the configuration asks for other sockets than there are, else ""."""
    if listeners.handed:
        return ""
    wanted = {place[:2] for address in endpoints.addresses for _, place in tcp_addresses(address, endpoints.port)}
    names = {listener.name for listener in listeners.unix}
    if endpoints.socket_dir:
        names.discard(f"{endpoints.socket_dir.rstrip('/')}/.s.PGSQL.{endpoints.port}")
    if not names and set(listeners.tcp_addresses) <= wanted and bool(listeners.unix) == bool(endpoints.socket_dir):
        return ""
    return (
        "listening where the process before did: other listen_addr, listen_port and unix_socket_dir take effect at the "
        "next start that does not take over"
    )
