"""What PostgreSQL answered to a program, and where howdah differs from it."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.kit.wire import Message
from tests.model.ledger import Ledger
from tests.model.program import Actor, Program, Send, Step


@dataclass(frozen=True)
class Reply:
    """A message from PostgreSQL, in a form that can be compared, and the number of the step that it answers."""

    message: Message
    answers: int


@dataclass
class Transcript:
    """The `steps` are the program's and those that bring the clients to rest."""

    program: Program
    steps: list[Step] = field(default_factory=list)
    replies: dict[Actor, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    #: How many of its replies a client has read after a step that reads.
    read_until: dict[int, int] = field(default_factory=dict)
    #: The step with which a client's connection ended.
    ended: dict[Actor, int] = field(default_factory=dict)
    ledgers: dict[Actor, Ledger] = field(default_factory=lambda: defaultdict(Ledger))

    @property
    def errors(self) -> list[Reply]:
        return [reply for replies in self.replies.values() for reply in replies if reply.message.tag == "E"]

    def sent(self, number: int) -> Send:
        """The step of that number, which sends."""
        step = self.steps[number]
        assert isinstance(step, Send)
        return step


@dataclass(frozen=True)
class Difference:
    """Where howdah first said something else, and what.  None is the end of the connection."""

    #: The step that the expected message answers.
    answers: int | None
    expected: Message | None
    actual: Message | None
    problem: str = ""

    def __str__(self) -> str:
        about = "" if self.answers is None else f" to step {self.answers + 1}"
        return f"PostgreSQL answers{about}: {_shown(self.expected)}\nhowdah: {self.problem or _shown(self.actual)}"


def _shown(reply: Message | None) -> str:
    """A reply for people."""
    if reply is None:
        return "the end of the connection"
    if reply.tag in "EN":
        return f"{reply.tag} {reply.fields}"
    return f"{reply.tag} {reply.body!r}"
