"""One story told twice: to PostgreSQL itself and to howdah before it, with the same ending.

A story is what an application does through its driver.  It notes what it gets, which must be the same on both sides,
and which backend served which of its clients, which must not: `Both` judges.  Stories in other languages than Python
are programs that print their notes as JSON, one a line: {"note": what, "value": ...}, {"client": name, "pid": number}.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.kit.deadline import PATIENCE

#: Who tells stories, and where.
USER, PASSWORD, DATABASE = "alice", "white rabbit", "shop"
#: How long a story in another language may take, in seconds.
LONGEST = 60.0


class Closable(Protocol):
    """A driver's connection."""

    def close(self) -> Any: ...


C = TypeVar("C", bound=Closable)


@dataclass
class Side:
    """Where a story is told, and what has come of it."""

    name: str
    host: str
    port: int
    notes: list[tuple[str, Any]] = field(default_factory=list)
    served: dict[str, list[int]] = field(default_factory=dict)
    _connections: list[Closable] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, Any]:
        """As most drivers' connect functions name them."""
        return {"host": self.host, "port": self.port, "user": USER, "password": PASSWORD}

    @property
    def environment(self) -> dict[str, str]:
        """As libpq and those who follow it read them."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": DATABASE,
        }

    def note(self, what: str, value: Any) -> None:
        """What the driver gave; PostgreSQL and howdah must agree on it."""
        self.notes.append((what, value))

    def serves(self, client: object, pid: int) -> None:
        """This backend has served this client of the story's just now."""
        self.served.setdefault(str(client), []).append(int(pid))

    def lend(self, connection: C) -> C:
        """A connection that is closed when the story is over, or has failed: others want its server."""
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()

    def run(self, *command: str | Path, text: str = "", **environment: str) -> str:
        """A program with this side in its environment, and its standard output."""
        done = subprocess.run(
            [str(part) for part in command], input=text, capture_output=True, text=True, check=False,
            timeout=LONGEST * PATIENCE, env={**os.environ, **self.environment, **environment},
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {command[0]} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout

    def tell(self, *command: str | Path, **environment: str) -> None:
        """A story in another language, its notes taken."""
        for line in self.run(*command, **environment).splitlines():
            told = json.loads(line)
            if "pid" in told:
                self.serves(told["client"], told["pid"])
            else:
                self.note(told["note"], told["value"])


#: Makes a side ready and keeps it so for a while.
Stage = Callable[[], AbstractContextManager[Side]]


class Both:
    """``for side in both:`` runs its body twice, and then compares."""

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages
        self._telling: Generator[Side, None, None] | None = None

    def __iter__(self) -> Iterator[Side]:
        self._telling = self._tell()
        return self._telling

    def _tell(self) -> Generator[Side, None, None]:
        told = []
        for stage in self._stages:
            with stage() as side, contextlib.closing(side):
                yield side
            told.append(side)
        compare(*told)

    def close(self) -> None:
        """Leave the stage that a failing story has not left."""
        assert self._telling is not None, "the story was not told"
        self._telling.close()


def compare(direct: Side, pooled: Side) -> None:
    """The same notes, and nobody who was always served by the same backend."""
    assert direct.notes, "the story notes nothing"
    for expected, actual in zip(direct.notes, pooled.notes, strict=False):
        assert actual == expected, f"through howdah {actual}, on PostgreSQL {expected}"
    assert pooled.notes == direct.notes
    assert direct.served.keys() == pooled.served.keys() != set(), (direct.served, pooled.served)
    moved = {client: pids for client, pids in direct.served.items() if len(set(pids)) != 1}
    assert not moved, f"on PostgreSQL itself a client cannot move: {moved}"
    stayed = {client: pids for client, pids in pooled.served.items() if len(set(pids)) < 2}
    assert not stayed, f"always served by the same backend: {stayed}"
