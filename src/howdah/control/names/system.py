"""The operating system's resolver: files, DNS, whatever it is set up for.

Each lookup runs in a thread of its own (`aside`): getaddrinfo can block for half a minute when no name server answers.
"""

import socket
from functools import partial

from howdah.control.aside import aside
from howdah.control.plan import Resolved


async def look_up(host: str) -> Resolved:
    return await aside(f"resolve {host}", partial(_ask, host))


def _ask(host: str) -> Resolved:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as failure:
        return Resolved((), f"cannot resolve host name {host!r}: {failure.strerror}")
    except (OSError, UnicodeError) as failure:
        return Resolved((), f"cannot resolve host name {host!r}: {failure}")
    return Resolved(tuple(dict.fromkeys(str(sockaddr[0]) for _, _, _, _, sockaddr in found)))
