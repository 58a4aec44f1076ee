"""Plays a case and writes down what its clients see."""

import difflib
from collections.abc import Callable
from typing import TypeAlias

from tests.fidelity.answers import Reading, notification_line
from tests.fidelity.case import Case, Hear, Leave, LogIn, Say, Step
from tests.kit.client import Client, Gone, Refused
from tests.kit.wire import Message, Replies

#: What is seen at each step.
Transcript: TypeAlias = list[list[str]]

#: How long an answer may take, in seconds.
ANSWER_WITHIN = 4.0
#: How long a notification may take, in seconds.
HEAR_WITHIN = 1.0
#: Of a long answer only what differs is shown.
MOST_LINES = 40
GONE = "the connection has ended"


class Differs(AssertionError):
    """howdah answers otherwise than PostgreSQL."""


class _Person:
    """One client of the case with what it has seen."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.settings = dict(client.settings)
        self._reading = Reading()
        self._heard: list[Message] = []
        self._is_gone = False

    def say(self, step: Say) -> list[str]:
        if self._is_gone:
            return [GONE]
        before, replies, end = dict(self.settings), Replies(), []
        try:
            self.client.send(step.messages)
            while len(replies.statuses) < step.times:
                self._take(self.client.read(ANSWER_WITHIN), replies)
        except (Gone, OSError):
            self._is_gone, end = True, [GONE]
        except AssertionError:  # it has waited long enough
            self._is_gone, end = True, ["no answer"]
        changed = sorted(self.settings.items() - before.items())
        return [*self._reading.lines(replies), *(f"setting {name} = {value!r}" for name, value in changed), *end]

    def hear(self, count: int) -> list[str]:
        end = []
        try:
            while len(self._heard) < count or self.client.has_input():
                self._take(self.client.read(HEAR_WITHIN), Replies())
        except (Gone, OSError):
            end = [GONE]
        except AssertionError:  # it has waited long enough
            end = ["nothing more"]
        heard, self._heard = self._heard, []
        return [*map(notification_line, heard), *end]

    def _take(self, message: Message, replies: Replies) -> None:
        replies.append(message)
        if message.tag == "S":
            self.settings.update([message.setting])
        elif message.tag == "A":
            self._heard.append(message)


class Player:
    """`connect` logs in with startup parameters.  `between` is called before each step: whose is it, and does it take
    a server?
    """

    def __init__(self, connect: Callable[[dict[str, str]], Client], between: Callable[[str, bool], None]) -> None:
        self._connect, self._between = connect, between
        self._people: dict[str, _Person] = {}

    def play(self, case: Case) -> Transcript:
        try:
            return [self._take(step) for step in case.steps]
        finally:
            for person in self._people.values():
                person.client.close()

    def _take(self, step: Step) -> list[str]:
        self._between(step.who, isinstance(step, Say) and step.takes_server)
        if isinstance(step, LogIn):
            return self._log_in(step.who, step.parameters)
        if isinstance(step, Leave):
            self._people.pop(step.who).client.close()
            return []
        refusal = [] if step.who in self._people else self._log_in(step.who, {})
        if step.who not in self._people:
            return refusal
        person = self._people[step.who]
        return person.hear(step.count) if isinstance(step, Hear) else person.say(step)

    def _log_in(self, who: str, parameters: dict[str, str]) -> list[str]:
        try:
            person = self._people[who] = _Person(self._connect(parameters))
        except Refused as refused:
            return list(Reading().lines(Replies([refused.error])))
        return [f"setting {name} = {value!r}" for name, value in sorted(person.settings.items())]


def compare(case: Case, wanted: Transcript, seen: Transcript) -> None:
    """Raise `Differs` with the first step that is not as it should be."""
    for number, (step, right, got) in enumerate(zip(case.steps, wanted, seen, strict=True)):
        if right != got:
            raise Differs(_told(case, number, right, got, step))


def _told(case: Case, number: int, wanted: list[str], seen: list[str], step: Step) -> str:
    said = [f"  {step.who}: {_short(step)}" for step in case.steps[:number]]
    lines = [line for line in difflib.ndiff(wanted, seen) if not line.startswith("?")]
    if len(lines) > MOST_LINES:
        lines = [line for line in lines if not line.startswith(" ")]
    head = f"{case.name}: at {step.who}: {_short(step)}"
    return "\n".join([head, "after", *said, "PostgreSQL (-) and howdah (+):", *(f"  {line[:500]}" for line in lines)])


def _short(step: Step) -> str:
    return (step.text if isinstance(step, Say) else str(step))[:200]
