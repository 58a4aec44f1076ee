"""Logging in at PostgreSQL from the control plane, through libpq: for auth_query, and to try a password.

libpq would also go by the process's environment, ~/.pgpass and ~/.postgresql; all that it could take from there is
given here, so that only howdah's own configuration counts.  Nothing blocks: addresses are the plan's, resolved.

psycopg's `connect` does not tell the SQLSTATE of a refused login, which is what `try_password` is about.  libpq puts it
into its message when asked to be verbose; psycopg has no call for that, so ctypes makes it.
"""

import asyncio
import contextlib
import ctypes
import functools
import ipaddress
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.dataplane.plan import Address, TlsMode, TlsPlan

#: libpq looks into the home directory for files that are not named; there is nothing by this name.
_NO_FILE = "/dev/null/none"
#: The authorities of the operating system, in one file: Debian's and its like, Red Hat's, SUSE's, Alpine's.
_SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_VERSIONS = {"tlsv1.0": "TLSv1", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3"}
_PASSWORD_METHODS = "password,md5,scram-sha-256"  # noqa: S105  names of methods
_PQERRORS_VERBOSE = 2
_ERROR = re.compile(r"\b\w+:  ([0-9A-Z]{5}): (.*)")


@dataclass(frozen=True, slots=True)
class Place:
    """One database of PostgreSQL, and how to get there."""

    dbname: str
    addresses: tuple[Address, ...]
    tls: TlsPlan
    timeout_s: float  # for connecting and logging in


class Refused(Exception):
    """PostgreSQL could not be reached, or did not let us in; the text is for people."""

    def __init__(self, text: str, sqlstates: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.sqlstates = sqlstates  # of each refusal: there are two where TLS was tried first, then plain text


async def try_password(place: Place, user: str, password: bytes) -> None:
    """Log in with a password and leave again.  Raises Refused, also when PostgreSQL did not want any password."""
    with parameters(place, user, password) as given:
        # Where PostgreSQL trusts us, whoever they are, the login says nothing about the password.
        text = _conninfo(given | {"require_auth": _PASSWORD_METHODS, "application_name": "howdah password_passthrough"})
        try:
            async with asyncio.timeout(place.timeout_s):
                await _log_in(text)
        except TimeoutError:
            raise Refused(f"no answer within {place.timeout_s:g} s") from None


@contextlib.contextmanager
def parameters(place: Place, user: str, password: bytes | None) -> Iterator[dict[str, str]]:
    """What libpq is told; to be used up inside the `with`, for that long there are files to read."""
    hosts = [_host(address) for address in place.addresses]
    given = {
        "host": ",".join(name for name, _, _ in hosts),
        "hostaddr": ",".join(number for _, number, _ in hosts),
        "port": ",".join(port for _, _, port in hosts),
        "dbname": place.dbname,
        "user": user,
        "password": (password or b"").decode("utf-8", "surrogateescape"),
        "passfile": _NO_FILE,
        "client_encoding": "UTF8",
        "options": "",
        "gssencmode": "disable",
        "target_session_attrs": "any",
        "channel_binding": "prefer",
        "connect_timeout": str(max(2, round(place.timeout_s))),
    }
    with _tls_parameters(place.tls) as more:
        yield given | more


def _host(address: Address) -> tuple[str, str, str]:
    """An address as libpq has it: name or folder of the socket, number, port."""
    packed = address.packed
    family = int.from_bytes(packed[:2], sys.byteorder)
    if family == socket.AF_UNIX:
        body = packed[2:]
        path = b"@" + body[1:] if body.startswith(b"\0") else body.removesuffix(b"\0")
        folder, _, port = os.fsdecode(path).rpartition("/.s.PGSQL.")
        return folder or "/", "", port
    port = str(int.from_bytes(packed[2:4], "big"))
    if family == socket.AF_INET:
        number = str(ipaddress.IPv4Address(packed[4:8]))
    else:
        zone = int.from_bytes(packed[24:28], sys.byteorder)
        number = str(ipaddress.IPv6Address(packed[8:24])) + (f"%{zone}" if zone else "")
    return address.host or number, number, port


@contextlib.contextmanager
def _tls_parameters(tls: TlsPlan) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as files:
        given = {
            "sslmode": tls.mode.name.lower().replace("_", "-"),
            "sslcert": _file(files, tls.certificate),
            "sslkey": _file(files, tls.key),
            "sslrootcert": _authorities(files, tls),
            "sslcrl": _NO_FILE,
        }
        if tls.protocols:
            given["ssl_min_protocol_version"] = _VERSIONS[tls.protocols[0]]
            given["ssl_max_protocol_version"] = _VERSIONS[tls.protocols[-1]]
        if tls.direct:
            given["sslnegotiation"] = "direct"
        yield given


def _authorities(files: contextlib.ExitStack, tls: TlsPlan) -> str:
    if tls.mode < TlsMode.VERIFY_CA:
        return _NO_FILE  # with one, libpq would check certificates although nobody asked for it
    if tls.ca:
        return _file(files, tls.ca)
    found = (ssl.get_default_verify_paths().cafile, *_SYSTEM_AUTHORITIES)
    return next((path for path in found if path and Path(path).exists()), _NO_FILE)


def _file(files: contextlib.ExitStack, text: bytes) -> str:
    """A file of this content, in memory, since libpq reads files only: what the plan holds may differ from the disk."""
    if not text:
        return _NO_FILE
    fd = os.memfd_create("howdah-tls", os.MFD_CLOEXEC)
    files.callback(os.close, fd)
    os.fchmod(fd, 0o600)  # libpq refuses keys that others may read
    with open(fd, "wb", closefd=False) as file:
        file.write(text)
    return f"/proc/self/fd/{fd}"


def _conninfo(given: Mapping[str, str]) -> bytes:
    pairs = (f"{name}='{_escaped(value)}'" for name, value in given.items())
    return " ".join(pairs).encode("utf-8", "surrogateescape")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


async def _log_in(conninfo: bytes) -> None:
    from psycopg import pq

    connection = pq.PGconn.connect_start(conninfo)
    try:
        _be_verbose(connection)
        while connection.status != pq.ConnStatus.BAD:
            status = connection.connect_poll()
            if status == pq.PollingStatus.OK:
                return
            if status == pq.PollingStatus.FAILED:
                break
            await _ready(connection.socket, to_write=status == pq.PollingStatus.WRITING)
        raise _refusal(connection.error_message.decode("utf-8", "replace"))
    finally:
        connection.finish()


async def _ready(fd: int, *, to_write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(fd, wake)
    try:
        await ready
    finally:
        remove(fd)


def _refusal(message: str) -> Refused:
    """A verbose message of libpq, as people want to read it: the server's own words if there are any."""
    errors = _ERROR.findall(message)
    if errors:
        return Refused("; ".join(dict.fromkeys(text for _, text in errors)), tuple(state for state, _ in errors))
    return Refused("; ".join(line.strip() for line in message.splitlines() if line.strip()))


def _be_verbose(connection: Any) -> None:
    _libpq().PQsetErrorVerbosity(ctypes.c_void_p(connection.pgconn_ptr), _PQERRORS_VERBOSE)


@functools.cache
def _libpq() -> Any:
    """The library that psycopg uses; a second one would not know its connections."""
    from psycopg import pq

    module = sys.modules[pq.PGconn.__module__]
    if pq.__impl__ == "python":
        return module.impl.pq  # psycopg's own ctypes.CDLL
    assert module.__file__ is not None  # noqa: S101  a compiled module has a file
    return ctypes.CDLL(module.__file__)  # dlsym looks into what the module is linked with, too
