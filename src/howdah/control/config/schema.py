"""Every setting there is: name, type, default, reload class and documentation, once.

Validation, the reference (docs/reference/settings.md), the example file, HOWDAH_* variables and the command line
all read these models.  Names and meanings are PgBouncer's where it has the setting; a default that differs says so.
What several settings must agree on is in `agreement`, not here.
"""

import os
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from howdah.control.config.addresses import listen_addresses
from howdah.control.config.errors import Problem
from howdah.control.config.log_settings import LogSettings, SystemSettings
from howdah.control.config.login_settings import LoginSettings
from howdah.control.config.metrics_settings import MetricsSettings
from howdah.control.config.network_settings import Hosts, LoadBalance, NetworkSettings, PeerSettings, Port
from howdah.control.config.pin_rules import Rules
from howdah.control.config.pooling_settings import PoolingSettings, PoolMode, PoolSize
from howdah.control.config.table import Reload, Table, setting
from howdah.control.config.tls_settings import TlsSettings
from howdah.control.config.units import (
    FILE,
    Count,
    Kind,
    Percentage,
    Seconds,
    Switch,
    Text,
    Words,
    between,
    count,
    text,
    words,
)


def _octal(value: object) -> int:
    """Permission bits.  Only strings: TOML's bare 770 would be decimal, and nobody means that."""
    if not isinstance(value, str) or not value.strip() or set(value.strip()) - set("01234567"):
        raise ValueError('must be octal digits in quotes, such as "0770"')
    bits = int(value.strip(), 8)
    if bits > 0o777:
        raise ValueError(f'{value!r} has more than permission bits; at most "0777"')
    return bits


