"""TCP ports that no other test process takes: one lock file a port, held until this process ends."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import TextIO

# Below the range from which Linux picks ports for outgoing connections, so that none of those gets in the way.
FIRST, LAST = 20_000, 32_000
_held: list[TextIO] = []


def _lock_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"howdah-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    return folder


def _is_free(port: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                if family == socket.AF_INET or ipv6_works():
                    return False
    return True


def ipv6_works() -> bool:
    """Whether this machine has an IPv6 loopback."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def take_port() -> int:
    """A free port, ours until the process ends."""
    for port in random.SystemRandom().sample(range(FIRST, LAST), 500):
        lock = (_lock_folder() / f"{port}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if _is_free(port):
            _held.append(lock)
            return port
        lock.close()
    raise RuntimeError(f"no free port found between {FIRST} and {LAST}")
