"""Rows about clients, collected by their workers for the control plane.

A worker copies what SHOW CLIENTS needs of its own clients when the mail about it comes; nobody else looks into a live
client.  Called by `worker`, for `engine`.
"""

from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport realloc

from howdah.cdefs.sockets cimport (
    AF_INET,
    AF_INET6,
    getsockname,
    inet_ntop,
    ntohs,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from howdah.dataplane.parties cimport CLIENT_LOGIN_WAITING, CLIENT_WAITING, Client, Server, Worker
from howdah.dataplane.pinning cimport PIN_SORTS
from howdah.dataplane.session_state cimport settings_value
from howdah.dataplane.stats cimport PIN_KINDS
from howdah.dataplane.tls cimport tls_describe, tls_server_name

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept


cdef void local_end(int fd, char *to, size_t size, uint16_t *port) noexcept nogil:
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    cdef sockaddr_in *v4 = <sockaddr_in *>&address
    cdef sockaddr_in6 *v6 = <sockaddr_in6 *>&address
    port[0] = 0
    snprintf(to, size, b"unix")
    if fd < 0 or getsockname(fd, <sockaddr *>&address, &length) != 0:
        return
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &v4.sin_addr, to, <socklen_t>size)
        port[0] = ntohs(v4.sin_port)
    elif address.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &v6.sin6_addr, to, <socklen_t>size)
        port[0] = ntohs(v6.sin6_port)


cdef void fill_row(Worker *w, Client *client, ClientSnap *row) noexcept nogil:
    cdef const char *sni
    cdef const char *name = settings_value(client.settings, "application_name") if client.settings != NULL else NULL
    row.id = client.id
    row.state = client.state
    row.worker = w.index
    row.database[0] = row.user[0] = row.tls[0] = row.sni[0] = 0
    if client.pool != NULL:
        snprintf(row.database, sizeof(row.database), b"%s", client.pool.database)
        snprintf(row.user, sizeof(row.user), b"%s", client.user.name)
    if client.conn.tls != NULL:
        tls_describe(client.conn.tls, row.tls, sizeof(row.tls))
        sni = tls_server_name(client.conn.tls)
        if sni != NULL:
            snprintf(row.sni, sizeof(row.sni), b"%s", sni)
    row.address[0] = 0
    if client.peer.family == AF_INET or client.peer.family == AF_INET6:
        inet_ntop(client.peer.family, client.peer.address, row.address, sizeof(row.address))
    else:
        snprintf(row.address, sizeof(row.address), b"unix")
    row.port = client.peer.port
    local_end(client.conn.fd, row.local_address, sizeof(row.local_address), &row.local_port)
    row.connected_us = client.connected_us + w.shared.wall_offset_us
    row.request_us = client.request_us + w.shared.wall_offset_us
    row.wait_us = 0
    if client.state == CLIENT_WAITING or client.state == CLIENT_LOGIN_WAITING:
        row.wait_us = w.now_us - client.line.since_us
    row.link = client.server.id if client.server != NULL else 0
    row.replication = client.replication
    row.prepared_statements = client.names.count
    row.channels = client.ear.count if client.ear != NULL else 0
    row.pins = client.server.pins if client.server != NULL else 0
    row.application_name[0] = 0
    if name != NULL:
        snprintf(row.application_name, sizeof(row.application_name), b"%s", name)


cdef void take_snapshot(Worker *w, Snapshot *snapshot) noexcept nogil:
    """Add rows for this worker's clients.  Mail goes from worker to worker, so only one writes at a time."""
    cdef Client *client = w.clients
    if not make_room(snapshot, pins_here(w) if snapshot.of_pins else w.client_count):
        return
    while client != NULL:
        if snapshot.of_pins:
            fill_pins(w, client, snapshot)
        else:
            fill_row(w, client, &(<ClientSnap *>snapshot.rows)[snapshot.count])
            snapshot.count += 1
        client = client.next


cdef bint make_room(Snapshot *snapshot, size_t more) noexcept nogil:
    """For that many rows; False: out of memory."""
    cdef size_t room = snapshot.count + more
    cdef void *rows
    if room <= snapshot.room:
        return True
    rows = realloc(snapshot.rows, room * (sizeof(PinSnap) if snapshot.of_pins else sizeof(ClientSnap)))
    if rows == NULL:
        snapshot.failed = True
        return False
    snapshot.rows = rows
    snapshot.room = room
    return True


cdef size_t pins_here(Worker *w) noexcept nogil:
    cdef Client *client = w.clients
    cdef size_t count = 0
    while client != NULL:
        if client.server != NULL:
            for kind in range(PIN_KINDS):
                count += client.server.pins_counted & PIN_SORTS[kind].pin != 0
        client = client.next
    return count


cdef void fill_pins(Worker *w, const Client *client, Snapshot *snapshot) noexcept nogil:
    """A row for each reason that this client has to keep its server."""
    cdef const Server *server = client.server
    cdef const char *name
    cdef PinSnap *row
    for kind in range(PIN_KINDS):
        if server == NULL or not server.pins_counted & PIN_SORTS[kind].pin:
            continue
        row = &(<PinSnap *>snapshot.rows)[snapshot.count]
        snapshot.count += 1
        name = settings_value(client.settings, "application_name")
        row.client = client.id
        row.server = server.id
        snprintf(row.database, sizeof(row.database), b"%s", client.pool.database)
        snprintf(row.user, sizeof(row.user), b"%s", client.user.name)
        row.application_name[0] = 0
        if name != NULL:
            snprintf(row.application_name, sizeof(row.application_name), b"%s", name)
        row.kind = <uint8_t>kind
        row.since_us = 0
        row.statement[0] = 0
        if server.pin_records != NULL:
            row.since_us = server.pin_records[kind].since_us + w.shared.wall_offset_us
            snprintf(row.statement, sizeof(row.statement), b"%s", server.pin_records[kind].statement)
