"""The typed face of the data plane: the only way in for the control plane."""

from collections.abc import Sequence
from typing import NamedTuple

from howdah.dataplane.plan import Plan, Secret, TlsPlan
from howdah.dataplane.rows import (
    AuthVerdict,
    ClientRow,
    DepartedClient,
    DurationsRow,
    Event,
    LintRow,
    MemoryRow,
    PeerPoolRow,
    PinReasonRow,
    PinRow,
    PoolRow,
    ServerRow,
    States,
    StatsRow,
)

MAX_WORKERS: int

class Totals(NamedTuple):
    clients: int  # logged in
    waiting: int
    servers: int
    servers_active: int
    xact_count: int
    query_count: int
    events_lost: int  # events dropped because the control plane did not fetch them in time

class TlsError(ValueError):
    """A certificate, key, CA or cipher list cannot be used; the text says which and why (OpenSSL's words)."""

class CertificateFacts(NamedTuple):
    subject: str  # RFC 2253: "CN=db.example.com,O=Example"
    names: tuple[str, ...]  # DNS names and IP addresses it is made out to; the CN where it has none
    not_before_s: int  # seconds since 1970
    not_after_s: int

def check_tls(plan: TlsPlan, towards_clients: bool) -> None:
    """Can `plan` be used?  TlsError says what is wrong with it."""

def read_certificates(pem: bytes) -> list[CertificateFacts]:
    """The certificates of a PEM text, in their order.  TlsError where it is none."""

def is_baggage(baggage: bytes) -> bool:
    """Are these bytes a client, so that `Engine.adopt` takes them?"""

class Engine:
    """N worker threads and the pools they share.

    `listeners[i]` are the listening socket fds of worker i (non-blocking; a fd given to several workers is
    accepted from by whichever is free).  The engine does not close them.  Connections of the fds in `proxied` begin
    with a PROXY header; those in `lent` are left open to the next process when nobody is to come any more.
    """

    def __init__(
        self, listeners: Sequence[Sequence[int]], proxied: Sequence[int] = (), lent: Sequence[int] = ()
    ) -> None: ...
    def start(self, plan: Plan) -> None:
        """Start the workers; they accept from now on."""

    def publish(self, plan: Plan) -> None:
        """Make `plan` the one in force.  Clients and servers are kept where the new plan has their database."""

    def event_fd(self) -> int:
        """A fd that is readable when `events()` has something; `events()` clears it."""

    def events(self) -> list[Event]: ...
    def console_send(self, client: int, data: bytes, then_close: bool) -> None:
        """Send `data` (whole backend messages) to a console client, then close it if asked.  Unknown ids: nothing."""

    def auth_answer(self, client: int, verdict: AuthVerdict, secret: Secret | None = None, message: str = "") -> None:
        """Answer an AUTH_WANTED event, once.  `secret` goes with FOUND, and with ALLOWED where servers are to be logged
        in to with it; `message` goes with UNAVAILABLE and is shown to the client.  Unknown ids: nothing.
        """

    def totals(self) -> Totals: ...
    def pools(self) -> list[PoolRow]: ...
    def clients(self) -> list[ClientRow]: ...
    def servers(self) -> list[ServerRow]: ...
    def stats(self) -> list[StatsRow]: ...
    def memory(self) -> list[MemoryRow]: ...
    def pins(self) -> list[PinRow]: ...
    def pin_reasons(self) -> list[PinReasonRow]: ...
    def lint(self) -> list[LintRow]:
        """What `session_lint` has counted in this process."""

    def durations(self) -> list[DurationsRow]: ...
    def peer_pools(self) -> list[PeerPoolRow]:
        """Of peers that a cancel request has ever been for, those included that are not in [peers] any more."""

    def reasons(self) -> dict[str, int]:
        """How often something was refused or closed since the start, by code of `howdah.reasons`."""

    # What operators do; `database` None: all of them.  Each says what holds from then on, and waits for nothing.
    def pause(self, database: str | None) -> None:
        """Open no servers and keep none: those in use go when their clients release them, and who wants one waits."""

    def resume(self, database: str | None) -> None:
        """Undo `pause` and `kill` of the same; with None also `suspend`."""

    def reconnect(self, database: str | None) -> None:
        """Each server that is open now makes way for a new one when it is released."""

    def kill(self, database: str | None) -> None:
        """`pause`, and send all clients away at once; what their servers run is cancelled and rolled back."""

    def kill_client(self, client: int) -> bool:
        """Send the client with this id away; False: there is none."""

    def disable(self, database: str, disabled: bool) -> None:
        """Refuse whoever logs in to `database` from now on; or no more."""

    def suspend(self) -> None:
        """Read from no client and no server any more, but for the console's, and send on what has been read."""

    def unsent(self) -> int:
        """How many connections have something to send yet, while suspended."""

    def give_up_unsent(self) -> None:
        """Close these."""

    def states(self) -> States: ...
    def servers_left(self, database: str | None, superseded: bool) -> int:
        """Servers that PostgreSQL has not let go of yet: all, or those that `reconnect` and new plans have replaced."""

    def clients_left(self) -> int:
        """Clients that are in, or on their way in or to another process; the console's do not count."""

    def newcomers_left(self) -> int:
        """Connections of which it is not known yet who they are, or whether they may come in; the console's, too."""

    def close_doors(self) -> None:
        """Stop accepting, but over Unix sockets for the console.  Clients that are in stay."""

    def drain(self) -> None:
        """`close_doors`; clients that are idle outside a transaction are closed (57P01), others when theirs ends."""

    # Another process takes over.
    def lend_doors(self) -> None:
        """The listening sockets are another process's, too, from now on: accept, and leave them open whatever comes."""

    def hand_over(self, berths: int) -> None:
        """Accept nobody any more.  Clients leave as they become idle, so many at a time at most; those with TLS are
        sent away then (57P01); who keeps a server stays as long.  No server is kept for later.
        """

    def stay(self) -> None:
        """Neither of these two any more."""

    def more_berths(self, count: int) -> None:
        """So many of those who left have arrived: others may leave."""

    def departure_fd(self) -> int:
        """A fd that is readable when `departures()` has something; `departures()` clears it."""

    def departures(self) -> list[DepartedClient]: ...
    def adopt(self, fd: int, baggage: bytes) -> None:
        """Take a client in that has left here or elsewhere; the socket is the engine's from then on.  ValueError where
        `baggage` is none.
        """

    def expect_cancels(self, expected: bool) -> None:
        """Tell of cancel requests with keys that nobody here has: CANCEL_ELSEWHERE."""

    def cancel(self, pid: int, secret: bytes) -> bool:
        """Cancel what the client with this key runs, if it runs anything; False: there is none."""

    def stop(self) -> None:
        """Close every client (57P01) and server and join the workers.  Idempotent."""
