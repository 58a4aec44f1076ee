"""The tables of SHOW about what is configured: settings, databases, users, peers, names of hosts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from howdah.control.config import DatabaseSettings
from howdah.control.config.names import CONSOLE
from howdah.control.console.columns import columns
from howdah.control.console.table import Facts, Row, Rows, Table
from howdah.dataplane.plan import DatabasePlan
from howdah.dataplane.rows import DatabaseState, PoolRow


def _config(facts: Facts) -> Rows:
    for setting in facts.settings():
        yield setting.key, setting.value, setting.default, "yes" if setting.changeable else "no"


def databases(facts: Facts) -> Rows:
    """As in PgBouncer "*" is none of them, but what has come in by it is, each for itself."""
    entries, configured = {entry.name: entry for entry in facts.plan().databases}, facts.config().databases
    servers, clients = Counter[str](), Counter[str]()
    for pool in facts.engine.pools():
        servers[pool.database] += _servers_of(pool)
        clients[pool.database] += pool.cl_active + pool.cl_waiting
    states = {state.name: state for state in facts.engine.states().databases}
    rows = [_console(facts)]
    for name in {*entries, *servers, *states} - {"*", CONSOLE}:
        source = name if name in entries else "*"
        if source not in entries:
            continue  # removed by a reload; its last clients leave
        entry, own = replace(entries[source], name=name), configured.get(source, DatabaseSettings())
        state = states.get(name, DatabaseState(name, paused=False, disabled=False))
        rows.append(_database(entry, own, servers[name], clients[name], state))
    return sorted(rows, key=lambda row: str(row[0]))


def _console(facts: Facts) -> Row:
    return (
        *(CONSOLE, None, facts.config().settings.listen_port, CONSOLE, CONSOLE),
        *(2, 0, 0, 0, "statement", None, 0, 0, 0, len(facts.use.users), 0, 0),
    )


def _servers_of(pool: PoolRow) -> int:
    return pool.sv_active + pool.sv_being_canceled + pool.sv_idle + pool.sv_used + pool.sv_tested + pool.sv_login


def _database(entry: DatabasePlan, own: DatabaseSettings, servers: int, clients: int, state: DatabaseState) -> Row:
    return (
        *(entry.name, entry.host or None, entry.port, entry.dbname or entry.name, entry.force_user),
        *(entry.pool_size, entry.min_pool_size, entry.reserve_pool_size, entry.server_lifetime_us // 1_000_000),
        *(own.pool_mode, load_balance(own)),
        *(entry.max_db_connections, servers, entry.max_db_client_connections, clients),
        *(int(state.paused), int(state.disabled)),
    )


def load_balance(database: DatabaseSettings | None) -> str | None:
    """Of several hosts, as it is set."""
    return database.load_balance_hosts if database is not None and len(database.host) > 1 else None


def _users(facts: Facts) -> Rows:
    """Whoever is known: by a setting, by a secret, or by having logged in."""
    config, plan, pools = facts.config(), facts.plan(), facts.engine.pools()
    clients, servers = Counter(facts.use.users.values()), Counter[str]()
    for pool in pools:
        clients[pool.user] += pool.cl_active + pool.cl_waiting
        servers[pool.user] += _servers_of(pool)
    forced = {entry.force_user for entry in plan.databases if entry.force_user}
    known = {user.name for user in plan.users} | set(config.users) | forced | set(clients) | {CONSOLE}
    servers_most = {user.name: user.max_user_connections for user in plan.users}
    clients_most = {user.name: user.max_user_client_connections for user in plan.users}
    for name in sorted(known):
        own = config.users.get(name)
        yield (
            name,
            None if own is None or own.pool_size is None else str(own.pool_size),
            None if own is None or own.reserve_pool_size is None else str(own.reserve_pool_size),
            None if own is None else own.pool_mode,
            _either(servers_most.get(name), config.settings.max_user_connections),
            servers[name],
            _either(clients_most.get(name), config.settings.max_user_client_connections),
            clients[name],
        )


def _either(own: int | None, general: int) -> int:
    return general if own is None else own


def _dns_hosts(facts: Facts) -> Rows:
    for name, ttl, addresses in sorted(facts.names.rows()):
        yield name, ttl, ",".join(addresses)


def _dns_zones(facts: Facts) -> Rows:
    return facts.names.zones()


def _peers(facts: Facts) -> Iterator[Row]:
    config = facts.config()
    for name, peer in sorted(config.peers.items(), key=lambda item: int(item[0])):
        size = config.settings.default_pool_size if peer.pool_size is None else peer.pool_size
        yield int(name), ", ".join(peer.host) or None, peer.port, size


def peer_pools(facts: Facts) -> Iterator[Row]:
    """Of peers that there have been requests for, as in PgBouncer."""
    known = {peer.peer_id for peer in facts.plan().peers}
    for pool in facts.engine.peer_pools():
        if pool.peer_id in known:
            yield pool[:5]


def _nothing(_: Facts) -> Iterator[Row]:
    return iter(())


TABLES = (
    Table(
        "CONFIG",
        "each setting",
        columns("key t, value t, default t, changeable t"),
        _config,
        differs="lists howdah's settings.",
    ),
    Table(
        "DATABASES",
        "each entry of [databases], and what came in by `*`",
        columns(
            "name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i, "
            "server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i, "
            "max_client_connections i, current_client_connections i, paused i, disabled i"
        ),
        databases,
    ),
    Table(
        "USERS",
        "each user that is known",
        columns(
            "name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i, current_connections i, "
            "max_user_client_connections i, current_client_connections i"
        ),
        _users,
    ),
    Table("PEERS", "each entry of [peers]", columns("peer_id i, host t, port i, pool_size i"), _peers),
    Table(
        "PEER_POOLS",
        "cancel requests on their way to other processes",
        columns("peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i, sv_login i"),
        peer_pools,
    ),
    Table("DNS_HOSTS", "each host name that was looked up", columns("hostname t, ttl q, addrs t"), _dns_hosts),
    Table(
        "DNS_ZONES",
        "each zone that host names are in",
        columns("zonename t, serial q, count i"),
        _dns_zones,
    ),
)
