"""Plays a program: against PostgreSQL, whose answers are written down, then against howdah, whose must be the same."""

import contextlib
from collections import defaultdict
from collections.abc import Callable
from typing import TypeAlias

from tests.kit.client import Client, Gone
from tests.kit.wire import Message
from tests.model.comparing import LastAnswers, Normaliser, fails_otherwise, has_skipped, is_aborted
from tests.model.program import ACTORS, Actor, Program, Read, Send, Step, closing
from tests.model.transcript import Difference, Reply, Transcript

Connect: TypeAlias = Callable[[Actor], Client]


class Oracle:
    """Plays one program against PostgreSQL."""

    def __init__(self, connect: Connect, program: Program, within: float) -> None:
        self._connect, self._within = connect, within
        self._transcript = Transcript(program)
        self._outbox = Outbox()
        self._normalisers: dict[Actor, Normaliser] = defaultdict(Normaliser)

    def play(self) -> Transcript:
        for step in self._transcript.program:
            self._take(step)
        for who in ACTORS:
            if who in self._transcript.ledgers:
                for step in closing(who):
                    self._take(step)
        return self._transcript

    def _take(self, step: Step) -> None:
        transcript, number = self._transcript, len(self._transcript.steps)
        transcript.steps.append(step)
        if step.who in transcript.ended:
            return
        client, ledger = self._connect(step.who), transcript.ledgers[step.who]
        self._outbox.take(client, step)
        if isinstance(step, Send):
            ledger.sent(number, step.message)
        else:
            self._read_what_is_owed(step.who, client)
            transcript.read_until[number] = len(transcript.replies[step.who])
        if ledger.ends:
            self._outbox.empty(client, step.who)
            transcript.ended[step.who] = number
            replies, _ = client.read_to_cut(self._within)  # whoever says Terminate may get half a message
            for reply in replies:
                self._came(step.who, reply)

    def _read_what_is_owed(self, who: Actor, client: Client) -> None:
        ledger = self._transcript.ledgers[who]
        try:
            while ledger.owes:
                self._came(who, client.read(self._within))
        except Gone:
            ledger.gone()

    def _came(self, who: Actor, reply: Message) -> None:
        transcript = self._transcript
        number = transcript.ledgers[who].came(reply)
        step = transcript.steps[number]
        if isinstance(step, Send) and not step.hidden:
            transcript.replies[who].append(Reply(self._normalisers[who].normal(reply), number))


class Found(Exception):
    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


class Undecided(Exception):
    """From here on the two may differ for a good reason."""


class Contestant:
    """Plays the steps of a transcript against howdah and compares as it goes."""

    def __init__(self, connect: Connect, transcript: Transcript, within: float) -> None:
        self._connect, self._transcript, self._within = connect, transcript, within
        self._normalisers: dict[Actor, Normaliser] = defaultdict(Normaliser)
        self._read: dict[Actor, int] = defaultdict(int)
        self._outbox = Outbox()

    def play(self) -> Difference | None:
        try:
            for number, step in enumerate(self._transcript.steps):
                if self._transcript.ended.get(step.who, number) >= number:
                    self._take(number, step)
        except Found as found:
            return found.difference
        return None

    def _take(self, number: int, step: Step) -> None:
        client = self._connect(step.who)
        if isinstance(step, Read) or not step.hidden:
            self._outbox.take(client, step)
        if self._transcript.ended.get(step.who) == number:
            self._outbox.empty(client, step.who)
            self._compare_end(step.who, client)
        elif isinstance(step, Read):
            self._compare(number, step.who, client)

    def _compare(self, number: int, who: Actor, client: Client) -> None:
        """As many messages as PostgreSQL had sent by now."""
        replies, until = self._transcript.replies[who], self._transcript.read_until[number]
        while self._read[who] < until:
            self._read[who] += self._compare_next(replies[self._read[who] :], who, client)

    def _compare_next(self, replies: list[Reply], who: Actor, client: Client) -> int:
        """How many of PostgreSQL's replies howdah's next stands for."""
        wanted = replies[0]
        try:
            actual = client.read(self._within)
        except Gone:
            raise Found(Difference(wanted.answers, wanted.message, None)) from None
        except AssertionError:
            raise Found(Difference(wanted.answers, wanted.message, None, "silence")) from None
        return self._matched(replies, self._normalisers[who].normal(actual))

    def _matched(self, replies: list[Reply], actual: Message) -> int:
        wanted = replies[0]
        if actual == wanted.message or fails_otherwise(self._transcript, wanted, actual):
            return 1
        if is_aborted(self._transcript, wanted, actual):
            raise Undecided
        if has_skipped(replies, actual):
            return 2
        raise Found(Difference(wanted.answers, wanted.message, actual))

    def _compare_end(self, who: Actor, client: Client) -> None:
        """All that is left, up to the end of the connection."""
        wanted, ledger = self._transcript.replies[who][self._read[who] :], self._transcript.ledgers[who]
        try:
            replies, piece = client.read_to_cut(self._within)
        except AssertionError:
            raise Found(Difference(None, None, None, "the connection stays")) from None
        if piece and not (ledger.left or ledger.broken):
            raise Found(Difference(None, None, None, "half a message"))
        rest = [self._normalisers[who].normal(reply) for reply in replies]
        last = LastAnswers(self._transcript, wanted, rest, ledger)
        while last.wanted and last.rest:
            del last.wanted[: self._matched(last.wanted, last.rest.pop(0))]
        if last.wanted and not last.may_differ():
            raise Found(Difference(last.wanted[0].answers, last.wanted[0].message, None))
        if last.rest and not last.may_differ():
            raise Found(Difference(None, None, last.rest[0]))


class Outbox:
    """Messages that wait for the next one of their client, to go out in one write."""

    def __init__(self) -> None:
        self._waiting: dict[Actor, bytes] = defaultdict(bytes)

    def take(self, client: Client, step: Step) -> None:
        if isinstance(step, Send):
            self._waiting[step.who] += step.message
        if isinstance(step, Read) or not step.more:
            self.empty(client, step.who)

    def empty(self, client: Client, who: Actor) -> None:
        if message := self._waiting.pop(who, b""):
            send(client, message)


def send(client: Client, message: bytes) -> None:
    """Whoever has closed the connection already is heard of when it is read."""
    with contextlib.suppress(OSError):
        client.send(message)
