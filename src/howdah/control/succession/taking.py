"""The successor's side: it asks for the listening sockets of the process that runs, and takes its clients in."""

import asyncio
import contextlib
import os

import howdah
from howdah.control.config.errors import StartError
from howdah.control.log import FilteringBoundLogger
from howdah.control.process.identity import Identity
from howdah.control.succession.doors import Taken, put_together
from howdah.control.succession.doorstep import call, peer_of
from howdah.control.succession.letters import (
    PROTOCOL,
    Ask,
    Cancel,
    Cannot,
    Client,
    Done,
    Doors,
    Farewell,
    Have,
    Refusal,
    Up,
)
from howdah.control.succession.line import Line, LineFault
from howdah.dataplane.engine import Engine, is_baggage
from howdah.dataplane.rows import Event

_ANSWER_S = 15.0
_NO_FDS = "it has no file descriptor free (ulimit -n, LimitNOFILE=)"


class TakeOver:
    """From the first word to the predecessor's end."""

    def __init__(self, line: Line, log: FilteringBoundLogger) -> None:
        self._line = line
        self._log = log
        self._doors = Doors(pid=0, version="", doors=(), disabled=(), watchdog_s=0)
        self._sending = asyncio.Lock()
        self._telling: set[asyncio.Task[None]] = set()
        self.is_over = False

    @property
    def watchdog_s(self) -> float:
        """Of the service manager, which has told the predecessor alone."""
        return self._doors.watchdog_s

    @property
    def disabled(self) -> tuple[str, ...]:
        """Databases."""
        return self._doors.disabled

    async def ask(self, workers: int) -> Taken:
        """The predecessor's sockets.  StartError where it says no, or something else."""
        try:
            await self._line.send(Ask(protocol=PROTOCOL, version=howdah.__version__, pid=os.getpid()))
            letter, fds = await asyncio.wait_for(self._line.receive(), _ANSWER_S)
            if isinstance(letter, Refusal):
                raise StartError(f"the process that runs does not hand over: {letter.text}")
            if not isinstance(letter, Doors):
                raise LineFault(f"it answers with {letter.kind}")
            self._doors = letter
            return put_together(letter.doors, fds, workers)
        except (LineFault, TimeoutError) as fault:
            why = str(fault) or f"no answer within {_ANSWER_S:g} s"
            raise StartError(f"cannot take over from the process that runs: {why}") from None

    async def up(self) -> None:
        """We accept clients."""
        try:
            await self._line.send(Up())
        except LineFault as fault:
            raise StartError(f"cannot take over from the process that runs: {fault}") from None

    async def run(self, engine: Engine) -> None:
        """Take clients in until there are no more."""
        count = 0
        try:
            while True:
                letter, fds = await self._line.receive()
                if isinstance(letter, Done):
                    self._log.info("taken over", process=self._doors.pid, clients=count)
                    return
                if not isinstance(letter, Client) or len(fds) != 1:
                    raise LineFault(f"it says {letter.kind} out of turn")
                count += await self._take_in(engine, letter, fds[0])
        except LineFault as fault:
            self._log.warning(f"the process before has not handed over all: {fault}", process=self._doors.pid,
                              clients=count)  # fmt: skip
        finally:
            self.is_over = True
            engine.expect_cancels(False)
            self._line.close()

    async def _take_in(self, engine: Engine, client: Client, fd: int) -> bool:
        """Whether it is here.  Only when the predecessor has been told so is it ours to listen to."""
        if fd < 0:
            await self._say(Cannot(number=client.number, text=_NO_FDS))
            return False
        try:
            if not is_baggage(client.baggage):
                raise LineFault("a client of it is not understood")
            await self._say(Have(number=client.number))
        except BaseException:
            os.close(fd)
            raise
        engine.adopt(fd, client.baggage)
        return True

    def cancel(self, event: Event) -> None:
        """A key that none of our clients has: perhaps one that has not come yet."""
        self.ask_to_cancel(Cancel(pid=int.from_bytes(event.detail[:4], "big"), secret=event.detail[4:]))

    def ask_to_cancel(self, letter: Cancel) -> None:
        """The same, for a successor of ours."""
        if not self.is_over:
            task = asyncio.ensure_future(self._tell(letter))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def farewell(self) -> None:
        """We stop: nobody is to take our place."""
        if not self.is_over:
            await self._tell(Farewell())

    def close(self) -> None:
        if not self.is_over:
            self._line.close()

    async def _tell(self, letter: Cancel | Farewell) -> None:
        with contextlib.suppress(LineFault):
            await self._say(letter)

    async def _say(self, letter: Cancel | Cannot | Farewell | Have) -> None:
        async with self._sending:
            await self._line.send(letter)


def call_on(name: str, owner: Identity | None, log: FilteringBoundLogger) -> TakeOver | None:
    """Begin to take over from the process that listens there; None: there is none.

    It must be root's, ours, or that of `owner`, who we are to become: nobody else is to give us sockets.
    """
    if not name:
        raise StartError("to take over from a process that runs needs a Unix socket: set unix_socket_dir")
    try:
        sock = call(name)
    except OSError as failure:
        raise StartError(f"cannot ask at {name} to take over: {failure.strerror}") from None
    if sock is None:
        return None
    pid, uid = peer_of(sock)
    if uid not in (0, os.geteuid(), owner.uid if owner is not None else 0):
        sock.close()
        raise StartError(f"not taking over from process {pid}, which is another user's")
    return TakeOver(Line(sock), log)
