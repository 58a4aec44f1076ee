"""Rows about clients, collected by their workers for the control plane.

A worker copies what SHOW CLIENTS needs of its own clients when the mail about it comes; nobody else looks into a live
client.  Called by `worker`, for `engine`.
"""

from libc.stdint cimport uint16_t
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
from howdah.dataplane.parties cimport CLIENT_LOGIN_WAITING, CLIENT_WAITING, Client, Worker
from howdah.dataplane.session_state cimport settings_value
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
    cdef size_t room = snapshot.count + w.client_count
    cdef ClientSnap *rows = snapshot.rows
    if room > snapshot.room:
        rows = <ClientSnap *>realloc(snapshot.rows, room * sizeof(ClientSnap))
        if rows == NULL:
            snapshot.failed = True
            return
        snapshot.rows = rows
        snapshot.room = room
    while client != NULL:
        fill_row(w, client, &rows[snapshot.count])
        snapshot.count += 1
        client = client.next
