"""Listening sockets: opened before the workers start, checked so that no two poolers share one by accident.

TCP: one socket a worker and address, spread by the kernel (SO_REUSEPORT).  Unix: one socket for all workers, with a
lock file beside it as PostgreSQL has it.  The data plane accepts; it never opens or closes what is made here.
"""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from howdah.control.config.errors import StartError

#: sockaddr_un's path holds 108 bytes with the NUL at its end.
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to listen."""

    addresses: tuple[str, ...]  # host names or addresses; "*" is every address; none: no TCP
    port: int
    all_needed: bool  # whether an address this machine does not have is an error
    socket_dir: str  # "" for no Unix socket; "@..." is in the abstract namespace
    socket_mode: int
    socket_group: str  # "" leaves the process's own
    backlog: int
    shared: bool = False  # TCP ports with other processes that share them, too
    proxy_port: int = 0  # a further port for load balancers, at the same addresses; 0: none


@dataclass(slots=True)
class Listeners:
    """The open sockets; `close` removes every trace of them, where they are `ours`."""

    workers: int
    ours: bool = True  # else another process goes on with them, or has not given them away yet
    lent: bool = False  # another process has them, too: nobody may shut them down
    tcp: list[list[socket.socket]] = field(default_factory=list)  # by address, then by worker
    proxied: list[list[socket.socket]] = field(default_factory=list)  # the same, for load balancers
    unix: list["UnixListener"] = field(default_factory=list)
    handed: list[socket.socket] = field(default_factory=list)  # by systemd, whose they stay; all workers share them
    warnings: list[str] = field(default_factory=list)

    @property
    def by_worker(self) -> list[list[int]]:
        """What `Engine` takes: the fds of each worker."""
        shared = [listener.socket.fileno() for listener in self.unix] + [sock.fileno() for sock in self.handed]
        groups = self.tcp + self.proxied
        return [
            [sock.fileno() for group in groups for sock in _share(group, worker, self.workers)] + shared
            for worker in range(self.workers)
        ]

    @property
    def proxied_fds(self) -> list[int]:
        """The fds whose connections begin with a PROXY header."""
        return [sock.fileno() for group in self.proxied for sock in group]

    @property
    def lent_fds(self) -> list[int]:
        """Those that systemd handed us."""
        return [sock.fileno() for sock in self.handed]

    @property
    def tcp_addresses(self) -> list[tuple[str, int]]:
        """Host and port of each TCP listener, as bound."""
        handed = [sock.getsockname()[:2] for sock in self.handed if sock.family != socket.AF_UNIX]
        return _addresses(self.tcp) + handed

    @property
    def names(self) -> list[str]:
        """For people: "127.0.0.1:6432", "[::1]:6432", "127.0.0.1:6433 (PROXY)", "/tmp/.s.PGSQL.6432"."""
        tcp = [_name(*address) for address in self.tcp_addresses]
        proxied = [f"{_name(*address)} (PROXY)" for address in _addresses(self.proxied)]
        handed = [_path_of(sock) for sock in self.handed if sock.family == socket.AF_UNIX]
        return tcp + proxied + [listener.name for listener in self.unix] + handed

    def give_to(self, uid: int, gid: int) -> None:
        """The files of Unix sockets: who we are to become must be able to remove them."""
        for listener in self.unix:
            listener.give_to(uid, gid)

    def sockets(self) -> list[tuple[int, str, int]]:
        """Fd, address and port of each; "unix" is the address of a Unix socket, whose port its name ends with."""
        tcp = [sock for group in self.tcp + self.proxied for sock in group]
        unix = [(listener.socket.fileno(), "unix", int(listener.name.rpartition(".")[2])) for listener in self.unix]
        return [(sock.fileno(), *sock.getsockname()[:2]) for sock in tcp] + unix

    def refuse(self) -> None:
        """Turn newcomers away at once; the sockets stay open until `close`, so no fd number is used anew.

        Not over Unix sockets: an administrator may want to look.  Those that systemd handed us stay as they are, too:
        whoever comes waits there for the next process.
        """
        if self.lent or not self.ours:
            return
        for sock in (sock for group in self.tcp + self.proxied for sock in group):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def own(self) -> None:
        """They are ours from now on, and so are their files."""
        self.ours = True
        for listener in self.unix:
            listener.own()

    def close(self) -> None:
        for sock in (*self._sockets(), *self.handed):
            sock.close()
        for listener in self.unix:
            if self.ours:
                listener.remove()
            else:
                listener.leave()
        self.tcp.clear()
        self.proxied.clear()
        self.unix.clear()
        self.handed.clear()

    def _sockets(self) -> list[socket.socket]:
        tcp = [sock for group in self.tcp + self.proxied for sock in group]
        return tcp + [listener.socket for listener in self.unix]


def _share(group: list[socket.socket], worker: int, workers: int) -> list[socket.socket]:
    """Of one address, for one worker: one socket each, unless there are more of these or of those."""
    return group[worker::workers] or [group[worker % len(group)]]


def _addresses(groups: list[list[socket.socket]]) -> list[tuple[str, int]]:
    return [group[0].getsockname()[:2] for group in groups]


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _path_of(sock: socket.socket) -> str:
    name = sock.getsockname()
    return "@" + name[1:].decode(errors="replace") if isinstance(name, bytes) else str(name)


def open_listeners(endpoints: Endpoints, workers: int, handed: Sequence[socket.socket] = ()) -> Listeners:
    """All of them, or StartError and none.  Where some are handed to us, they are all there is."""
    listeners = Listeners(workers, handed=list(handed))
    if handed:
        return listeners
    try:
        for address in endpoints.addresses:
            _open_tcp(listeners, listeners.tcp, address, endpoints.port, endpoints)
            if endpoints.proxy_port:
                _open_tcp(listeners, listeners.proxied, address, endpoints.proxy_port, endpoints)
        if endpoints.socket_dir:
            listeners.unix.append(_open_unix(endpoints))
    except BaseException:
        listeners.close()
        raise
    if not listeners.tcp and not listeners.unix:
        raise StartError("nowhere to listen: set listen_addr, unix_socket_dir or both")
    return listeners


# --- TCP


def _open_tcp(
    listeners: Listeners, groups: list[list[socket.socket]], address: str, port: int, endpoints: Endpoints
) -> None:
    """One name can be several addresses; those this machine does not have are left out as long as one is there."""
    missing = ""
    opened = 0
    for family, sockaddr in tcp_addresses(address, port):
        try:
            groups.append(_tcp_group(family, sockaddr, listeners.workers, endpoints))
            opened += 1
        except _NotHere as failure:
            missing = str(failure)
    if missing and not opened and endpoints.all_needed:
        raise StartError(missing)
    if missing and opened and address != "*":
        listeners.warnings.append(missing)


class _NotHere(Exception):
    """The machine has no such address or no such family."""


def tcp_addresses(
    address: str, port: int, setting: str = "listen_addr"
) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    if address == "*":
        return [(socket.AF_INET, ("0.0.0.0", port)), (socket.AF_INET6, ("::", port))]
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as failure:
        raise StartError(f"{setting}: cannot resolve {address!r}: {_sentence(failure)}") from None
    unique = dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found)
    return list(unique)  # type: ignore[arg-type]  # sockaddr is the family's own tuple


def _tcp_group(
    family: socket.AddressFamily, sockaddr: tuple[str, int], workers: int, endpoints: Endpoints
) -> list[socket.socket]:
    group: list[socket.socket] = []
    name = _name(*sockaddr[:2])
    try:
        for worker in range(workers):
            if worker == 1:
                sockaddr = group[0].getsockname()  # port 0: the others take the one the kernel chose
            group.append(tcp_socket(family, sockaddr, alone=worker == 0 and not endpoints.shared))
        for sock in group:
            sock.listen(endpoints.backlog)
    except OSError as failure:
        for sock in group:
            sock.close()
        if failure.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise _NotHere(f"cannot listen on {name}: this machine has no such address; see listen_addr") from None
        raise StartError(f"cannot listen on {name}: {_why_not(failure)}") from None
    return group


def tcp_socket(family: socket.AddressFamily, sockaddr: tuple[str, int], *, alone: bool) -> socket.socket:
    """A bound socket.

    The first is bound `alone`: with SO_REUSEPORT the kernel would let two poolers share the port unasked.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no obstacle
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if not alone:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(sockaddr)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _why_not(failure: OSError) -> str:
    if failure.errno == errno.EADDRINUSE:
        return "the port is in use by another program; stop that one, or set listen_port (or --listen) to another port"
    if failure.errno in (errno.EACCES, errno.EPERM):
        return "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE"
    return _sentence(failure)


