"""The plan: everything the data plane must know, as one immutable value.

The control plane builds a `Plan` from the configuration (and from what it has resolved) and hands it to
`Engine.publish`, which turns it into C structs; workers swap one pointer between two events.  Nothing in here
reads files, resolves names or has defaults: `howdah.control` does that.

Durations are whole microseconds; 0 switches a limit off unless a field says otherwise.
"""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from ipaddress import IPv4Network, IPv6Network


class PoolMode(IntEnum):
    """When a server goes back to its pool.  Names are PgBouncer's."""

    SESSION = 0
    TRANSACTION = 1
    STATEMENT = 2


class CheckMode(IntEnum):
    """After which transactions a server is asked what has become of the session."""

    SUSPICIOUS = 0  # where a text does not show that it leaves it alone
    ALWAYS = 1
    OFF = 2  # where a text changes it in so many words


class SequenceMode(IntEnum):
    """Whether a client that has taken numbers of sequences keeps its server, which alone remembers them."""

    LEARN = 0  # in pools where a client has asked for such numbers
    PIN = 1
    IGNORE = 2


class PinKind(IntFlag):
    """What keeps a server for its client until it is over; `parties.Pin` has the same bits, and two more.

    The code in `howdah.reasons` is the name in lower case, behind "pin_".
    """

    NAMED_STATEMENT = 2
    TEMPORARY_OBJECT = 16
    HOLDABLE_CURSOR = 32
    ADVISORY_LOCK = 64
    LISTEN = 128
    LOAD = 256
    RANDOM_SEED = 512
    UNKNOWN = 1024
    SEQUENCE = 2048


class TlsMode(IntEnum):
    """Whether connections use TLS, and what a certificate must prove.  Names are libpq's."""

    DISABLE = 0
    ALLOW = 1
    PREFER = 2
    REQUIRE = 3
    VERIFY_CA = 4
    VERIFY_FULL = 5


class Method(IntEnum):
    """How a client proves who it is."""

    REJECT = 0
    TRUST = 1
    PLAIN = 2  # the password itself
    MD5 = 3  # a challenge; SCRAM for users whose secret is a SCRAM verifier, as in PostgreSQL
    SCRAM = 4  # SCRAM-SHA-256, and -PLUS under TLS
    CERT = 5
    PEER = 6
    LDAP = 7  # the password itself, asked of the control plane
    PAM = 8  # the same


class Transport(IntEnum):
    """First word of an HBA line."""

    LOCAL = 0
    HOST = 1
    HOSTSSL = 2
    HOSTNOSSL = 3


class NameKind(IntEnum):
    """How a name in an HBA line or an ident map is compared."""

    EXACT = 0
    ALL = 1
    SAME_USER = 2  # databases: the one named like the user
    REPLICATION = 3  # databases: replication connections
    REGEX = 4  # POSIX extended regular expression, to be found in the name


class Nearby(IntEnum):
    """Addresses of an HBA line that depend on this machine's interfaces."""

    NO = 0
    SAME_HOST = 1
    SAME_NET = 2


class ClientCertificate(IntEnum):
    """What else an HBA line asks of a hostssl client."""

    NO = 0
    VERIFY_CA = 1
    VERIFY_FULL = 2  # and its name must be the user's


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to: `packed` is the C sockaddr (sockaddr_in, sockaddr_in6 or sockaddr_un) as bytes."""

    packed: bytes
    text: str  # for logs and SHOW: "127.0.0.1:5432" or "unix:/run/postgresql/.s.PGSQL.5432"
    host: str = ""  # as configured: what a certificate must be made out to, and the name asked for (SNI)


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """TLS in one direction.  Files are read by the control plane; PEM texts come here whole."""

    mode: TlsMode = TlsMode.DISABLE
    certificate: bytes = b""  # chain, the own one first; needed towards clients
    key: bytes = field(default=b"", repr=False)
    ca: bytes = b""  # whom to trust; empty: nobody (towards servers with verify-*: the system's)
    protocols: tuple[str, ...] = ("tlsv1.2", "tlsv1.3")
    ciphers: str = ""  # OpenSSL's list for TLS 1.2 and older; empty: OpenSSL's default
    suites: str = ""  # TLS 1.3; empty: OpenSSL's default
    groups: str = ""  # key exchange, "X25519:prime256v1"; empty: OpenSSL's default
    direct: bool = False  # towards servers: no SSLRequest first (PostgreSQL 17 and later)
    ticket_key: bytes = field(default=b"", repr=False)  # towards clients: 80 random bytes, kept over reloads


@dataclass(frozen=True, slots=True)
class ScramSecret:
    """What a server needs to check a SCRAM-SHA-256 login (RFC 5803)."""

    iterations: int
    salt: bytes  # 1 to 64 bytes
    stored_key: bytes = field(repr=False)  # 32 bytes
    server_key: bytes = field(repr=False)  # 32 bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """What is known of one user's password: exactly one of the first, `md5` and `scram`."""

    password: bytes | None = field(default=None, repr=False)  # as given, without NUL
    prepared: bytes | None = field(default=None, repr=False)  # the same after SASLprep; None: as given
    md5: str = field(default="", repr=False)  # "md5" and 32 lower-case hexadecimal digits
    scram: ScramSecret | None = None