def _not_empty(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    return value


def usable_workers() -> int:
    """The cores this process may run on, at most four: more are seldom of use to a pooler."""
    return max(1, min(4, len(os.sched_getaffinity(0))))


__all__ = [
    "FILES",
    "Config",
    "DatabaseSettings",
    "GlobalSettings",
    "PeerSettings",
    "Reload",
    "Table",
    "Tables",
    "UserSettings",
    "setting",
]

Name = Annotated[str, BeforeValidator(text), AfterValidator(_not_empty), Kind("string")]
ListenAddresses = Annotated[
    tuple[str, ...], BeforeValidator(words), AfterValidator(listen_addresses), Kind("list of addresses")
]
FileMode = Annotated[int, BeforeValidator(_octal), Kind("octal string")]


class ServiceSettings(Table):
    """Where howdah listens, and for whom."""

    listen_addr: ListenAddresses = setting(
        ("127.0.0.1", "::1"),
        "TCP addresses to listen on: IP addresses, host names, or `*` for all. Empty: Unix socket only. "
        "An address beyond loopback needs `allow_trust_from_network` where clients log in by trust. "
        "PgBouncer's default is empty.",
        restart=True,
    )
    listen_port: Port = setting(6432, "Port of the TCP and Unix sockets.", restart=True)
    listen_backlog: Count = setting(
        4096,
        "Connections the kernel may queue before they are accepted. Capped by the sysctl `net.core.somaxconn`. "
        "PgBouncer's default is 128, which a storm of clients overruns.",
        restart=True,
    )
    unix_socket_dir: Text = setting(
        "/tmp",  # noqa: S108  PgBouncer's default; the socket's name is fixed and libpq looks there
        "Directory of the Unix socket `.s.PGSQL.<listen_port>`; a leading `@` puts it into the abstract namespace. "
        "Empty: no Unix socket. Databases without a `host` are looked for in this directory, too.",
        restart=True,
    )
    unix_socket_mode: FileMode = setting(
        0o777, "Permissions of the Unix socket, in octal and in quotes.", restart=True, shown='"0777"'
    )
    unix_socket_group: Text = setting("", "Group that is to own the Unix socket. Empty: the process's.", restart=True)
    allow_trust_from_network: Switch = setting(
        False,
        "Allow `listen_addr` beyond loopback although `auth_type` is `trust` or `any`: clients need no password. "
        "Whoever can reach the port then acts as any user they name.",
        restart=True,
    )
    admin_users: Words = setting(
        (),
        "Users who may use the console (database `pgbouncer`) fully. With `stats_users` empty too: everybody where "
        "`auth_type` is `trust` or `any` (in a pgbouncer.ini: `any`); else only user `pgbouncer`, over the Unix "
        "socket, from the operating-system user that howdah runs as.",
    )
    stats_users: Words = setting((), "Users who may look at the console (database `pgbouncer`).")
    exact_columns_for: Words = setting(
        ("pgmetrics",),
        "Programs, by `application_name`, to which `SHOW` answers with the columns of PgBouncer 1.25 and none of "
        "howdah's own: those that count columns. `SELECT` has all of them.",
    )
    ignore_startup_parameters: Words = setting(
        (), "Startup parameters that are accepted from clients and dropped, such as `extra_float_digits`."
    )


class ProcessSettings(Table):
    """The process."""

    workers: Annotated[int, BeforeValidator(count), AfterValidator(between(1, 64)), Kind("number")] = setting(
        usable_workers, "Worker threads.", restart=True, shown="usable cores, at most 4"
    )
    shutdown_timeout: Seconds = setting(
        30.0, "How long running transactions may take to finish after SIGTERM. 0: they are not waited for."
    )
    live_line: Switch = setting(
        True, "On a terminal, show a line with the numbers of clients, servers and transactions.", restart=True
    )
    embedded_data_dir: Text = setting(
        "",
        "Where the embedded PostgreSQL keeps its data, when it is used. Empty: `/var/lib/howdah/postgres-18` for root, "
        "else `$XDG_DATA_HOME/howdah/postgres-18` or `~/.local/share/howdah/postgres-18`.",
        restart=True,
        shown="the user's data directory",
    )


class GlobalSettings(
    TlsSettings,
    LoginSettings,
    SystemSettings,
    LogSettings,
    MetricsSettings,
    ProcessSettings,
    NetworkSettings,
    PoolingSettings,
    ServiceSettings,
):
    """Table [howdah]."""

    #: Headings of the reference, each before the setting that it starts with.
    SECTIONS: ClassVar[Mapping[str, str]] = {
        "listen_addr": "Where clients come in",
        "admin_users": "Clients",
        "pool_mode": "Pools and limits",
        "query_wait_timeout": "Time limits of clients",
        "server_idle_timeout": "Servers",
        "dns_max_ttl": "Names and sockets",
        "workers": "The process",
        "http_port": "Monitoring",
        "log_level": "The log",
        "pidfile": "The process in the system",
        "embedded_data_dir": "The embedded PostgreSQL",
        "auth_type": "Who may log in",
        "login_rate_per_address": "Storms of logins, and load balancers",
        "client_tls_sslmode": "TLS towards clients",
        "server_tls_sslmode": "TLS towards PostgreSQL",
    }


#: The settings that name files.
FILES = frozenset(
    name for name, field in GlobalSettings.model_fields.items() if any(mark == FILE for mark in field.metadata)
)


class DatabaseSettings(Table):
    """Table [databases.NAME]; the name `*` stands for all names that have no table of their own."""

    host: Hosts = setting(
        (),
        "Host name, IP address, Unix socket directory (`/...`) or abstract one (`@...`); several are used in turn. "
        "Empty: the Unix socket in `unix_socket_dir`.",
    )
    load_balance_hosts: LoadBalance = setting(
        "round-robin",
        "Which of several addresses a new server connection goes to: `round-robin` takes them in turn, `disable` goes "
        "on to the next in their order only when one fails.",
    )
    port: Port = setting(5432, "Port of PostgreSQL, also for Unix sockets.")
    dbname: Name | None = setting(None, "Name of the database in PostgreSQL.", shown="the name the client asked for")
    user: Name | None = setting(
        None, "Log in to PostgreSQL as this user, whoever the client is: one pool for all.", shown="the client's user"
    )
    password: SecretStr | None = setting(
        None,
        "Password of `user` at PostgreSQL; clients have their own. Without it the one in `[users]` or `auth_file` is "
        "used.",
        shown="that of the user list",
    )
    auth_user: Name | None = setting(None, "Instead of the global `auth_user`.", shown="global")
    auth_query: Name | None = setting(None, "Instead of the global `auth_query`.", shown="global")
    auth_dbname: Name | None = setting(None, "Instead of the global `auth_dbname`.", shown="global")
    pool_mode: PoolMode | None = setting(None, "Instead of the global `pool_mode`.", shown="global")
    pool_size: PoolSize | None = setting(None, "Instead of `default_pool_size`. 0: no limit.", shown="global")
    min_pool_size: Count | None = setting(None, "Instead of the global `min_pool_size`.", shown="global")
    reserve_pool_size: Count | None = setting(None, "Instead of the global `reserve_pool_size`.", shown="global")
    max_db_connections: Count | None = setting(None, "Instead of the global `max_db_connections`.", shown="global")
    max_db_client_connections: Count | None = setting(
        None, "Instead of the global `max_db_client_connections`.", shown="global"
    )
    server_lifetime: Seconds | None = setting(None, "Instead of the global `server_lifetime`.", shown="global")
    query_wait_timeout: Seconds | None = setting(None, "Instead of the global `query_wait_timeout`.", shown="global")
    pin: Rules | None = setting(None, "Instead of the global `pin`, all of it.", shown="global")
    pin_timeout: Seconds | None = setting(None, "Instead of the global `pin_timeout`.", shown="global")
    max_pinned: Percentage | None = setting(None, "Instead of the global `max_pinned`.", shown="global")
    session_lint: Switch | None = setting(None, "Instead of the global `session_lint`.", shown="global")
    connect_query: Text | None = setting(
        None,
        "SQL that is run on each new server connection, within `server_connect_timeout`, before a client gets it. An "
        "error is logged, and the server is used all the same. `server_reset_query` undoes what it `SET`s; replication "
        "connections do without.",
        shown="none",
    )
    client_encoding: Text | None = setting(
        None, "What server connections start with, unless the client asks for another.", shown="none"
    )
    datestyle: Text | None = setting(
        None, "What server connections start with, unless the client asks for another.", shown="none"
    )
    timezone: Text | None = setting(
        None, "What server connections start with, unless the client asks for another.", shown="none"
    )
    application_name: Text | None = setting(
        None, "What server connections start with, unless the client asks for another.", shown="none"
    )
    options: Text | None = setting(
        None, "Command-line options that server connections start with, as in libpq.", shown="none"
    )


class UserSettings(Table):
    """Table [users.NAME]: what applies to one user, before the database's and the global value."""

    password: SecretStr | None = setting(
        None,
        "What this user logs in with, and howdah at PostgreSQL for this user: a password, `md5...` or "
        "`SCRAM-SHA-256$...`.",
        shown="that of `auth_file`",
    )
    pool_mode: PoolMode | None = setting(None, "Instead of the database's or the global `pool_mode`.", shown="database")
    pool_size: PoolSize | None = setting(
        None, "Instead of the database's `pool_size` or `default_pool_size`. 0: no limit.", shown="database"
    )
    reserve_pool_size: Count | None = setting(
        None, "Instead of the database's or the global `reserve_pool_size`.", shown="database"
    )
    max_user_connections: Count | None = setting(None, "Instead of the global `max_user_connections`.", shown="global")
    max_user_client_connections: Count | None = setting(
        None, "Instead of the global `max_user_client_connections`.", shown="global"
    )
    query_timeout: Seconds | None = setting(None, "Instead of the global `query_timeout`.", shown="global")
    query_wait_timeout: Seconds | None = setting(
        None, "Instead of the database's or the global `query_wait_timeout`.", shown="database"
    )
    transaction_timeout: Seconds | None = setting(None, "Instead of the global `transaction_timeout`.", shown="global")
    idle_transaction_timeout: Seconds | None = setting(
        None, "Instead of the global `idle_transaction_timeout`.", shown="global"
    )
    client_idle_timeout: Seconds | None = setting(None, "Instead of the global `client_idle_timeout`.", shown="global")
    pin: Rules | None = setting(None, "Instead of the database's or the global `pin`, all of it.", shown="database")
    pin_timeout: Seconds | None = setting(
        None, "Instead of the database's or the global `pin_timeout`.", shown="database"
    )
    max_pinned: Percentage | None = setting(
        None, "Instead of the database's or the global `max_pinned`.", shown="database"
    )


class Tables(Table):
    """What a howdah.toml holds."""

    howdah: GlobalSettings = Field(default_factory=GlobalSettings)
    databases: Mapping[str, DatabaseSettings] = Field(default_factory=dict)
    users: Mapping[str, UserSettings] = Field(default_factory=dict)
    peers: Mapping[str, PeerSettings] = Field(default_factory=dict)


class Config(Table):
    """A whole configuration, valid.  See the package's docstring for how to use it."""

    settings: GlobalSettings = Field(default_factory=GlobalSettings)
    databases: Mapping[str, DatabaseSettings] = Field(default_factory=dict)
    users: Mapping[str, UserSettings] = Field(default_factory=dict)
    peers: Mapping[str, PeerSettings] = Field(default_factory=dict)
    #: Whether it was read from PgBouncer's own file, by its rules: see `finding.Finding.tolerated`.
    pgbouncer: bool = False
    #: Where it came from, for people: "howdah.toml", "postgresql://app@db:5432/app" (never a password).
    source: str = "defaults"
    #: The path of the file; None when there is none.
    path: str | None = None
    #: In PgBouncer's place: the log and what clients are told are in its words.
    drop_in: bool = False
    #: No databases were named: start the embedded PostgreSQL and use `with_databases`.
    embedded: bool = False
    #: What is odd but not wrong, to be logged at start.
    warnings: tuple[Problem, ...] = ()
    #: A database a client can be told to connect to; None when there is nothing to suggest.
    sample_database: str | None = None
    #: Who a client can be told to be; "" when there is nobody to suggest.
    sample_user: str = ""

    @property
    def console_for_all(self) -> bool:
        """With nobody named: everybody where names prove nothing, else only whom the data plane lets in by peer."""
        settings = self.settings
        open_to_all = ("any",) if self.pgbouncer else ("any", "trust")
        return not settings.admin_users and not settings.stats_users and settings.auth_type in open_to_all

    def tables(self) -> Tables:
        """As a howdah.toml would hold it."""
        return Tables.model_construct(
            howdah=self.settings, databases=self.databases, users=self.users, peers=self.peers
        )

    def with_databases(
        self, databases: Mapping[str, DatabaseSettings], users: Mapping[str, UserSettings] | None = None
    ) -> Self:
        """The same configuration with other databases, and with these users instead of their namesakes."""
        return self.model_copy(update={"databases": dict(databases), "users": {**self.users, **(users or {})}})
