"""What PostgreSQL still owes a client for what it sent: its main loop (src/backend/tcop/postgres.c) as clients know it.

The player asks before it reads: waiting for an answer that never comes would be a hang of the test's own making.
"""

from collections import defaultdict, deque
from collections.abc import Generator
from enum import Enum, auto
from typing import TypeAlias

from tests.kit.wire import Message, Replies
from tests.model.vocabulary import BAD_ROW


class Wants(Enum):
    """What the main loop cannot go on without."""

    MESSAGE = auto()
    REPLY = auto()
    NOTHING = auto()  # the connection ends


#: What the answer to each message ends with, if not with an error.
LAST = {"P": "1", "B": "2", "C": "3", "D": "Tn", "E": "CIs"}
KNOWN = "PBCDESHQFXdcf"
#: Types whose messages may be no longer than SMALL: a longer one ends the connection without a word.
SHORT, SMALL = "CDESHcf", 10_000
#: Messages that make PostgreSQL send what it has answered so far.
FLUSHING = "SHQF"
#: May come at any time and answer nothing: ParameterStatus, NoticeResponse, NotificationResponse.
ASIDE = "SNA"

_Loop: TypeAlias = Generator[Wants, str, None]


class Ledger:
    """`sent` and `came` tell it what happens; `answers` holds for each message, by its number, what answered it."""

    def __init__(self) -> None:
        self.answers: dict[int, Replies] = defaultdict(Replies)
        self.status = "I"
        self.unsynced = False
        #: By number of message: the status of the session and whether extended messages without Sync stood before it.
        self.before: dict[int, tuple[str, bool]] = {}
        self._sent: deque[tuple[int, bytes]] = deque()
        self._now, self._message = -1, b""
        self._last_sent = self._at_work = ""
        self._skipping = False
        #: Something was sent that is no message; Terminate was.
        self.broken = self.left = False
        self._loop = self._main_loop()
        self.wants = next(self._loop)

    # what happens

    def sent(self, number: int, message: bytes) -> None:
        self._sent.append((number, message))
        self._last_sent = chr(message[0])
        self.broken = self.broken or _is_broken(message)
        self.left = self.left or message[:1] == b"X"
        self._take()

    def came(self, reply: Message) -> int:
        """The number of the message that it answers."""
        answered = self._now
        self.answers[answered].append(reply)
        if reply.tag == "Z":
            self.status = reply.status
        if reply.tag == "E" and reply.fields.get("V") in {"FATAL", "PANIC"}:
            self.wants = Wants.NOTHING
        if reply.tag not in ASIDE:
            assert self.wants is not Wants.MESSAGE, f"{reply!r} answers nothing that was sent"
            if self.wants is Wants.REPLY:
                self._go_on(reply.tag)
                self._take()
        return answered

    def gone(self) -> None:
        """The connection has ended, and took with it what was answered since the last Sync or Flush."""
        assert self.broken or self.left, "the connection ended, and nothing that was sent asked for it"
        self.wants = Wants.NOTHING

    # what is to be known

    @property
    def owes(self) -> bool:
        """Will something come without anything more being sent?"""
        return self.wants is Wants.REPLY and (self._last_sent in FLUSHING or self._at_work in "QF")

    @property
    def ends(self) -> bool:
        """Will PostgreSQL close the connection?  (What is sent to it behind that may take its last answers away.)"""
        return self.wants is Wants.NOTHING or self.broken or self.left

    # inner

    def _take(self) -> None:
        while self.wants is Wants.MESSAGE and self._sent:
            self._now, self._message = self._sent.popleft()
            self.before[self._now] = self.status, self.unsynced
            self._go_on(chr(self._message[0]))

    def _go_on(self, tag: str) -> None:
        try:
            self.wants = self._loop.send(tag)
        except StopIteration:
            self.wants = Wants.NOTHING

    def _main_loop(self) -> _Loop:
        while True:
            tag = self._at_work = yield Wants.MESSAGE
            if _is_broken(self._message) or tag == "X":
                return
            if tag == "S":
                self._skipping = False
                yield from self._until_ready()
            elif tag in "dcf" or self._skipping:
                continue
            elif tag in "QF":
                yield from self._until_ready()
            else:
                self.unsynced = True
                yield from self._extended(tag)

    def _until_ready(self) -> _Loop:
        tag = ""
        while tag != "Z":
            tag = yield Wants.REPLY
            if tag == "G":
                yield from self._copy_in()
        self.unsynced = False

    def _extended(self, tag: str) -> _Loop:
        if tag == "H" and len(self._message) == 5:
            return
        last = LAST.get(tag, "")
        while True:
            tag = yield Wants.REPLY
            if tag == "G":
                yield from self._copy_in()
            elif tag == "E":
                self._skipping = True
                return
            elif tag in last:
                return

    def _copy_in(self) -> _Loop:
        """Up to what ends it: Sync and Flush do not (CopyGetData in src/backend/commands/copyfromparse.c)."""
        while True:
            tag = yield Wants.MESSAGE
            if tag in "cf" or (tag == "d" and BAD_ROW in self._message):
                return
            if tag not in "dSH" or _is_broken(self._message):
                while True:  # two errors, and the end
                    yield Wants.NOTHING


def _is_broken(message: bytes) -> bool:
    """An unknown type or an impossible length: PostgreSQL closes without reading on."""
    tag, length = chr(message[0]), int.from_bytes(message[1:5], signed=True)
    return tag not in KNOWN or length + 1 != len(message) or (tag in SHORT and length > SMALL)
