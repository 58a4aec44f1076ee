"""What "the same answers" means: byte for byte, but for what cannot be the same in two databases, or through a pooler.

- OIDs of tables and of types that users made differ from database to database: in RowDescription and
  ParameterDescription they become numbers by order of their first appearance, so that which is which still counts.
- 25P02 (the transaction is aborted) comes from the same check in Bind and in Parse: where a Parse of howdah's own rides
  in front of a Bind, it is the Parse that is told, in the same words.  Only the place in PostgreSQL's source differs.
- A message that ends a copy in is named in the error by its type: where a Close of howdah's own rides in front of it,
  by that one's.
- A Parse of howdah's own may fail before the message behind it does (`is_aborted`, `has_skipped`, `fails_otherwise`).
- The last answers to a client that leaves, or makes no sense, are nobody's concern (`LastAnswers`).
- Nothing else.  Process ids and cancel keys come before a program begins; texts hold none (see `vocabulary`).
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.kit.wire import Message
from tests.model.ledger import Ledger
from tests.model.program import Send
from tests.model.transcript import Reply, Transcript

#: OIDs below are PostgreSQL's own, the same in every database.
FIRST_NORMAL_OID = 16_384


@dataclass
class Normaliser:
    """One session's answers, as far as they may be compared with another's."""

    _seen: dict[int, int] = field(default_factory=dict)

    def normal(self, reply: Message) -> Message:
        if reply.tag == "T":
            return Message("T", self._row_description(reply.body))
        if reply.tag == "t":
            count = len(reply.body) // 4
            oids = [self._named(oid) for oid in struct.unpack_from(f"!{count}I", reply.body, 2)]
            return Message("t", reply.body[:2] + struct.pack(f"!{count}I", *oids))
        if reply.tag == "E" and reply.sqlstate == "25P02":
            fields = [field for field in reply.body.split(b"\0") if field[:1] not in {b"L", b"R"}]
            return Message("E", b"\0".join(fields))
        if reply.tag == "E" and b"during COPY from stdin" in reply.body:
            return Message("E", re.sub(rb"message type 0x..", b"message type", reply.body))
        return reply

    def _row_description(self, body: bytes) -> bytes:
        (count,) = struct.unpack_from("!h", body)
        at, parts = 2, [body[:2]]
        for _ in range(count):
            end = body.index(b"\0", at) + 1
            table, column, kind, *rest = struct.unpack_from("!IhIhih", body, end)
            parts += [body[at:end], struct.pack("!IhIhih", self._named(table), column, self._named(kind), *rest)]
            at = end + 18
        return b"".join(parts) + body[at:]

    def _named(self, oid: int) -> int:
        if oid < FIRST_NORMAL_OID:
            return oid
        return FIRST_NORMAL_OID + self._seen.setdefault(oid, len(self._seen))


# ---- a Parse of howdah's own in front ------------------------------------------------------------------------------


def is_aborted(transcript: Transcript, wanted: Reply, actual: Message) -> bool:
    """May what follows be anything?

    In an aborted transaction no statement can be given to a server that lacks it, so Bind and Describe of it fail by
    25P02, where PostgreSQL might find another fault first, or none.
    """
    step = transcript.sent(wanted.answers)
    status, _ = transcript.ledgers[step.who].before[wanted.answers]
    return status == "E" and step.message[:1] in {b"B", b"D"} and actual.tag == "E" and actual.sqlstate == "25P02"


def has_skipped(wanted: Sequence[Reply], actual: Message) -> bool:
    """PostgreSQL tells the parameters of a statement before it finds its table gone, and so has one answer more."""
    if wanted[0].message.tag != "t" or len(wanted) == 1:
        return False
    return wanted[0].answers == wanted[1].answers and wanted[1].message == actual


def fails_otherwise(transcript: Transcript, wanted: Reply, actual: Message) -> bool:
    """In a Bind PostgreSQL looks at the number of its parameters first."""
    errors = {wanted.message.tag, actual.tag} == {"E"} and wanted.message.sqlstate == "08P01"
    return errors and transcript.sent(wanted.answers).message[:1] == b"B"


# ---- the end -------------------------------------------------------------------------------------------------------


class LastAnswers:
    """To a client that has said what is no message, or Terminate; the lists get shorter as they are compared.

    In the first case howdah has words of its own and says them at once: what was asked for before may stay unanswered.
    PostgreSQL closes without a word where a length is impossible, and drops what it has answered since the last Sync.
    In the second nobody listens any more.  howdah goes as soon as what was asked for is done; PostgreSQL still says
    what is wrong with messages behind the last Sync, or in a copy that has not been ended.  And what howdah answers by
    itself it sends at once.
    """

    def __init__(self, transcript: Transcript, wanted: list[Reply], rest: list[Message], ledger: Ledger) -> None:
        self.wanted, self.rest = wanted, rest
        self._transcript, self._left = transcript, ledger.left
        self._broken = ledger.broken or (ledger.left and bool(wanted) and _is_fatal(wanted[-1].message))
        if self._broken:
            self._drop_last_words()

    def may_differ(self) -> bool:
        """May either side say what is left, and not the other?"""
        left_out = all(_is_left_out(self._transcript, reply) for reply in self.wanted)
        return self._broken or (self._left and left_out and all(reply.tag == "3" for reply in self.rest))

    def _drop_last_words(self) -> None:
        """The FATAL errors that both end with, if they are of one SQLSTATE or one side has none."""
        ours = self.wanted[-1].message if self.wanted and _is_fatal(self.wanted[-1].message) else None
        theirs = self.rest[-1] if self.rest and _is_fatal(self.rest[-1]) else None
        if not (ours and theirs and ours.sqlstate != theirs.sqlstate):
            del self.wanted[len(self.wanted) - bool(ours) :], self.rest[len(self.rest) - bool(theirs) :]


def _is_fatal(reply: Message) -> bool:
    return reply.tag == "E" and reply.fields["V"] == "FATAL"


def _is_left_out(transcript: Transcript, reply: Reply) -> bool:
    """Does it answer a message that nothing behind it asks to be finished?"""
    who = transcript.sent(reply.answers).who
    later = transcript.program[reply.answers :]
    return not any(isinstance(step, Send) and step.who == who and step.message[:1] in b"SQF" for step in later)