@dataclass(frozen=True, slots=True)
class NameMatch:
    kind: NameKind
    text: str = ""  # of EXACT and REGEX


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One line of an HBA file, or what auth_type comes to.  The first that fits a login decides; none: refused.

    The number of a rule in `Plan.rules` is how the data plane names it when it asks the control plane.
    """

    where: str  # "pg_hba.conf:12" or "auth_type", for messages
    transport: tuple[Transport, ...]
    databases: tuple[NameMatch, ...]
    users: tuple[NameMatch, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]  # empty: every address (if not nearby)
    nearby: Nearby
    method: Method
    any_user: bool = False  # auth_type = any: the name a client gives does not matter
    client_certificate: ClientCertificate = ClientCertificate.NO
    map: str = ""  # of Plan.maps, for CERT and PEER; empty: the two names must be the same
    distinguished_name: bool = False  # CERT: compare the whole subject (RFC 2253) rather than its CN


@dataclass(frozen=True, slots=True)
class MapLine:
    """One line of an ident map: who the outside says may log in as which user."""

    map: str
    system_user: NameMatch  # EXACT or REGEX
    user: NameMatch  # EXACT (\\1 stands for the regular expression's first group), ALL or REGEX


@dataclass(frozen=True, slots=True)
class PinRules:
    """What becomes of pins of each kind; of those in neither set, nothing."""

    warn: int = 0  # sets of PinKind
    deny: int = 0


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """One entry of [databases].  `name` is what clients ask for, "*" the fallback for all other names."""

    name: str
    dbname: str | None  # name on the server; None: the name the client asked for
    host: str  # as configured, for SHOW; "" for the default Unix socket directory
    port: int
    addresses: tuple[Address, ...]  # resolved; used in turn; empty: see resolve_error
    resolve_error: str  # why addresses is empty, a sentence for operators and clients; else ""
    force_user: str | None  # server user for all clients of this database; None: the client's user
    pool_size: int
    min_pool_size: int
    reserve_pool_size: int
    pool_mode: PoolMode
    max_db_connections: int  # 0: no limit
    server_lifetime_us: int
    startup_parameters: tuple[tuple[str, str], ...]  # sent in the server's startup packet
    secret: Secret | None = None  # password for force_user; None: see `UserPlan.secret` and the client's own
    lookup: bool = False  # ask the control plane (auth_query) for the secret of users the plan does not know
    max_db_client_connections: int = 0  # 0: no limit
    query_wait_timeout_us: int = 0
    connect_query: str = ""  # run on each new server connection; "" for none
    pin_rules: PinRules = PinRules()
    pin_timeout_us: int = 0
    max_pinned: int = 100  # per cent of the pool's size; 100: no limit
    session_lint: bool = False
    in_order: bool = False  # the next of `addresses` is used only when the one before fails


@dataclass(frozen=True, slots=True)
class UserPlan:
    """Overrides for one user; None keeps the database's or the global value."""

    name: str
    pool_size: int | None
    reserve_pool_size: int | None
    pool_mode: PoolMode | None
    max_user_connections: int | None
    max_user_client_connections: int | None = None
    secret: Secret | None = None
    query_timeout_us: int | None = None
    query_wait_timeout_us: int | None = None
    transaction_timeout_us: int | None = None
    idle_transaction_timeout_us: int | None = None
    client_idle_timeout_us: int | None = None
    pin_rules: PinRules | None = None
    pin_timeout_us: int | None = None
    max_pinned: int | None = None


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """One entry of [peers]: another process, which gets the cancel requests for its clients that come here."""

    peer_id: int
    host: str  # as configured
    addresses: tuple[Address, ...]  # resolved; the next one is used when the one before fails
    resolve_error: str  # why addresses is empty; else ""
    pool_size: int  # most requests on their way


