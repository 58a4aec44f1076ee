"""PostgreSQL's main loop as far as replies go: messages in, message types out (src/backend/tcop/postgres.c).

What a statement does is not worked out but given with the message, so that a test can choose it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sent:
    """A frontend message and what the server will make of it.

    `answer` holds the types of the replies in order; "E" fails there.  "G" begins a copy in, "W" a stream of
    replication: what follows comes when the client ends it.
    """

    tag: str
    answer: str = ""

    def __repr__(self) -> str:
        return f"{self.tag}:{self.answer}" if self.answer else self.tag


@dataclass
class Backend:
    """`skipping`: up to the next Sync, after an error.  `copying`: what is still to come when a copy in or stream
    ends.  `open`: extended messages began a transaction that the next Sync, whoever sends it, will commit.
    """

    skipping: bool = False
    copying: str | None = None
    of_query: bool = False
    open: bool = False
    replies: list[str] = field(default_factory=list)

    def take(self, message: Sent) -> str:
        """Replies to this message."""
        self.replies = []
        if self.copying is not None:
            self._take_in_copy(message)
        elif message.tag == "S":
            self.skipping = False
            self._answer(message.answer or "Z", of_query=True)
        elif not self.skipping and message.tag not in "cdfH":
            self.open = True
            self._answer(message.answer, of_query=message.tag in "QF")
        return "".join(self.replies)

    def _answer(self, answer: str, *, of_query: bool) -> None:
        for at, tag in enumerate(answer):
            self.replies.append(tag)
            self.open = self.open and tag not in "ZE"
            if tag in "GW":
                self.copying, self.of_query = answer[at + 1 :], of_query
                return
            if tag == "E":
                self._fail(of_query=of_query)
                return

    def _fail(self, *, of_query: bool) -> None:
        if of_query:
            self.replies.append("Z")
        else:
            self.skipping = True

    def _take_in_copy(self, message: Sent) -> None:
        if message.tag in "SH" or (message.tag == "d" and not message.answer):
            return  # CopyGetData in copyfromparse.c ignores Sync and Flush
        rest, self.copying = self.copying or "", None
        if message.tag == "c" and not message.answer:
            self._answer(rest, of_query=self.of_query)
        else:  # CopyFail, bad data, or a message that has no business here
            self._answer("E", of_query=self.of_query)