def _sentence(failure: Exception) -> str:
    return (failure.strerror if isinstance(failure, OSError) else None) or str(failure)


# --- Unix


@dataclass(slots=True)
class UnixListener:
    socket: socket.socket
    name: str  # the path; abstract ones with "@" in front
    path: Path | None = None
    inode: int = 0
    grouped: bool = False  # its group has been chosen
    lock: "SocketLock | None" = None

    def own(self) -> None:
        """It is ours from now on."""
        if self.lock is not None:
            self.lock.claim()

    def give_to(self, uid: int, gid: int) -> None:
        if self.path is not None:
            # Whoever may write to the folder may have put a link in its place.
            os.chown(self.path, uid, -1 if self.grouped else gid, follow_symlinks=False)
        if self.lock is not None:
            self.lock.give_to(uid, gid)

    def leave(self) -> None:
        """Another process has it."""
        if self.lock is not None:
            self.lock.leave()

    def remove(self) -> None:
        """Remove the socket file, unless somebody has put another in its place, and give the lock back."""
        if self.path is not None and inode_of(self.path) == self.inode:
            self.path.unlink(missing_ok=True)
        if self.lock is not None:
            self.lock.release()


def take_unix(sock: socket.socket, name: str, *, grouped: bool) -> UnixListener:
    """One that another process has opened."""
    path = None if name.startswith("@") else Path(name)
    return UnixListener(sock, name, path, inode_of(path) if path is not None else 0, grouped)