@dataclass(frozen=True, slots=True)
class Settings:
    """The global numbers a worker needs."""

    max_client_conn: int
    max_user_connections: int  # 0: no limit
    max_packet_size: int  # bytes
    client_idle_timeout_us: int
    idle_transaction_timeout_us: int
    client_login_timeout_us: int
    server_idle_timeout_us: int
    server_connect_timeout_us: int
    server_login_retry_us: int
    reserve_pool_timeout_us: int
    tcp_keepalive: bool
    tcp_keepidle: int  # seconds, 0: system default; likewise the next two
    tcp_keepintvl: int
    tcp_keepcnt: int
    tcp_user_timeout: int  # milliseconds, 0: system default
    server_reset_query: str  # run before a server that was pinned to one client goes to the next; "" for none
    log_connections: bool
    log_disconnections: bool
    ignore_startup_parameters: tuple[str, ...]
    console_users: tuple[str, ...]  # names let in to database "pgbouncer" (beside ourselves, at the Unix socket)
    console_for_all: bool = False  # whoever logs in may use the console
    max_user_client_connections: int = 0  # 0: no limit
    scram_iterations: int = 4096  # for secrets derived from plain passwords, and for users there are not
    auth_cache_us: int = 0  # how long an answer of auth_query is used; 0: for one login
    password_passthrough: bool = False  # PLAIN users whom nobody knows are tried at PostgreSQL itself
    application_name_add_host: bool = False
    login_rate_per_address: float = 0.0  # logins a second; 0: no limit
    login_rate_per_user: float = 0.0
    login_failure_delay_us: int = 0  # longest pause before a wrong password is answered; 0: none
    max_concurrent_logins: int = 0  # 0: no limit
    autodb_idle_timeout_us: int = 0  # pools made by "*" go when unused this long; 0: never
    pool_idle_timeout_us: int = 0  # the same of all pools
    login_notify_message: str = ""  # a notice to whoever has logged in; "": none
    proxy_networks: tuple[IPv4Network | IPv6Network, ...] = ()  # who may send a PROXY header
    query_timeout_us: int = 0
    transaction_timeout_us: int = 0
    query_wait_notify_us: int = 0
    cancel_wait_timeout_us: int = 0
    max_prepared_statements: int = 0  # of a server; 0: they are not followed
    deferred_begin: bool = False
    session_check: CheckMode = CheckMode.SUSPICIOUS
    session_sequences: SequenceMode = SequenceMode.LEARN
    disable_pqexec: bool = False  # refuse Query
    server_fast_close: bool = False
    server_round_robin: bool = False
    server_reset_query_always: bool = False
    server_check_query: str | None = None  # "" is a query, too; None: no check
    server_check_delay_us: int = 0  # 0: each is checked
    tcp_socket_buffer: int = 0  # bytes, 0: system default
    tcp_defer_accept: bool = False
    log_pooler_errors: bool = True
    peer_id: int = 0  # our own number among `Plan.peers`, which cancel keys carry; 0: we have no peers
    #: Clients and the log are told things in PgBouncer's words; the same for the engine's whole life.
    drop_in: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One published snapshot; `version` grows by one with each."""

    version: int
    settings: Settings
    databases: tuple[DatabasePlan, ...]
    users: tuple[UserPlan, ...]
    rules: tuple[AccessRule, ...] = ()
    maps: tuple[MapLine, ...] = ()
    peers: tuple[PeerPlan, ...] = ()
    client_tls: TlsPlan = TlsPlan()
    server_tls: TlsPlan = TlsPlan()
