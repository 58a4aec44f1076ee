"""The plan: everything the data plane must know, as one immutable value.

The control plane builds a `Plan` from the configuration (and from what it has resolved) and hands it to
`Engine.publish`, which turns it into C structs; workers swap one pointer between two events.  Nothing in here
reads files, resolves names or has defaults: `howdah.control` does that.

Durations are whole microseconds; 0 switches a limit off unless a field says otherwise.
"""

from dataclasses import dataclass
from enum import IntEnum


class PoolMode(IntEnum):
    """When a server goes back to its pool.  Names are PgBouncer's."""

    SESSION = 0
    TRANSACTION = 1


@dataclass(frozen=True, slots=True)
class Address:
    """One place to connect to: `packed` is the C sockaddr (sockaddr_in, sockaddr_in6 or sockaddr_un) as bytes."""

    packed: bytes
    text: str  # for logs and SHOW: "127.0.0.1:5432" or "unix:/run/postgresql/.s.PGSQL.5432"


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


@dataclass(frozen=True, slots=True)
class UserPlan:
    """Overrides for one user; None keeps the database's or the global value."""

    name: str
    pool_size: int | None
    reserve_pool_size: int | None
    pool_mode: PoolMode | None
    max_user_connections: int | None


@dataclass(frozen=True, slots=True)
class Settings:
    """The global numbers a worker needs."""

    max_client_conn: int
    max_user_connections: int  # 0: no limit
    max_packet_size: int  # bytes
    query_wait_timeout_us: int
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
    console_users: tuple[str, ...]  # names let in to database "pgbouncer"; empty: everybody


@dataclass(frozen=True, slots=True)
class Plan:
    """One published snapshot; `version` grows by one with each."""

    version: int
    settings: Settings
    databases: tuple[DatabasePlan, ...]
    users: tuple[UserPlan, ...]
