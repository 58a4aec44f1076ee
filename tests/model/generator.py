"""Random programs, made phrase by phrase so that most of what they say makes sense.

A plain random generator and no Hypothesis strategy: it is ten times as fast, one run finds several faults, and a fault
that shows up three times out of four (the kernel gives each client to either worker) is still reduced.
"""

import random
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from tests.kit import wire
from tests.model import vocabulary as words
from tests.model.program import ACTORS, Actor, Message, Step, call

Phrase: TypeAlias = Callable[["Author"], list[Message]]


class Author:
    """Writes one client's part of a program."""

    def __init__(self, dice: random.Random, who: Actor, names: list[str], portals: list[str]) -> None:
        self.dice, self.who, self.names, self.portals = dice, who, names, portals
        self.reads_often = dice.choice([0.1, 0.5, 0.9, 1.0])
        self.joins_often = dice.choice([0.0, 0.7, 1.0])
        self.syncs_often = dice.choice([0.5, 0.9, 1.0])
        #: How many parameters the statement last parsed under a name takes.
        self.takes: dict[str, tuple[str | None, ...]] = {}

    def write(self, phrases: int, of: Mapping[Phrase, int]) -> list[Step]:
        """`of`: the kinds of phrases, each with its weight."""
        chosen = self.dice.choices(list(of), list(of.values()), k=phrases)
        return [step for kind in chosen for step in self._steps(kind(self))]

    def _steps(self, messages: Iterable[Message]) -> Iterable[Step]:
        for message in messages:
            more = message[0] not in b"SQHFX" and self.dice.random() < self.joins_often
            yield self.who.sends(message, more=more)
            if message[0] in b"SQHFX" and self.dice.random() < self.reads_often:
                yield self.who.reads()

    # words

    def text(self, *lists: Iterable[str]) -> str:
        return self.dice.choice([text for texts in lists for text in texts]).replace("$T", self.who.table)

    def name(self) -> str:
        return self.dice.choice(self.names)

    def portal(self) -> str:
        return self.dice.choice(["", "", "", *self.portals])

    def anything(self) -> str:
        """A text for the extended protocol."""
        lists = (
            words.WRITING,
            words.FAILING,
            words.BEGINNING,
            words.ENDING,
            words.WITHIN,
            words.SETTING,
            words.FORGETTING,
        )
        return self.text(self.dice.choice([words.READING, words.READING, *lists]))

    # extended messages

    def parse(self, name: str) -> Message:
        if self.dice.random() < 0.4:
            text = self.text(words.WITH_PARAMETERS)
            values = words.WITH_PARAMETERS[text.replace(self.who.table, "$T")]
        else:
            text, values = self.anything(), ()
        self.takes[name] = values
        if self.dice.random() < 0.15:
            return call(wire.parse, text, name, self.dice.choice(words.TYPES))
        return call(wire.parse, text, name) if name else call(wire.parse, text)

    def bind(self, name: str, portal: str) -> Message:
        values = self.takes.get(name, ())
        if self.dice.random() < 0.05:
            wrong = ("no number",) * len(values), (None,) * len(values)
            values = self.dice.choice([(), ("1",), ("1", "2", "3"), *wrong])
        named: dict[str, object] = {}
        if portal:
            named["portal"] = portal
        if name:
            named["statement"] = name
        if self.dice.random() < 0.1:
            named["formats"] = self.dice.choice([(1,), (0,), (1, 0), (7,)])
        if self.dice.random() < 0.03:
            named["given"] = self.dice.choice([(1,), (0, 0), (0, 0, 0)])
        return call(wire.bind, *values, **named)

    def execute(self, portal: str) -> Message:
        """Of the unnamed portal only right behind its Bind.

        Behind a simple query that has failed inside a transaction PostgreSQL 18 still has its portal, looks at memory
        that is not its any more, and may crash.
        """
        limit = self.dice.choice(words.LIMITS)
        return call(wire.execute, portal, limit) if limit else call(wire.execute, *[portal] * bool(portal))

    def sync(self) -> list[Message]:
        """Mostly; without it the next phrase belongs to the same implicit transaction."""
        return [call(wire.sync)] if self.dice.random() < self.syncs_often else []

    def maybe(self, *messages: Message, chance: float = 0.5) -> list[Message]:
        return list(messages) if self.dice.random() < chance else []

    # phrases

    def simple(self) -> list[Message]:
        return [call(wire.query, self.text(words.READING, words.WRITING, words.SEVERAL))]

    def failing(self) -> list[Message]:
        return [call(wire.query, self.text(words.FAILING))]

    def transaction(self) -> list[Message]:
        texts = self.dice.choice([words.BEGINNING, words.ENDING, words.ENDING, words.WITHIN])
        return [call(wire.query, self.text(texts))]

    def whole_transaction(self) -> list[Message]:
        """Begun and ended, each by either protocol."""
        kinds = [Author.simple, Author.unnamed, Author.reuse, Author.transaction]
        inside = [message for kind in self.dice.choices(kinds, k=self.dice.randrange(3)) for message in kind(self)]
        return [*self.statement(self.text(words.BEGINNING)), *inside, *self.statement(self.text(words.ENDING))]

    def statement(self, text: str) -> list[Message]:
        if self.dice.random() < 0.6:
            return [call(wire.query, text)]
        parts = [call(wire.parse, text), call(wire.bind), call(wire.execute)]
        return [*parts, *self.maybe(call(wire.sync), chance=0.8)]

    def unnamed(self) -> list[Message]:
        parse, portal = self.parse(""), self.portal()
        described = self.maybe(call(wire.describe_portal, *[portal] * bool(portal)))
        return [parse, self.bind("", portal), *described, self.execute(portal), *self.sync()]

    def prepare(self) -> list[Message]:
        name = self.name()
        return [self.parse(name), *self.maybe(call(wire.describe_statement, name)), *self.sync()]

    def reuse(self) -> list[Message]:
        name, portal = self.name(), self.portal()
        described = self.maybe(call(wire.describe_portal, portal), chance=0.3)
        return [self.bind(name, portal), *described, self.execute(portal), *self.sync()]

    def prepare_and_use(self) -> list[Message]:
        """What drivers do: Parse, and from then on Bind alone."""
        name = self.name()
        described = self.maybe(call(wire.describe_statement, name))
        close = self.maybe(call(wire.close_statement, name), chance=0.15)
        uses = [[self.bind(name, ""), call(wire.execute), *self.sync()] for _ in range(self.dice.randrange(1, 4))]
        return [*close, self.parse(name), *described, *self.sync(), *(message for use in uses for message in use)]

    def close(self) -> list[Message]:
        close = self.dice.choice([call(wire.close_statement, self.name()), call(wire.close_portal, self.portal())])
        return [close, *self.sync()]

    def loose(self) -> list[Message]:
        """Extended messages in no order."""
        name, portal, open_ = self.dice.choice([self.name(), ""]), self.portal(), self.dice.choice(self.portals)
        kinds: list[Callable[[], Message]] = [
            lambda: self.parse(name), lambda: self.bind(name, portal), lambda: self.execute(open_),
            lambda: call(wire.describe_statement, name), lambda: call(wire.describe_portal, portal),
            lambda: call(wire.close_statement, name), lambda: call(wire.close_portal, portal), lambda: call(wire.flush),
        ]  # fmt: skip
        return [*(self.dice.choice(kinds)() for _ in range(self.dice.randrange(1, 5))), *self.sync()]

    def portals_in_parts(self) -> list[Message]:
        name = self.dice.choice([self.name(), ""])
        parse = self.maybe(self.parse(name), chance=0.6)
        one, two = self.dice.choices(self.portals, k=2)
        fetches = [self.execute(self.dice.choice([one, two])) for _ in range(self.dice.randrange(2, 5))]
        begin = self.maybe(call(wire.query, "BEGIN"))
        return [*begin, *parse, self.bind(name, one), self.bind(name, two), *self.sync(), *fetches, *self.sync()]

    def sync_or_flush(self) -> list[Message]:
        return [call(self.dice.choice([wire.sync, wire.sync, wire.flush])) for _ in range(self.dice.randrange(1, 3))]

    def forget(self) -> list[Message]:
        if self.dice.random() < 0.5:
            return self.statement(self.text(words.FORGETTING))
        # An SQL identifier is cut to 63 bytes, between two characters: howdah leaves longer ones to PostgreSQL.  And
        # nothing keeps a client from dropping what howdah has prepared under a name of its own.
        fit = [name for name in self.names if len(name.encode()) < 64 and not name.startswith("howdah_")]
        name = self.dice.choice([*fit, "s"])
        quoted = '"' + name.replace('"', '""') + '"'
        return [call(wire.query, self.dice.choice(words.FORGETTING_ONE) % quoted)]

    def set(self) -> list[Message]:
        return self.statement(self.text(words.SETTING))

    def define(self) -> list[Message]:
        return [call(wire.sync), call(wire.query, "ROLLBACK"), call(wire.query, self.text(words.DEFINING))]

    def outdate(self) -> list[Message]:
        """A statement whose result changes between Parse and Bind."""
        name = self.dice.choice([self.name(), ""])
        parse = [*self.maybe(call(wire.close_statement, name)), call(wire.parse, self.text(words.SHAPED), name)]
        self.takes[name] = ()
        describe = self.maybe(call(wire.describe_statement, name), chance=0.3)
        used = [*describe, self.bind(name, ""), call(wire.describe_portal), call(wire.execute)]
        begin = self.maybe(call(wire.query, "BEGIN"), chance=0.2)
        return [*parse, call(wire.sync), *self.define(), *begin, *used, *self.sync(), *used, *self.sync()]

    def copy_data(self) -> list[Message]:
        rows = [call(wire.copy_data, self.dice.choice(words.ROWS)) for _ in range(self.dice.randrange(4))]
        ignored = self.maybe(call(self.dice.choice([wire.sync, wire.flush])), chance=0.2)
        others = [[call(wire.copy_fail, "changed my mind")], [], [call(wire.query, "SELECT 1")]]
        return [*rows, *ignored, *self.dice.choice([*[[call(wire.copy_done)]] * 4, *others])]

    def copy_by_query(self) -> list[Message]:
        return [call(wire.query, self.text(words.COPYING_IN)), *self.copy_data()]

    def copy_by_execute(self) -> list[Message]:
        name = self.dice.choice([self.name(), ""])
        start = [call(wire.parse, self.text(words.COPYING_IN[:1]), name), self.bind_plain(name), call(wire.execute)]
        more = self.maybe(*self.unnamed(), chance=0.2)
        return [*start, *self.maybe(call(wire.sync), chance=0.2), *self.copy_data(), *more, *self.sync()]

    def bind_plain(self, name: str) -> Message:
        self.takes[name] = ()
        return call(wire.bind, statement=name) if name else call(wire.bind)

    def stray_copy(self) -> list[Message]:
        kinds = [call(wire.copy_data, b"9\n"), call(wire.copy_done), call(wire.copy_fail, "no copy")]
        return [self.dice.choice(kinds) for _ in range(self.dice.randrange(1, 3))]

    def function(self) -> list[Message]:
        function = self.dice.choice([words.INT4PL, words.INT4DIV, words.INT4DIV, words.NO_FUNCTION])
        values = [struct.pack("!i", self.dice.randrange(2)) for _ in range(self.dice.choice([1, 2, 2, 2]))]
        return [call(wire.function_call, function, *values)]

    def malformed(self) -> list[Message]:
        """A Query that cannot be read is for howdah the end of the unnamed statement, for PostgreSQL it is not."""
        tag, body = self.dice.choice(words.MALFORMED)
        close = [call(wire.close_statement)] if tag == b"Q" else []
        return [call(wire.message, tag, body), *close, *self.sync()]


