"""The other clients of a case's pool, who see that no server is the same from one step to the next.

Before each step they take both servers, or the one that the case has not pinned, and soil them.  Then all but one are
free again: the one that the case's last transaction ran on is kept, so that the next one has to run on another.
Nothing here is left to chance or to time: who asks for a server gets it, or the console says that all are in use.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from tests.fidelity.player import Differs
from tests.fidelity.soils import FAILED, LEAVING, STAYING
from tests.kit import wire
from tests.kit.client import Client, Gone
from tests.kit.deadline import POLL_EVERY, wait_until
from tests.kit.readiness import readable

SERVERS = 2
#: How often in a row the console has to say that all servers are in use: one may be about to be given back.
TIMES = 3
#: Not serializable, whatever was left behind: nobody may have to wait for a neighbour.
TAKE = wire.query("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_backend_pid()")
#: How long a neighbour waits for what it is owed, in seconds.
WITHIN = 4.0


class Neighbour:
    """One client: it keeps a server until it gives it back."""

    def __init__(self, open_: Callable[[], Client]) -> None:
        self._open = open_
        self._client: Client | None = None
        self._ways_to_go = itertools.cycle([Client.close, Client.reset, Client.vanish])
        self.server = 0

    def ask(self) -> None:
        self._client, self.server = self._client or self._open(), 0
        self._client.send(TAKE)

    def has_server(self) -> bool:
        """Has the answer come, and with it the server?"""
        assert self._client is not None
        while self._client.has_input() or readable(self._client.socket, POLL_EVERY):
            reply = self._client.read()
            if reply.tag == "D":
                self.server = int(reply.row[0] or 0)
            elif reply.tag == "Z":
                assert self.server, "a neighbour cannot begin a transaction"
                return True
        return False

    def soil(self, soils: Sequence[str], leaves: bool) -> None:
        """Leave this in the server, and have it again: nobody else asks.  `leaves`: go away, and come again."""
        assert self._client is not None
        queries = ["COMMIT", *soils]
        self._client.send(*map(wire.query, queries))
        try:
            self._client.read_ready(len(queries), WITHIN)
        except Gone:
            self._client = None
        if leaves:
            self.go()
        self.ask()
        wait_until(self.has_server, "the server that a neighbour has just had", WITHIN)

    def give_back(self) -> None:
        if self.server:
            assert self._client is not None
            self._client.query("COMMIT", WITHIN)
            self.server = 0

    def go(self) -> None:
        if self._client is not None:
            next(self._ways_to_go)(self._client)
        self._client, self.server = None, 0


class Neighbourhood:
    """Two neighbours of a pool.  Before each step one does what it may and stays, the other does all and goes away."""

    def __init__(self, open_: Callable[[], Client], pool: Callable[[], dict[str, Any]]) -> None:
        """`pool`: the console's row of this pool."""
        self._pool = pool
        self._pair = [Neighbour(open_), Neighbour(open_)]
        #: Whether the last server that each of the case's clients got was left by one who went away.
        self._was_left: dict[str, bool] = {}
        #: What the last transaction of each of the case's clients ran on: it was the only server that was free.
        self._last: dict[str, int] = {}
        self._latest = 0
        #: For each step until now the servers that the neighbours had, and the one that they gave back last.
        self.steps: list[tuple[int, ...]] = []

    def shuffle(self, who: str, takes_server: bool) -> None:
        """Called before each step of the case's client `who`."""
        try:
            self._shuffle(who, takes_server)
        except (AssertionError, OSError, Gone) as error:
            raise Differs("PostgreSQL serves everybody; howdah has left a neighbour alone") from error

    def _shuffle(self, who: str, takes_server: bool) -> None:
        for neighbour in self._pair:
            neighbour.give_back()
        holding = [neighbour for neighbour in self._pair if self._takes(neighbour)]
        holding.sort(key=lambda neighbour: neighbour.server != self._last.get(who, self._latest))
        leaves = not self._was_left.get(who, False)
        for neighbour in reversed(holding):
            neighbour.soil([*LEAVING, *STAYING, FAILED] if leaves else STAYING, leaves)
            leaves = not leaves
        if takes_server and len(holding) == SERVERS:
            self._last[who] = self._latest = holding[-1].server
            self._was_left[who] = not self._was_left.get(who, False)
        self.steps.append(tuple(neighbour.server for neighbour in holding))
        for neighbour in holding[-1:]:
            neighbour.give_back()

    def leave(self) -> None:
        for neighbour in self._pair:
            neighbour.go()

    def _takes(self, neighbour: Neighbour) -> bool:
        """Has it a server now?  If there is none it goes, for nobody may wait in front of the case."""
        neighbour.ask()
        if wait_until(lambda: "served" if neighbour.has_server() else "told" if self._is_full() else "",
                      "a server, or to be told that there is none", WITHIN) == "told":  # fmt: skip
            neighbour.go()
        return bool(neighbour.server)

    def _is_full(self) -> bool:
        return all(_is_full(self._pool()) for _ in range(TIMES))


def _is_full(row: dict[str, Any]) -> bool:
    """Are all servers in use, and is the neighbour in line?"""
    counts = {name: int(value) for name, value in row.items() if name.startswith("sv_") and int(value)}
    return counts == {"sv_active": SERVERS} and int(row["cl_waiting"]) > 0
