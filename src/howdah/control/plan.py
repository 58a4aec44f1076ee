"""From a configuration, resolved host names and what was read from files to the data plane's plan.

Pure: nothing is read or looked up here.

Precedence is PgBouncer's: the user's value, then the database's, then the global one.  The data plane joins users and
databases at login; here each database gets its own values or the global ones.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

from howdah.control.auth.secrets import NO_PASSWORD, parse_secret, unfitting
from howdah.control.config.addresses import is_ip
from howdah.control.config.pin_rules import pin_rules
from howdah.control.config.pooling_settings import EMPTY_QUERY
from howdah.control.config.schema import Config, DatabaseSettings, GlobalSettings, PeerSettings, UserSettings
from howdah.control.intake import Intake
from howdah.control.sockaddr import ip_address, unix_address
from howdah.dataplane.plan import (
    Address,
    CheckMode,
    DatabasePlan,
    PeerPlan,
    Plan,
    PoolMode,
    Secret,
    SequenceMode,
    Settings,
    UserPlan,
)

T = TypeVar("T")

#: What PostgreSQL may be asked for when a server connection starts: [databases] keys that are startup parameters.
STARTUP_PARAMETERS = ("client_encoding", "datestyle", "timezone", "application_name", "options")


class Resolved(NamedTuple):
    """What is known of a host name."""

    addresses: tuple[str, ...]  # numeric, IPv6 perhaps with a zone: "fe80::1%eth0"; empty: see error
    error: str = ""
    ttl_s: float = math.inf  # how long it holds, where that is known


def host_names(config: Config) -> frozenset[str]:
    """The names that must be resolved before the plan has an address for every database and peer."""
    hosts = [entry.host for entry in config.databases.values()] + [entry.host for entry in config.peers.values()]
    return frozenset(host for of_one in hosts for host in of_one if _is_name(host))


def _is_name(host: str) -> bool:
    return not host.startswith(("/", "@")) and not is_ip(host)


def build_plan(config: Config, intake: Intake, resolved: Mapping[str, Resolved], version: int) -> Plan:
    """The plan of `config`.  What has names that are not in `resolved` gets a `resolve_error`, no addresses."""
    return Plan(
        version=version,
        settings=_settings(config),
        databases=tuple(
            _database(name, database, config.settings, resolved) for name, database in config.databases.items()
        ),
        users=tuple(_users(config, intake.access.secrets)),
        rules=tuple(line.rule for line in intake.access.lines),
        maps=intake.access.maps,
        peers=tuple(_peer(int(name), peer, config.settings, resolved) for name, peer in config.peers.items()),
        client_tls=intake.tls.clients,
        server_tls=intake.tls.servers,
    )


def microseconds(seconds: float) -> int:
    """Whole microseconds; what is more than nothing never becomes 0, which would switch it off."""
    return round(seconds * 1_000_000) or int(seconds > 0)


def _settings(config: Config) -> Settings:
    settings = config.settings
    return Settings(
        max_client_conn=settings.max_client_conn,
        max_user_connections=settings.max_user_connections,
        max_packet_size=settings.max_packet_size,
        client_idle_timeout_us=microseconds(settings.client_idle_timeout),
        idle_transaction_timeout_us=microseconds(settings.idle_transaction_timeout),
        client_login_timeout_us=microseconds(settings.client_login_timeout),
        server_idle_timeout_us=microseconds(settings.server_idle_timeout),
        server_connect_timeout_us=microseconds(settings.server_connect_timeout),
        server_login_retry_us=microseconds(settings.server_login_retry),
        reserve_pool_timeout_us=microseconds(settings.reserve_pool_timeout),
        tcp_keepalive=settings.tcp_keepalive,
        tcp_keepidle=settings.tcp_keepidle,
        tcp_keepintvl=settings.tcp_keepintvl,
        tcp_keepcnt=settings.tcp_keepcnt,
        tcp_user_timeout=settings.tcp_user_timeout,
        tcp_socket_buffer=settings.tcp_socket_buffer,
        tcp_defer_accept=settings.tcp_defer_accept,
        server_reset_query=settings.server_reset_query.strip(),
        log_connections=settings.log_connections,
        log_disconnections=settings.log_disconnections,
        log_pooler_errors=settings.log_pooler_errors,
        ignore_startup_parameters=settings.ignore_startup_parameters,
        console_users=tuple(dict.fromkeys(settings.admin_users + settings.stats_users)),
        console_for_all=config.console_for_all,
        drop_in=config.drop_in,
        max_user_client_connections=settings.max_user_client_connections,
        scram_iterations=settings.scram_iterations,
        auth_cache_us=microseconds(settings.auth_cache_ttl),
        password_passthrough=settings.password_passthrough,
        application_name_add_host=settings.application_name_add_host,
        login_rate_per_address=settings.login_rate_per_address,
        login_rate_per_user=settings.login_rate_per_user,
        login_failure_delay_us=microseconds(settings.login_failure_delay),
        max_concurrent_logins=settings.max_concurrent_logins,
        autodb_idle_timeout_us=microseconds(settings.autodb_idle_timeout),
        pool_idle_timeout_us=microseconds(settings.pool_idle_timeout),
        login_notify_message=settings.login_notify_message,
        proxy_networks=settings.proxy_protocol_from,
        query_timeout_us=microseconds(settings.query_timeout),
        transaction_timeout_us=microseconds(settings.transaction_timeout),
        query_wait_notify_us=microseconds(settings.query_wait_notify),
        cancel_wait_timeout_us=microseconds(settings.cancel_wait_timeout),
        max_prepared_statements=settings.max_prepared_statements,
        deferred_begin=settings.deferred_begin,
        session_check=CheckMode[settings.session_check.upper()],
        session_sequences=SequenceMode[settings.session_sequences.upper()],
        disable_pqexec=settings.disable_pqexec,
        server_fast_close=settings.server_fast_close,
        server_round_robin=settings.server_round_robin,
        server_reset_query_always=settings.server_reset_query_always,
        server_check_query=_check_query(settings.server_check_query.strip()),
        server_check_delay_us=microseconds(settings.server_check_delay),
        peer_id=settings.peer_id,
    )


def _check_query(query: str) -> str | None:
    """None: no check.  A query without a word in it has a name, for an empty setting means none."""
    return "" if query == EMPTY_QUERY else query or None


def _database(
    name: str, database: DatabaseSettings, settings: GlobalSettings, resolved: Mapping[str, Resolved]
) -> DatabasePlan:
    addresses, error = _addresses(database.host or (settings.unix_socket_dir,), database.port, resolved)
    return DatabasePlan(
        name=name,
        dbname=database.dbname,
        host=",".join(database.host),
        port=database.port,
        addresses=addresses,
        resolve_error=error,
        force_user=database.user,
        pool_size=_first(database.pool_size, settings.default_pool_size),
        min_pool_size=_first(database.min_pool_size, settings.min_pool_size),
        reserve_pool_size=_reserve(database, settings),
        pool_mode=PoolMode[_first(database.pool_mode, settings.pool_mode).upper()],
        max_db_connections=_first(database.max_db_connections, settings.max_db_connections),
        server_lifetime_us=microseconds(_first(database.server_lifetime, settings.server_lifetime)),
        startup_parameters=tuple(_startup_parameters(database)),
        secret=_secret(database),
        lookup=bool(_first(database.auth_user, settings.auth_user)),
        max_db_client_connections=_first(database.max_db_client_connections, settings.max_db_client_connections),
        query_wait_timeout_us=microseconds(_first(database.query_wait_timeout, settings.query_wait_timeout)),
        connect_query=(database.connect_query or "").strip(),
        pin_rules=pin_rules(_first(database.pin, settings.pin)),
        pin_timeout_us=microseconds(_first(database.pin_timeout, settings.pin_timeout)),
        max_pinned=_first(database.max_pinned, settings.max_pinned),
        session_lint=_first(database.session_lint, settings.session_lint),
        in_order=database.load_balance_hosts == "disable",
    )


def _secret(database: DatabaseSettings) -> Secret | None:
    if database.password is None or database.user is None:
        return None
    return parse_secret(database.password.get_secret_value())


def _first(own: T | None, general: T) -> T:
    return general if own is None else own


def _reserve(database: DatabaseSettings, settings: GlobalSettings) -> int:
    """Without reserve_pool_timeout there is no reserve: that is what its 0 means in PgBouncer."""
    if not settings.reserve_pool_timeout:
        return 0
    return _first(database.reserve_pool_size, settings.reserve_pool_size)


def _startup_parameters(database: DatabaseSettings) -> Iterator[tuple[str, str]]:
    for name in STARTUP_PARAMETERS:
        value = getattr(database, name)
        if value is not None:
            yield name, value


def _users(config: Config, secrets: Mapping[str, Secret]) -> Iterator[UserPlan]:
    """Everybody who has settings of their own, a secret, or both."""
    nothing = UserSettings()
    for name in dict.fromkeys((*config.users, *secrets)):
        user = config.users.get(name, nothing)
        secret = secrets.get(name)
        if secret == NO_PASSWORD:  # with none in the plan auth_query would be asked for one
            secret = unfitting(name, config.settings.scram_iterations)
        yield UserPlan(
            name=name,
            pool_size=user.pool_size,
            reserve_pool_size=user.reserve_pool_size,
            pool_mode=None if user.pool_mode is None else PoolMode[user.pool_mode.upper()],
            max_user_connections=user.max_user_connections,
            max_user_client_connections=user.max_user_client_connections,
            secret=secret,
            query_timeout_us=_own(user.query_timeout),
            query_wait_timeout_us=_own(user.query_wait_timeout),
            transaction_timeout_us=_own(user.transaction_timeout),
            idle_transaction_timeout_us=_own(user.idle_transaction_timeout),
            client_idle_timeout_us=_own(user.client_idle_timeout),
            pin_rules=None if user.pin is None else pin_rules(user.pin),
            pin_timeout_us=_own(user.pin_timeout),
            max_pinned=user.max_pinned,
        )


def _own(seconds: float | None) -> int | None:
    return None if seconds is None else microseconds(seconds)


def _peer(number: int, peer: PeerSettings, settings: GlobalSettings, resolved: Mapping[str, Resolved]) -> PeerPlan:
    addresses, error = _addresses(peer.host, peer.port, resolved)
    size = _first(peer.pool_size, settings.default_pool_size)
    return PeerPlan(number, ",".join(peer.host), addresses, error, size)


def _addresses(hosts: Iterable[str], port: int, resolved: Mapping[str, Resolved]) -> tuple[tuple[Address, ...], str]:
    """All addresses of all hosts, or why there is none.  Of several hosts, some may be unknown for now."""
    addresses: list[Address] = []
    errors: list[str] = []
    for host in hosts:
        try:
            addresses += _addresses_of(host, port, resolved)
        except ValueError as error:
            errors.append(str(error))
    unique: dict[bytes, Address] = {}
    for address in addresses:
        unique.setdefault(address.packed, address)
    return tuple(unique.values()), "" if unique else "; ".join(errors)


@functools.lru_cache(maxsize=1024)  # thousands of databases have a few addresses between them
def _numeric(host: str, port: int) -> Address:
    return replace(ip_address(host, port), host=host)


def _addresses_of(host: str, port: int, resolved: Mapping[str, Resolved]) -> Iterable[Address]:
    if not host:
        raise ValueError("the database has no host and unix_socket_dir is empty")
    if host.startswith(("/", "@")):
        return [unix_address(host, port)]
    if not _is_name(host):
        return [_numeric(host, port) if "%" not in host else _numeric.__wrapped__(host, port)]
    found = resolved.get(host)
    if found is None or not found.addresses:
        raise ValueError((found and found.error) or f"host name {host!r} is not resolved yet")
    return [replace(ip_address(address, port), host=host) for address in found.addresses]
