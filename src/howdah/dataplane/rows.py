"""What comes up from the data plane: events, and rows for SHOW and metrics.

Times are microseconds of CLOCK_REALTIME (`*_at_us`) or plain durations (`*_us`).
"""

from enum import IntEnum
from typing import NamedTuple


class EventKind(IntEnum):
    """What an `Event` tells."""

    CLIENT_LOGIN = 1  # a client logged in (only with log_connections); detail: its TLS, the name asked for, replication
    CLIENT_CLOSED = 2  # a client is gone; reason says why, age_us how long it was here
    SERVER_LOGIN = 3  # a server connection is ready
    SERVER_CLOSED = 4  # a server connection is gone
    SERVER_REFUSED = 5  # a server could not be reached or refused the login; detail is its message
    PIN = 6  # a link became a pin; reason says why, detail is the text that brought it about, if that is known
    CONSOLE_OPEN = 7  # a client logged in to database "pgbouncer"; detail is its startup parameters, NUL separated
    CONSOLE_DATA = 8  # detail is whole messages of that client, as they came
    CONSOLE_CLOSED = 9  # that client is gone
    WORKER_FAILED = 10  # a worker met something it cannot go on from; detail says what
    AUTH_WANTED = 11  # a login needs an answer of the outside world; detail is an AuthRequest
    AUTH_STALE = 12  # a login failed although auth_query had an answer: what is cached for database and user is to go
    SERVER_QUERY_FAILED = 13  # a query of ours did, which the server outlives; reason says which, detail why
    PIN_WARNED = 14  # as PIN, where it is not welcome
    STATEMENT_REFUSED = 15  # it was not run; reason says why, detail because of what, a NUL, and its text
    CLIENT_ATTEMPT = 16  # a client wants to log in (only with log_connections, in PgBouncer's place); as CLIENT_LOGIN
    SERVER_CONNECTED = 17  # a server is connected to, before its login (only in PgBouncer's place); detail: from where
    RESERVE_TAKEN = 18  # a client had waited so long that a server of the reserve was opened for it
    CONSOLE_CANCEL = 19  # what that client waits for is to be cancelled
    PEER_FAILED = 20  # a cancel request could not be passed on; id is the peer's, detail what was wrong
    CANCEL_ELSEWHERE = 21  # nobody here has this key; detail: process number (four bytes) and secret


class DepartedClient(NamedTuple):
    """A client that has left for another process.  The socket is whoever's who gets this."""

    number: int  # its id
    fd: int
    baggage: bytes


class AuthAsk(IntEnum):
    """What a login needs of the control plane."""

    LOOKUP = 1  # the user's secret (auth_query)
    LDAP = 2  # is this the user's password?
    PAM = 3
    PASSTHROUGH = 4  # does PostgreSQL let this user in with this password?


class AuthVerdict(IntEnum):
    """The control plane's answer."""

    FOUND = 1  # here is the secret to check against (LOOKUP)
    UNKNOWN = 2  # there is no such user (LOOKUP); the client is not told
    ALLOWED = 3  # the password is right
    DENIED = 4  # it is not
    UNAVAILABLE = 5  # nobody could say: the client is told so
    BUSY = 6  # too many logins wait for an answer; the message names for what


class Event(NamedTuple):
    kind: EventKind
    at_us: int
    worker: int
    id: int  # of the client or server, as in SHOW
    reason: str  # code from howdah.reasons, or ""
    database: str
    user: str
    address: str  # the other side's, "127.0.0.1:41234" or "unix"
    age_us: int
    detail: bytes


class AuthRequest(NamedTuple):
    """What AUTH_WANTED carries; the client is the event's id, database, user and address are the event's own."""

    ask: AuthAsk
    rule: int  # number in Plan.rules
    plan: int  # version of that plan, modulo 2**32: the rules may be others by now
    password: bytes  # empty for LOOKUP


def auth_request(detail: bytes) -> AuthRequest:
    """Read the detail of an AUTH_WANTED event: one byte, twice four bytes, the password."""
    rule, plan = (int.from_bytes(detail[at : at + 4], "big") for at in (1, 5))
    return AuthRequest(AuthAsk(detail[0]), rule, plan, detail[9:])


