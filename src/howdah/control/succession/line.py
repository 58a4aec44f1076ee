"""A connection between two processes of this machine: letters, and file descriptors that come along with them.

A frame is its size, the number of its descriptors, and a letter as JSON.  Whatever else comes is a `LineFault`.
"""

import array
import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence

from pydantic import ValidationError

from howdah.control.succession.letters import LETTER, Letter

_HEADER = struct.Struct("!IH")
#: Statements and settings of one client, as JSON; it is seldom near a hundred kilobytes.
_LARGEST = 192 << 20
_READ = 1 << 18
#: The kernel takes no more at a time.
MOST_FDS = 250


class LineFault(Exception):
    """The other side is gone, or says what cannot be understood."""


class Line:
    """Closes what it was given, and what has come and nobody took.  One sends and one receives at a time."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._unread = bytearray()
        self._fds: deque[int] = deque()  # -1: it could not be taken
        self._ended = False

    async def send(self, letter: Letter, fds: Sequence[int] = ()) -> None:
        """Returns when the kernel has all of it."""
        text = letter.model_dump_json().encode()
        frame = memoryview(_HEADER.pack(len(text), len(fds)) + text)
        given = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        while frame:
            try:
                sent = self._socket.sendmsg([frame], given, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                await self._ready(reading=False)
                continue
            except OSError as failure:
                raise LineFault(failure.strerror or str(failure)) from None
            frame, given = frame[sent:], []

    async def receive(self) -> tuple[Letter, list[int]]:
        """The next letter, and its descriptors, which are the caller's; -1 stands for one that could not be taken."""
        while (found := self._next()) is None:
            if self._ended:
                raise LineFault("the other process has closed the connection")
            if not self._fill():
                await self._ready(reading=True)
        return found

    def receive_now(self) -> tuple[Letter, list[int]] | None:
        """The next letter that has come; None: there is none."""
        while (found := self._next()) is None:
            if self._ended or not self._fill():
                return None
        return found

    def hang_up(self) -> None:
        """Nothing can be sent any more by either side; what has come can still be read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        while self._fds:
            _close(self._fds.popleft())
        self._socket.close()

    def _next(self) -> tuple[Letter, list[int]] | None:
        if len(self._unread) < _HEADER.size:
            return None
        size, count = _HEADER.unpack_from(self._unread)
        if size > _LARGEST or count > MOST_FDS:
            raise LineFault("what the other process says is no letter")
        if len(self._unread) < _HEADER.size + size:
            return None
        text = bytes(self._unread[_HEADER.size : _HEADER.size + size])
        del self._unread[: _HEADER.size + size]
        if count > len(self._fds):
            raise LineFault("a letter of the other process lacks its file descriptors")
        try:
            letter = LETTER.validate_json(text)
        except ValidationError as failure:
            reason = failure.errors(include_url=False, include_input=False)[0]["msg"]
            raise LineFault(f"a letter of the other process is not understood: {reason}") from None
        return letter, [self._fds.popleft() for _ in range(count)]

    def _fill(self) -> bool:
        """Read what is there; False: nothing, for now."""
        room = socket.CMSG_SPACE(MOST_FDS * array.array("i").itemsize)
        try:
            data, given, flags, _ = self._socket.recvmsg(_READ, room, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return False
        except OSError:
            data, given, flags = b"", [], 0
        for level, kind, fds in given:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(fds[: len(fds) - len(fds) % numbers.itemsize])
                self._fds.extend(numbers)
        if flags & socket.MSG_CTRUNC:
            self._fds.append(-1)  # no descriptor is free here: the rest is lost
        self._ended = not data
        self._unread += data
        return True

    async def _ready(self, *, reading: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        fd = self._socket.fileno()
        add(fd, _wake, ready)
        try:
            await ready
        finally:
            remove(fd)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
