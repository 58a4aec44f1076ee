"""What is compared of an answer: a line for each message, as a person reads it.

Left out is what differs between two sessions of PostgreSQL itself: where in its source an error was raised, OIDs that
are not PostgreSQL's own, the numbers of schemas of temporary objects, and what stands in a column of `MASKED`.
Left out by design is which process serves a client from one transaction to the next; a case that is about processes
compares within a transaction.
"""

import re
import struct
from collections.abc import Iterator

from tests.kit.wire import Message, Replies
from tests.model.comparing import Normaliser

#: Columns whose values cannot be the same; that there is one is compared.
MASKED = frozenset({"pid", "xid", "oid"})
#: Of errors and notices: file, line and routine are PostgreSQL's own business.
_SOURCE = frozenset("FLR")
_TEMPORARY = re.compile(r"\b(pg_temp|pg_toast_temp)_\d+")
#: Messages without a body of interest.
_NAMES = {"1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "n": "NoData", "s": "PortalSuspended",
          "I": "EmptyQueryResponse", "G": "CopyInResponse", "H": "CopyOutResponse", "c": "CopyDone"}  # fmt: skip


class Reading:
    """One client's answers as lines."""

    def __init__(self) -> None:
        self._normaliser = Normaliser()
        self._columns: list[str] = []

    def lines(self, replies: Replies) -> Iterator[str]:
        """Without ParameterStatus and NotificationResponse: those may come any time, see `player`."""
        for reply in replies:
            if reply.tag not in "SA":
                yield _TEMPORARY.sub(r"\1_N", self._line(reply))

    def _line(self, reply: Message) -> str:
        if reply.tag == "T":
            return self._row_description(reply)
        if reply.tag == "D":
            return f"row {self._row(reply)}"
        if reply.tag in "EN":
            told = {code: text for code, text in reply.fields.items() if code not in _SOURCE}
            return f"{'error' if reply.tag == 'E' else 'notice'} {told}"
        if reply.tag == "C":
            return reply.text
        if reply.tag == "Z":
            return f"ready {reply.status}"
        if reply.tag in _NAMES:
            return _NAMES[reply.tag]
        return f"{reply.tag} {self._normaliser.normal(reply).body!r}"

    def _row_description(self, reply: Message) -> str:
        self._columns, at = [], 2
        while at < len(reply.body):
            end = reply.body.index(b"\0", at)
            self._columns.append(reply.body[at:end].decode())
            at = end + 19
        return f"columns {self._columns} {self._normaliser.normal(reply).body[2:]!r}"

    def _row(self, reply: Message) -> list[str | None]:
        names = self._columns or [""] * len(reply.row)
        return [_masked(name, value) for name, value in zip(names, reply.row, strict=False)]


def _masked(name: str, value: str | None) -> str | None:
    return f"<{name}>" if value is not None and name in MASKED else value


def notification_line(notification: Message) -> str:
    """The notifier's process id cannot be the same, but whoever sends its own as the payload must be told the same."""
    (process_id,) = struct.unpack_from("!i", notification.body)
    channel, payload = (part.decode(errors="backslashreplace") for part in notification.body[4:].split(b"\0")[:2])
    told = "<the notifier's process id>" if payload == str(process_id) else payload
    return f"notification {channel!r} {told!r}"
