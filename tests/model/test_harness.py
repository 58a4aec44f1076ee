"""The referee himself: he finds what is wrong, and nothing where nothing is."""

import random
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pytest

from tests.kit import wire
from tests.kit.client import Client
from tests.kit.postgres import Postgres
from tests.kit.wire import Message
from tests.model import generator, shrinking
from tests.model.play import Oracle
from tests.model.program import ONE, TWO, Program, Send, Step, listing
from tests.model.universe import THROUGH, Referee, Universe

#: The same programs in each run, so that what a test proves is the same each time.
SEED = 20_26


def programs(count: int) -> list[Program]:
    dice = random.Random(SEED)
    return [generator.program(dice) for _ in range(count)]


def twin(postgres: Postgres, direct: Universe, session: Callable[[Postgres], Client]) -> Referee:
    """A referee who takes PostgreSQL, spoken to by `session`, for howdah."""
    return Referee(direct, Universe(postgres, THROUGH, partial(session, postgres)), within=1.0)


class Honest(Client):
    """Says and hears what is said."""

    def __init__(self, postgres: Postgres) -> None:
        super().__init__(postgres.address)
        self.log_in(user="alice", database=THROUGH)


def test_postgresql_answers_as_postgresql_does(databases: Postgres, direct: Universe) -> None:
    referee = twin(databases, direct, Honest)
    for program in programs(60):
        difference = referee.difference(program)
        assert not difference, f"\n{listing(program)}{difference}"
    assert referee.count.played > 50
    referee.close()


# Lies: each is what a pooler may get wrong.  A lie takes a message and gives what comes instead of it.


def no_second_parse_complete(client: "Liar", reply: Message) -> Message | None:
    client.count += reply.tag == "1"
    return None if reply.tag == "1" and client.count == 2 else reply


def always_idle(client: "Liar", reply: Message) -> Message | None:
    return Message("Z", b"I") if reply.tag == "Z" else reply


def no_notices(client: "Liar", reply: Message) -> Message | None:
    return None if reply.tag == "N" else reply


def names_of_its_own(client: "Liar", reply: Message) -> Message | None:
    if reply.tag == "E" and reply.sqlstate in {"26000", "42P05"}:
        return Message("E", reply.body.replace(b'"s"', b'"howdah_7"'))
    return reply


def settings_kept_to_itself(client: "Liar", reply: Message) -> Message | None:
    return None if reply.tag == "S" else reply


def one_more_ready(client: "Liar", reply: Message) -> Message | None:
    """Never comes by itself: the last message twice."""
    if reply.tag == "C" and reply.text == "DEALLOCATE ALL":
        client.again = [reply]
    return reply


Lie: TypeAlias = Callable[["Liar", Message], Message | None]
LIES: list[Lie] = [
    no_second_parse_complete,
    always_idle,
    no_notices,
    names_of_its_own,
    settings_kept_to_itself,
    one_more_ready,
]


class Liar(Honest):
    """Changes what it reads, once it is in."""

    count = 0

    def __init__(self, postgres: Postgres, lie: Lie) -> None:
        self.again: list[Message] = []
        self.told: Callable[[Message], Message | None] = lambda reply: reply
        super().__init__(postgres)
        self.told = partial(lie, self)

    def read(self, within: float = 5.0) -> Message:
        if self.again:
            return self.again.pop()
        while (told := self.told(super().read(within))) is None:
            pass
        return told


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_is_caught(databases: Postgres, direct: Universe, lie: Lie) -> None:
    referee = twin(databases, direct, lambda postgres: Liar(postgres, lie))
    assert any(referee.difference(program) for program in programs(150))
    referee.close()


class Curing(Honest):
    """Parses the statement of `outdated` again before each Bind."""

    hidden = 0

    def send(self, *messages: bytes) -> None:
        again = [wire.close_statement("s"), wire.parse("SELECT * FROM of_one ORDER BY n", "s")]
        for message in messages:
            is_bind = message[:1] == b"B"
            super().send(*again * is_bind, message)
            self.hidden += 2 * is_bind

    def read(self, within: float = 5.0) -> Message:
        while (reply := super().read(within)).tag in "13" and self.hidden:
            self.hidden -= 1
        return reply


class Forgetful(Honest):
    """Loses every Close."""

    def send(self, *messages: bytes) -> None:
        super().send(*(self._without_name(message) for message in messages))

    def _without_name(self, message: bytes) -> bytes:
        return message if message[:1] != b"C" else wire.close_statement("nobody's")


def outdated(*before: Step) -> Program:
    """A statement of all columns, and one column more; then what `before` says, and the statement again."""
    parsed: list[Step] = [
        ONE.sends(wire.parse("SELECT * FROM of_one ORDER BY n", "s")),
        ONE.sends(wire.sync()),
        ONE.reads(),
    ]
    changed = ONE.sends(wire.query("ALTER TABLE of_one ADD COLUMN more text"))
    messages = wire.bind(statement="s"), wire.describe_portal(), wire.execute(), wire.sync()
    used: list[Step] = [*(ONE.sends(message, more=True) for message in messages), ONE.reads()]
    return [*parsed, changed, *before, *used]


def test_an_outdated_statement_may_be_parsed_again(databases: Postgres, direct: Universe) -> None:
    referee = twin(databases, direct, Curing)
    assert not referee.difference(outdated())
    assert not referee.difference(outdated(ONE.sends(wire.query("BEGIN"))))
    assert referee.count.cured == 2
    referee.close()


def test_a_lost_message_is_caught(databases: Postgres, direct: Universe) -> None:
    referee = twin(databases, direct, Forgetful)
    assert any(referee.difference(program) for program in programs(150))
    referee.close()


def test_what_fails_is_made_small() -> None:
    needed: list[Step] = [ONE.sends(wire.query("BEGIN")), ONE.reads(), TWO.sends(wire.query("COMMIT"))]
    noise: list[Step] = [ONE.sends(wire.sync()), TWO.reads(), TWO.sends(wire.flush())]
    program = [*noise, needed[0], *noise * 3, needed[1], *noise, needed[2], *noise * 5]
    assert shrinking.shrunk(program, lambda part: all(step in part for step in needed)) == needed


def test_a_listing_is_the_program() -> None:
    for program in programs(100):
        text = f"[{listing(program)}]"
        assert eval(text, {"wire": wire, "one": ONE, "two": TWO}) == program


def test_programs_say_what_they_should(direct: Universe) -> None:
    """Each type of message goes out and comes back, and every kind of mistake is made."""
    sent, came, mistakes = set[str](), set[str](), set[str]()
    for program in programs(160):
        direct.prepare(program)
        transcript = Oracle(direct.connect, program, within=5.0).play()
        direct.renew_sessions(transcript)
        sent |= {chr(step.message[0]) for step in program if isinstance(step, Send)}
        came |= {reply.message.tag for replies in transcript.replies.values() for reply in replies}
        mistakes |= {reply.message.sqlstate for reply in transcript.errors}
    direct.close()
    assert sent >= set("PBDECHSQFdcfX")
    assert came >= set("123CDEGHINSTVZcdnst")
    assert MISTAKES - mistakes == set()


#: Of protocol and names, of transactions, of statements, of copies.
MISTAKES = {"08P01", "26000", "34000", "42P05", "42P03", "42601", "42P18", "25001", "25P01", "25P02", "22012",
            "22P02", "0A000", "57014"}  # fmt: skip
