"""What several settings must agree on, after each has been found valid by itself.

Pure: a configuration in, findings out, each with the settings it is about, so that the reader of files can say where
they stand.
"""

from collections.abc import Iterator

from howdah.control.config.addresses import is_loopback
from howdah.control.config.finding import Finding, in_howdah
from howdah.control.config.locate import KeyPath
from howdah.control.config.login_agreement import login_findings
from howdah.control.config.names import CONSOLE
from howdah.control.config.network_settings import LARGEST_PEER_ID
from howdah.control.config.schema import DatabaseSettings, Tables
from howdah.control.config.tls_agreement import tls_findings
from howdah.control.sockaddr import unix_address


def findings(config: Tables) -> Iterator[Finding]:
    """Everything that does not go together, errors and warnings, in no particular order."""
    yield from _listening(config)
    yield from _global_sizes(config)
    yield from _reserve(config)
    yield from _names(config)
    yield from login_findings(config)
    yield from tls_findings(config)
    yield from _peers(config)
    for name, database in config.databases.items():
        yield from _database_sizes(config, name, database)
        yield from _place(config, name, database)


def _listening(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    if not settings.listen_addr and not settings.unix_socket_dir:
        yield Finding(
            in_howdah("listen_addr", "unix_socket_dir"),
            "nothing to listen on: listen_addr and unix_socket_dir are both empty",
            'set one of them, such as listen_addr = "127.0.0.1"',
        )


def _global_sizes(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    if settings.min_pool_size > settings.default_pool_size > 0:
        yield Finding(
            in_howdah("min_pool_size", "default_pool_size"),
            f"min_pool_size ({settings.min_pool_size}) is more than default_pool_size ({settings.default_pool_size})",
            "lower the one or raise the other",
            tolerated=True,
        )
    if 0 < settings.max_db_connections < settings.default_pool_size:
        yield Finding(
            in_howdah("max_db_connections", "default_pool_size"),
            f"max_db_connections ({settings.max_db_connections}) is less than default_pool_size "
            f"({settings.default_pool_size}): no pool can reach its size",
            "this is only right if it is meant",
            fatal=False,
        )


def _database_sizes(config: Tables, name: str, database: DatabaseSettings) -> Iterator[Finding]:
    """Only what the database's own values bring about; the global ones have been looked at."""
    own = {key for key in ("pool_size", "min_pool_size", "max_db_connections") if getattr(database, key) is not None}
    settings = config.howdah
    pool_size = settings.default_pool_size if database.pool_size is None else database.pool_size
    least = settings.min_pool_size if database.min_pool_size is None else database.min_pool_size
    most = settings.max_db_connections if database.max_db_connections is None else database.max_db_connections
    table: KeyPath = ("databases", name)
    if least > pool_size > 0 and own & {"min_pool_size", "pool_size"}:
        yield Finding(
            [(*table, key) for key in ("min_pool_size", "pool_size") if key in own],
            f"min_pool_size ({least}) is more than the pool size ({pool_size})",
            "lower the one or raise the other",
            tolerated=True,
        )
    if 0 < most < pool_size and own & {"max_db_connections", "pool_size"}:
        yield Finding(
            [(*table, key) for key in ("max_db_connections", "pool_size") if key in own],
            f"max_db_connections ({most}) is less than the pool size ({pool_size}): no pool can reach its size",
            "this is only right if it is meant",
            fatal=False,
        )


def _reserve(config: Tables) -> Iterator[Finding]:
    settings = config.howdah
    owners: list[tuple[KeyPath, int]] = [(("howdah",), settings.reserve_pool_size)]
    owners += [(("databases", name), entry.reserve_pool_size or 0) for name, entry in config.databases.items()]
    owners += [(("users", name), entry.reserve_pool_size or 0) for name, entry in config.users.items()]
    sizes = [((*owner, "reserve_pool_size"), size) for owner, size in owners if size]
    timeout: KeyPath = ("howdah", "reserve_pool_timeout")
    for key, size in sizes:
        if not settings.reserve_pool_timeout:
            yield Finding(
                [key, timeout],
                f"reserve_pool_size is {size}, but reserve_pool_timeout is 0: the reserve would never be used",
                "set reserve_pool_timeout, such as 5s, or remove reserve_pool_size",
                tolerated=True,
            )
    if sizes and 0 < settings.query_wait_timeout <= settings.reserve_pool_timeout:
        yield Finding(
            [("howdah", "query_wait_timeout"), timeout],
            "clients are disconnected (query_wait_timeout) before the reserve may be used (reserve_pool_timeout)",
            "make reserve_pool_timeout shorter than query_wait_timeout",
            fatal=False,
        )


def _names(config: Tables) -> Iterator[Finding]:
    if CONSOLE in config.databases:
        yield Finding(
            [("databases", CONSOLE)],
            "this name is reserved for the console",
            f'choose another name, and set dbname = "{CONSOLE}" if the database in PostgreSQL has it',
        )
    if "*" in config.users:
        yield Finding([("users", "*")], "users have no fallback entry", "set what is for all users in [howdah]")
    for table, names in (("databases", config.databases), ("users", config.users)):
        for name in names:
            if not name or "\0" in name:
                yield Finding([(table, name)], "a name must not be empty nor hold a NUL", "choose another name")


def _peers(config: Tables) -> Iterator[Finding]:
    numbers: dict[int, str] = {}
    for name, peer in config.peers.items():
        if not (name.isascii() and name.isdecimal() and 1 <= int(name) <= LARGEST_PEER_ID):
            yield Finding(
                [("peers", name)], f"a peer's name is its number, from 1 to {LARGEST_PEER_ID}", "name it by its peer_id"
            )
        elif (other := numbers.setdefault(int(name), name)) != name:
            yield Finding([("peers", name)], f"this is the peer that {other} is, too", "give each a number of its own")
        if len(peer.host) != 1:
            yield Finding([("peers", name, "host"), ("peers", name)], "a peer has one host", "set host")
    if config.peers and not config.howdah.peer_id:
        yield Finding(
            [("howdah", "peer_id"), ("peers", next(iter(config.peers)))],
            "without a peer_id, cancel requests are neither passed on to [peers] nor taken from them",
            "set peer_id to the number that this process has among its peers",
            fatal=False,
        )


def _place(config: Tables, name: str, database: DatabaseSettings) -> Iterator[Finding]:
    """Where the database is: somewhere, and not here."""
    settings = config.howdah
    key: KeyPath = ("databases", name, "host" if database.host else "port")
    hosts = database.host or (settings.unix_socket_dir,)
    if not hosts[0]:
        yield Finding(
            [("databases", name), ("howdah", "unix_socket_dir")],
            "there is no host, and unix_socket_dir, which would stand in for it, is empty",
            "set host",
            tolerated=True,
        )
        return
    for host in hosts:
        if host.startswith(("/", "@")):
            try:
                unix_address(host, database.port)
            except ValueError as error:
                yield Finding([key], str(error), "use a shorter directory name")
    if database.port == settings.listen_port and any(_is_here(config, host) for host in hosts):
        yield Finding(
            [key, ("databases", name, "port"), ("howdah", "listen_port")],
            f"this is howdah's own port ({settings.listen_port}): it would connect to itself",
            "set host and port to where PostgreSQL is",
        )


def _is_here(config: Tables, host: str) -> bool:
    if host.startswith(("/", "@")):
        return host.rstrip("/") == config.howdah.unix_socket_dir.rstrip("/")
    listening = config.howdah.listen_addr
    everywhere = bool({"*", "0.0.0.0", "::"} & set(listening))
    return host in listening or (is_loopback(host) and (everywhere or any(map(is_loopback, listening))))
