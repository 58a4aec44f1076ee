"""A program: what two clients send, and where they stop to read, in one order.

Printed it is Python again: what a failing run shows is pasted into `regressions` as it stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.kit import wire


class Message(bytes):
    """A message's bytes that remember the call that built them."""

    source: str

    def __repr__(self) -> str:
        return self.source


def call(builder: Callable[..., bytes], *arguments: Any, **named: Any) -> Message:
    """`builder` is one of `tests.kit.wire`."""
    message = Message(builder(*arguments, **named))
    shown = [*map(_shown, arguments), *(f"{name}={value!r}" for name, value in named.items())]
    message.source = f"wire.{builder.__name__}({', '.join(shown)})"
    return message


def _shown(argument: Any) -> str:
    if isinstance(argument, bytes) and len(argument) > 100:
        times = len(argument) // 2
        return f"{argument[:2]!r} * {times}" if argument == argument[:2] * times else repr(argument)
    if isinstance(argument, str) and argument.isprintable() and not set(argument) & set('"\\'):
        return f'"{argument}"'
    return repr(argument)


@dataclass(frozen=True)
class Send:
    """`more`: in one write with the client's next message.

    `hidden`: sent to PostgreSQL alone, and what answers it counts for nothing (see `stale`).
    """

    who: "Actor"
    message: bytes
    more: bool = False
    hidden: bool = False

    def __repr__(self) -> str:
        return f"{self.who.name}.sends({self.message!r}{', more=True' * self.more})"


@dataclass(frozen=True)
class Read:
    """Read all that is owed for what was sent so far."""

    who: "Actor"

    def __repr__(self) -> str:
        return f"{self.who.name}.reads()"


Step: TypeAlias = Send | Read
Program: TypeAlias = Sequence[Step]


@dataclass(frozen=True)
class Actor:
    """One of the two clients.  Each has a table of its own, so that neither ever waits for the other's locks."""

    name: str

    def sends(self, message: bytes, *, more: bool = False) -> Send:
        return Send(self, message, more)

    def reads(self) -> Read:
        return Read(self)

    @property
    def table(self) -> str:
        return f"of_{self.name}"


ONE, TWO = ACTORS = Actor("one"), Actor("two")


def listing(program: Program) -> str:
    """The program as Python."""
    return "".join(f"    {step!r},\n" for step in program)


def closing(who: Actor) -> list[Step]:
    """What brings a session to rest from wherever it is: a copy ends, a Sync is reached, no transaction is open."""
    messages = (
        call(wire.copy_fail, "over"),
        call(wire.sync),
        call(wire.query, "ROLLBACK"),
        call(wire.query, "SELECT 'at rest'"),
    )
    return [*(who.sends(message) for message in messages), who.reads()]
