"""The typed face of the data plane: the only way in for the control plane."""

from collections.abc import Sequence
from typing import NamedTuple

from howdah.dataplane.plan import Plan
from howdah.dataplane.rows import ClientRow, Event, PoolRow, ServerRow, StatsRow

MAX_WORKERS: int

class Totals(NamedTuple):
    clients: int  # logged in
    waiting: int
    servers: int
    servers_active: int
    xact_count: int
    query_count: int
    events_lost: int  # events dropped because the control plane did not fetch them in time

class Engine:
    """N worker threads and the pools they share.

    `listeners[i]` are the listening socket fds of worker i (non-blocking; a fd given to several workers is
    accepted from by whichever is free).  The engine does not close them.
    """

    def __init__(self, listeners: Sequence[Sequence[int]]) -> None: ...
    def start(self, plan: Plan) -> None:
        """Start the workers; they accept from now on."""

    def publish(self, plan: Plan) -> None:
        """Make `plan` the one in force.  Clients and servers are kept where the new plan has their database."""

    def event_fd(self) -> int:
        """A fd that is readable when `events()` has something; `events()` clears it."""

    def events(self) -> list[Event]: ...
    def console_send(self, client: int, data: bytes, then_close: bool) -> None:
        """Send `data` (whole backend messages) to a console client, then close it if asked.  Unknown ids: nothing."""

    def totals(self) -> Totals: ...
    def pools(self) -> list[PoolRow]: ...
    def clients(self) -> list[ClientRow]: ...
    def servers(self) -> list[ServerRow]: ...
    def stats(self) -> list[StatsRow]: ...
    def drain(self) -> None:
        """Stop accepting; clients that are idle outside a transaction are closed (57P01), others when theirs ends."""

    def stop(self) -> None:
        """Close every client (57P01) and server and join the workers.  Idempotent."""