PHRASES: dict[Phrase, int] = {
    Author.simple: 8,
    Author.failing: 3,
    Author.transaction: 8,
    Author.whole_transaction: 5,
    Author.unnamed: 8,
    Author.prepare: 8,
    Author.reuse: 10,
    Author.prepare_and_use: 10,
    Author.close: 5,
    Author.loose: 8,
    Author.portals_in_parts: 4,
    Author.sync_or_flush: 4,
    Author.forget: 4,
    Author.set: 2,
    Author.define: 2,
    Author.outdate: 3,
    Author.copy_by_query: 3,
    Author.copy_by_execute: 3,
    Author.stray_copy: 2,
    Author.function: 2,
    Author.malformed: 3,
}


def last_words(dice: random.Random) -> list[Message]:
    """How a client may end its connection; mostly it does not."""
    kind = dice.randrange(40)
    if kind == 0:
        return [call(wire.terminate)]
    if kind == 1:
        return [call(wire.message, dice.choice(words.BROKEN), b"what")]
    if kind == 2:
        return [broken(dice.choice(b"QPBDESX").to_bytes() + dice.choice(words.BROKEN_LENGTHS))]
    if kind == 3:
        return [call(wire.describe_portal, "x" * words.TOO_LONG)]
    return []


def broken(header: bytes) -> Message:
    message = Message(header)
    message.source = repr(header)
    return message


def program(dice: random.Random) -> list[Step]:
    """One or two clients' parts, interleaved."""
    names = dice.sample(words.NAMES, dice.randrange(1, 4))
    portals = dice.sample(words.PORTALS, 2)
    size = dice.choice([1, 2, 3, 5, 8])
    parts = []
    for who in ACTORS[: dice.choice([1, 2, 2])]:
        author = Author(dice, who, names, portals)
        end = [who.sends(message) for message in last_words(dice)]
        parts.append([*author.write(dice.randrange(size) + 1, PHRASES), *end])
    return riffle(dice, parts)


def riffle(dice: random.Random, parts: list[list[Step]]) -> list[Step]:
    """The parts' steps in their order, in runs of random length."""
    mixed: list[Step] = []
    queues = [list(part) for part in parts]
    while queues := [queue for queue in queues if queue]:
        queue = dice.choice(queues)
        run = min(dice.choice([1, 2, 4, 8]), len(queue))
        mixed += queue[:run]
        del queue[:run]
    return mixed
