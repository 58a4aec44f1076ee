"""A successor and a predecessor that do what the test says, where a real one would do what is right."""

import array
import json
import socket
import struct
from collections.abc import Sequence
from typing import Any, Self

HEADER = struct.Struct("!IH")
MOST_FDS = 250

Letter = dict[str, Any]


class Correspondent:
    """One end of a line between two processes; letters are dictionaries."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(20)
        self._unread = bytearray()
        self.fds: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def say(self, letter: Letter, fds: Sequence[int] = ()) -> None:
        text = json.dumps(letter).encode()
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        frame = HEADER.pack(len(text), len(fds)) + text
        assert self.socket.sendmsg([frame], given) == len(frame)

    def hear(self) -> Letter:
        """The next letter; the descriptors that came along are added to `fds`."""
        while len(self._unread) < HEADER.size:
            self._fill()
        size, _ = HEADER.unpack_from(self._unread)
        while len(self._unread) < HEADER.size + size:
            self._fill()
        text = bytes(self._unread[HEADER.size : HEADER.size + size])
        del self._unread[: HEADER.size + size]
        letter: Letter = json.loads(text)
        return letter

    def vanish(self) -> None:
        """As when the process dies: all it has is closed."""
        self.socket.close()
        while self.fds:
            socket.close(self.fds.pop())

    def _fill(self) -> None:
        data, fds, _, _ = socket.recv_fds(self.socket, 1 << 18, MOST_FDS)
        assert data, "the other process has closed the connection"
        self._unread += data
        self.fds += fds


def heir(doorstep: str, protocol: int = 1) -> Correspondent:
    """A successor that has asked."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(doorstep)
    correspondent = Correspondent(sock)
    correspondent.say({"kind": "ask", "protocol": protocol, "version": "99.0", "pid": 1})
    return correspondent
