"""The tables of SHOW about connections: clients and servers, in the columns that PgBouncer has for both."""

from collections.abc import Iterator
from typing import TypeVar

from howdah.control.config.names import CONSOLE
from howdah.control.console.columns import Cell, columns, timestamp
from howdah.control.console.table import Facts, Row, Rows, Table
from howdah.dataplane.rows import ClientRow, ServerRow

_PGBOUNCER = (
    "type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i, connect_time t, "
    "request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t, "
    "prepared_statements i, id i"
)
_BUFFERS = "recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i, send_avail i"
_OWN = "worker i, pin t, sni t, channels i"
_OWN_NAMES = frozenset(("worker", "pin", "sni", "channels"))
_FDS = (
    "fd i, task t, user t, database t, addr t, port i, cancel q, link i, client_encoding t, std_strings t, "
    "datestyle t, timezone t, password t, scram_client_key b, scram_server_key b"
)
#: Of what is doing nothing, which SHOW ACTIVE_SOCKETS leaves out.
_AT_REST = frozenset(("idle", "used", "listening"))
T = TypeVar("T", ClientRow, ServerRow)
Pair = tuple[tuple[Cell, ...], tuple[Cell, ...]]  # what PgBouncer shows of a connection, and what only howdah does


def _pointer(number: int) -> str:
    """PgBouncer shows memory addresses to join clients with servers; ids do the same."""
    return f"0x{number:x}" if number else ""


def place(address: str, port: int) -> tuple[str, int]:
    """A Unix socket is "unix" in PgBouncer's tables, and its port the number its name ends with."""
    if not address.startswith("unix"):
        return address, port
    ending = address.rpartition(".")[2]
    return "unix", int(ending) if ending.isdigit() else port


def _who(facts: Facts, client: ClientRow) -> tuple[str, str, str]:
    if client.state == "console":
        return facts.use.users.get(client.id, client.user), CONSOLE, "active"
    return client.user, client.database, client.state


def _client(facts: Facts, client: ClientRow) -> Pair:
    wait, wait_us = divmod(client.wait_us, 1_000_000) if client.wait_us else (0, 0)
    user, database, state = _who(facts, client)
    address, port = place(client.address, client.port)
    local, local_port = place(client.local_address, client.local_port)
    program = client.application_name or facts.use.programs.get(client.id, "")
    connected, asked = timestamp(client.connect_at_us), timestamp(client.request_at_us)
    shown = (
        "C", user, database, client.replication, state, address, port, local, local_port, connected, asked,
        wait, wait_us, 0, f"0x{client.id:x}", _pointer(client.link), 0, client.tls, program,
        client.prepared_statements, client.id,
    )  # fmt: skip
    return shown, (client.worker, client.pin, client.sni, client.channels)


def _server(server: ServerRow) -> Pair:
    shown = (
        *("S", server.user, server.database, server.replication, server.state),
        *(*place(server.address, server.port), *place(server.local_address, server.local_port)),
        *(timestamp(server.connect_at_us), timestamp(server.request_at_us), 0, 0, int(server.close_needed)),
        *(_pointer(server.id), _pointer(server.link), server.remote_pid, server.tls, server.application_name),
        *(server.prepared_statements, server.id),
    )
    return shown, (server.worker, "", "", server.channels)


def _clients(facts: Facts) -> Rows:
    for client in facts.engine.clients():
        shown, own = _client(facts, client)
        yield shown + own


def _servers(facts: Facts) -> Rows:
    for server in facts.engine.servers():
        shown, own = _server(server)
        yield shown + own


def _buffers(held: int, remain: int, unsent: int) -> tuple[int, ...]:
    return held, 0, remain, 0, unsent, held, unsent


def _sockets(facts: Facts, at_rest: bool = True) -> Rows:
    """States have PgBouncer's names for them here, which tell clients from servers."""
    for client in facts.engine.clients():
        if at_rest or client.state not in _AT_REST:
            shown, own = _client(facts, client)
            buffers = _buffers(client.held, client.remain, client.unsent)
            yield (*shown[:4], f"cl_{_who(facts, client)[2]}", *shown[5:], *buffers, *own)
    for server in facts.engine.servers():
        if at_rest or server.state not in _AT_REST:
            shown, own = _server(server)
            buffers = _buffers(0, server.remain, server.unsent)
            yield (*shown[:4], f"sv_{server.state}", *shown[5:], *buffers, *own)


def _active_sockets(facts: Facts) -> Rows:
    return _sockets(facts, at_rest=False)


def _fds(facts: Facts) -> Rows:
    for fd, address, port in facts.listeners():
        yield _fd(fd, "pooler", None, None, address, port)
    clients, servers = facts.engine.clients(), facts.engine.servers()
    fds = {client.id: client.fd for client in clients} | {server.id: server.fd for server in servers}
    for row in _open(clients):
        user, database, _ = _who(facts, row)
        yield _fd(row.fd, "client", user, database, *place(row.address, row.port), fds.get(row.link, 0))
    for server in _open(servers):
        where = place(server.address, server.port)
        yield _fd(server.fd, "server", server.user, server.database, *where, fds.get(server.link, 0))


def _open(rows: list[T]) -> Iterator[T]:
    return (row for row in rows if row.fd >= 0)


def _fd(fd: int, task: str, user: str | None, database: str | None, address: str, port: int, link: int = 0) -> Row:
    """No cancel keys, settings and secrets: PgBouncer has them for the process that takes over, not for people."""
    secrets: tuple[Cell, ...] = (None,) * 7
    return (fd, task, user, database, address, port, 0, link, *secrets)


TABLES = (
    Table("CLIENTS", "each client connection", columns(f"{_PGBOUNCER}, {_OWN}"), _clients, _OWN_NAMES),
    Table("SERVERS", "each server connection", columns(f"{_PGBOUNCER}, {_OWN}"), _servers, _OWN_NAMES),
    Table(
        "SOCKETS",
        "each connection, with what is in its buffers",
        columns(f"{_PGBOUNCER}, {_BUFFERS}, {_OWN}"),
        _sockets,
        _OWN_NAMES,
        differs="an idle connection owns no buffer here; `recv_pos` and `pkt_avail` are bytes read and not yet passed "
        "on, `send_remain` and `send_avail` bytes not yet sent.",
    ),
    Table(
        "ACTIVE_SOCKETS",
        "those of them that are doing something",
        columns(f"{_PGBOUNCER}, {_BUFFERS}, {_OWN}"),
        _active_sockets,
        _OWN_NAMES,
        differs="as SOCKETS.",
    ),
    Table(
        "FDS",
        "each file descriptor of a connection",
        columns(_FDS),
        _fds,
        for_admins=True,
        differs="shows every connection, and neither cancel keys nor passwords nor keys nor settings of sessions.",
    ),
)
