"""A case: what its clients do, step by step.

`case("kept", "SET work_mem = '7MB'", "SHOW work_mem")` is a client that says two things.  A text is a simple query of
client "a"; `by`, `extended` and `protocol` make the other steps that say something.  Who has not said anything before
logs in first; `log_in` does so with startup parameters.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from tests.kit import wire

#: Who logs in unless the case says otherwise: a role that inherits nothing of those that it may take on.
RIDER = "fidelity_rider"
#: Who speaks unless the step says otherwise.
FIRST = "a"


@dataclass(frozen=True, slots=True)
class Say:
    """Send these messages and read up to the given number of ReadyForQuery."""

    who: str
    messages: bytes
    text: str
    times: int = 1

    @property
    def takes_server(self) -> bool:
        """Does it run on a server?  A BEGIN alone is put off until there is something to do."""
        return self.text not in {"BEGIN", "(extended) BEGIN ()"}


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait until so many notifications have come since the last step of this kind; with 0, see that there is none."""

    who: str
    count: int


@dataclass(frozen=True, slots=True)
class LogIn:
    who: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leave:
    who: str


Step: TypeAlias = Say | Hear | LogIn | Leave


@dataclass(frozen=True, slots=True)
class Case:
    """One program.  `setup` is run by a superuser before it, in a new empty schema called scratch; `user` logs in."""

    name: str
    steps: tuple[Step, ...]
    setup: str = ""
    user: str = RIDER


def case(name: str, *steps: str | Step, setup: str = "", user: str = RIDER) -> Case:
    said = tuple(by(FIRST, step) if isinstance(step, str) else step for step in steps)
    return Case(name, said, setup, user)


def by(who: str, sql: str) -> Say:
    """A simple query of another client than the first."""
    return Say(who, wire.query(sql), sql)


def other(sql: str) -> Say:
    """A simple query of the second client."""
    return by("b", sql)


def copy_in(sql: str, *lines: str) -> Say:
    """A COPY FROM STDIN with its data."""
    data = "".join(line + "\n" for line in lines)
    return Say(FIRST, wire.query(sql) + wire.copy_data(data.encode()) + wire.copy_done(), f"{sql} {lines}")


def extended(sql: str, *values: str | None, who: str = FIRST) -> Say:
    """A statement without a name, by the extended protocol."""
    return Say(who, wire.extended(sql, *values) + wire.sync(), f"(extended) {sql} {values}")


def protocol(*messages: bytes, who: str = FIRST) -> Say:
    """These messages and a Sync."""
    return Say(who, b"".join(messages) + wire.sync(), f"(protocol) {b''.join(messages)!r}")


def at_once(*queries: str, who: str = FIRST) -> Say:
    """Several simple queries in one go, without waiting for the answers in between."""
    return Say(who, b"".join(map(wire.query, queries)), f"(at once) {queries}", len(queries))


def execute(name: str, *values: str | None, who: str = FIRST) -> Say:
    """Bind and Execute of a prepared statement, by the extended protocol."""
    run = wire.bind(*values, statement=name) + wire.describe_portal() + wire.execute()
    return Say(who, run + wire.sync(), f"(execute) {name} {values}")


def hear(count: int, who: str = FIRST) -> Hear:
    return Hear(who, count)


def log_in(who: str = FIRST, **parameters: str) -> LogIn:
    return LogIn(who, parameters)


def leave(who: str = FIRST) -> Leave:
    return Leave(who)