def _open_unix(endpoints: Endpoints) -> UnixListener:
    name = f"{endpoints.socket_dir.rstrip('/')}/.s.PGSQL.{endpoints.port}"
    if len(os.fsencode(name)) > LONGEST_SOCKET_PATH:
        raise StartError(
            f"unix_socket_dir: {name} is longer than the {LONGEST_SOCKET_PATH} bytes a Unix socket may have; "
            "choose a directory with a shorter path"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    listener = UnixListener(sock, name)
    try:
        if name.startswith("@"):
            sock.bind("\0" + name[1:])
        else:
            _bind_file(listener, Path(name), endpoints)
        sock.listen(endpoints.backlog)
    except OSError as failure:
        _give_up(listener)
        raise StartError(_unix_failure(listener.name, failure)) from None
    except BaseException:
        _give_up(listener)
        raise
    return listener


def _give_up(listener: UnixListener) -> None:
    listener.socket.close()
    listener.remove()


def _bind_file(listener: UnixListener, path: Path, endpoints: Endpoints) -> None:
    _check_directory(path.parent)
    listener.lock = SocketLock(path)
    _remove_stale(path)
    listener.lock.claim()
    # The right permissions from the first moment, and little time between bind and listen: scripts wait for the file.
    umask = os.umask(0o777 & ~endpoints.socket_mode)
    try:
        listener.socket.bind(str(path))
    finally:
        os.umask(umask)
    listener.path, listener.inode = path, inode_of(path)
    if endpoints.socket_group:
        _change_group(path, endpoints.socket_group)
        listener.grouped = True


def _check_directory(directory: Path) -> None:
    if not directory.exists():
        raise StartError(
            f"unix_socket_dir: directory {directory} does not exist; create it, choose another, "
            'or set unix_socket_dir = "" to listen on TCP only'
        )
    if not directory.is_dir():
        raise StartError(f"unix_socket_dir: {directory} is not a directory")


def _change_group(path: Path, name: str) -> None:
    try:
        group = int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise StartError(f"unix_socket_group: there is no group {name!r}") from None
    try:
        os.chown(path, -1, group, follow_symlinks=False)
    except PermissionError:
        raise StartError(
            f"unix_socket_group: not allowed to give {path} to group {name!r}; run howdah as a member of it"
        ) from None


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that is gone; refuse when somebody listens on it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(f"cannot listen on {path}: the file exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its queue is full: somebody does listen
    raise StartError(
        f"cannot listen on {path}: another program is listening there; "
        "stop that one, or set listen_port or unix_socket_dir to another"
    )


def _unix_failure(name: str, failure: OSError) -> str:
    if failure.errno == errno.EADDRINUSE:
        return f"cannot listen on {name}: another program is listening there; stop that one, or set another listen_port"
    if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"cannot listen on {name}: {_sentence(failure)}; make the directory writable for the user howdah "
            "runs as, or set unix_socket_dir to another"
        )
    return f"cannot listen on {name}: {_sentence(failure)}"


def inode_of(path: Path) -> int:
    """0: there is none."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return 0


class SocketLock:
    """`<socket>.lock`, held with flock as long as the process lives.

    Name and first line, the process id, are as PostgreSQL has them, so that PostgreSQL on the same socket notices us.
    """

    def __init__(self, socket_path: Path, fd: int | None = None) -> None:
        """With `fd` it is one that another process holds: it is held as long as one of both has it open."""
        self._path = Path(f"{socket_path}.lock")
        self._claimed = False
        self._fd = self._open() if fd is None else fd

    def _open(self) -> int:
        while True:
            try:
                fd = self._open_or_create()
            except FileExistsError:
                continue  # somebody made it between the two attempts
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 20, 0).split(b"\n")[0].decode(errors="replace") or "?"
                os.close(fd)
                socket_path = str(self._path).removesuffix(".lock")
                raise StartError(
                    f"cannot listen on {socket_path}: another howdah (process {holder}) has it; "
                    "stop that one, or set listen_port or unix_socket_dir to another"
                ) from None
            if os.fstat(fd).st_ino == inode_of(self._path):
                return fd
            os.close(fd)  # its owner removed it between our open and our lock: take the new one

    def _open_or_create(self) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags)
        except FileNotFoundError:
            return os.open(self._path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except PermissionError:
            raise StartError(
                f"cannot listen: the lock file {self._path} belongs to another user; "
                "stop that user's server, or set listen_port or unix_socket_dir to another"
            ) from None

    def claim(self) -> None:
        """Write our name into it; until then it may be a lock file of PostgreSQL's that must stay as it is."""
        self._claimed = True
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def give_to(self, uid: int, gid: int) -> None:
        os.fchown(self._fd, uid, gid)

    def fileno(self) -> int:
        return self._fd

    def leave(self) -> None:
        os.close(self._fd)

    def release(self) -> None:
        if self._claimed:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