class PoolRow(NamedTuple):
    database: str
    user: str
    pool_mode: str
    cl_active: int
    cl_waiting: int
    cl_active_cancel_req: int
    cl_waiting_cancel_req: int
    sv_active: int
    sv_active_cancel: int
    sv_being_canceled: int
    sv_idle: int
    sv_used: int
    sv_tested: int
    sv_login: int
    maxwait_us: int
    pool_size: int
    pinned: int  # links that are pins now


class PeerPoolRow(NamedTuple):
    """Cancel requests on their way to one of [peers]."""

    peer_id: int
    cl_active_cancel_req: int
    cl_waiting_cancel_req: int
    sv_active_cancel: int
    sv_login: int
    passed_on: int  # since the start


class ClientRow(NamedTuple):
    id: int
    user: str
    database: str
    state: str  # active, idle, waiting, login, console, ...
    address: str
    port: int
    local_address: str
    local_port: int
    connect_at_us: int
    request_at_us: int
    wait_us: int  # how long it has been waiting for a server now
    link: int  # id of the server it is linked to, 0 for none
    application_name: str
    worker: int
    pin: str  # code of the pin's reason or ""
    tls: str  # "TLSv1.3/TLS_AES_256_GCM_SHA384", "" for none
    sni: str  # the server name the client asked for under TLS, or ""
    replication: str  # none, logical, physical
    prepared_statements: int
    channels: int  # that it listens to
    fd: int = -1
    held: int = 0  # bytes that were read and have to wait
    remain: int = 0  # bytes still to come of the message that is being passed on
    unsent: int = 0  # bytes that wait until they can be sent


class ServerRow(NamedTuple):
    id: int
    user: str
    database: str
    state: str  # active, idle, login, recycle, being_canceled, ...
    address: str
    port: int
    local_address: str
    local_port: int
    connect_at_us: int
    request_at_us: int
    close_needed: int
    link: int  # id of its client, 0 for none
    remote_pid: int
    application_name: str
    worker: int
    tls: str
    replication: str  # as its client's
    prepared_statements: int  # of its clients'
    channels: int  # that it listens to for all clients of the database
    fd: int = -1
    remain: int = 0  # as a client's
    unsent: int = 0


class MemoryRow(NamedTuple):
    """Things of one size."""

    name: str
    size: int  # of one, in bytes
    used: int
    free: int  # kept for the next


class PinRow(NamedTuple):
    """A pin that lasts: one for each reason that a client has to keep its server."""

    client: int  # ids
    server: int
    database: str
    user: str
    application_name: str
    reason: str  # code from howdah.reasons
    since_us: int
    statement: str  # that has brought it about, without its values; "": not known


class PinReasonRow(NamedTuple):
    """Totals since start for one database and one reason."""

    database: str
    reason: str
    begun: int
    ended: int
    ended_us: int  # how long those lasted that have ended


#: In the place of a name: what was counted for all that are gone.
GONE = ""


class DurationsRow(NamedTuple):
    """How often something took how long, since start, for one pool."""

    database: str
    user: str  # GONE: of all pools of the database that are
    kind: str  # login, tls, wait, checkout, query or transaction
    counts: tuple[int, ...]  # `BOUNDS_US` has the bounds; one more than these, for what took longer
    sum_us: int


#: Upper bounds of the buckets of a histogram, in microseconds; `stats.pxd` has the same.
BOUNDS_US = tuple(64 << i for i in range(21))


class DatabaseState(NamedTuple):
    """What an operator has said of one database."""

    name: str
    paused: bool
    disabled: bool


class States(NamedTuple):
    """What operators have said; databases that nothing was said of are left out."""

    paused: bool  # all databases
    suspended: bool
    databases: tuple[DatabaseState, ...]


class LintRow(NamedTuple):
    """Texts that rely on their session, counted."""

    application_name: str  # this and the next four are "" in rows for all that found no room
    user: str
    database: str
    reason: str
    pins: bool  # in transaction mode it would keep its server; else it follows its client
    times: int
    first_us: int
    last_us: int
    statement: str


class StatsRow(NamedTuple):
    """Totals since start for one database."""

    database: str  # GONE: of all that only the entry "*" stood for
    server_assignment_count: int = 0
    xact_count: int = 0
    query_count: int = 0
    bytes_received: int = 0  # from clients
    bytes_sent: int = 0  # to clients
    xact_time_us: int = 0
    query_time_us: int = 0
    wait_time_us: int = 0
    client_parse_count: int = 0  # of named statements that follow their clients
    server_parse_count: int = 0  # ... at servers, for the first time or again
    bind_count: int = 0
    client_login_count: int = 0
