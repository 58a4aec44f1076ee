"""The one difference that howdah makes on purpose: "cached plan must not change result type" (0A000).

PostgreSQL says so when a prepared statement's result has other columns than at Parse, and goes on saying so until the
statement is parsed again.  howdah parses it again by itself where it can (docs/explain/prepared-statements.md has the
rules).  Whether it had to depends on which server it was, and on what that server had from before the change; no client
can know.  So either way is right.  But where howdah has done so, all it answers must be what PostgreSQL would, had the
client sent a Close and the same Parse right before; so that is asked of PostgreSQL: the program is played again with
both put in, hidden.
"""

import re

from tests.kit import wire
from tests.kit.wire import Message
from tests.model.program import Actor, Program, Send
from tests.model.transcript import Difference, Transcript

#: PostgreSQL looks at as many bytes of a name.
NAME_SIZE = 63
_DEFINES = re.compile(rb"(ALTER|CREATE) TABLE|DROP TABLE IF EXISTS of")


def defines(message: bytes) -> bool:
    """Does it change what a statement may give?"""
    return _DEFINES.search(message) is not None


def is_stale(reply: Message | None) -> bool:
    if reply is None or reply.tag != "E":
        return False
    return reply.sqlstate == "0A000" and reply.fields.get("R") == "RevalidateCachedQuery"


def is_spared(difference: Difference) -> bool:
    """Has howdah something else to say where PostgreSQL has such an error?"""
    return is_stale(difference.expected) and difference.actual is not None


def may_be_told(difference: Difference, program: Program) -> bool:
    """Has howdah such an error where PostgreSQL has none, and may it?

    Its statement may have been parsed when the table looked otherwise than when the client parsed it.
    """
    return is_stale(difference.actual) and any(isinstance(step, Send) and defines(step.message) for step in program)


def cured(transcript: Transcript, number: int) -> Program:
    """The program with the statement of that step parsed again right before it."""
    step = transcript.sent(number)
    name = _statement_name(step.message)
    again = [wire.message(b"C", b"S" + name + b"\0"), _last_parse(transcript, step.who, name, number)]
    hidden = [Send(step.who, message, hidden=True) for message in again]
    return [*transcript.program[:number], *hidden, *transcript.program[number:]]


def _statement_name(message: bytes) -> bytes:
    """Of a Parse, Bind or Describe."""
    body = message[5:]
    if message[:1] == b"B":
        body = body[body.index(b"\0") + 1 :]
    elif message[:1] == b"D":
        body = body[1:]
    return body[: body.index(b"\0")]


def _last_parse(transcript: Transcript, who: Actor, name: bytes, number: int) -> bytes:
    """The Parse that made the statement."""
    answers = transcript.ledgers[who].answers
    for at in range(number - 1, -1, -1):
        step = transcript.steps[at]
        if isinstance(step, Send) and step.who == who and step.message[:1] == b"P":
            is_made = any(reply.tag == "1" for reply in answers.get(at, ()))
            if is_made and _statement_name(step.message)[:NAME_SIZE] == name[:NAME_SIZE]:
                return step.message
    raise AssertionError(f"{name!r} is stale and was never parsed")
