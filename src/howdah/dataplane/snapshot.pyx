"""Rows about clients and memory, collected by the workers for the control plane.

A worker copies what SHOW CLIENTS needs of its own clients when the mail about it comes; nobody else looks into a live
client.  Called by `worker`, for `engine`.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from howdah.cdefs.sockets cimport AF_INET, AF_INET6, inet_ntop, socklen_t
from howdah.dataplane.buffers cimport BLOCK_CLASSES, Block, Slab, class_size
from howdah.dataplane.mailbox cimport own_end
from howdah.dataplane.parties cimport CHUNK, CLIENT_LOGIN_WAITING, CLIENT_WAITING, Client, Peer, Server, Worker
from howdah.dataplane.pinning cimport PIN_SORTS
from howdah.dataplane.session_state cimport settings_value
from howdah.dataplane.stats cimport PIN_KINDS
from howdah.dataplane.tls cimport tls_describe, tls_server_name

cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *text, size_t most) noexcept

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    PART = 256  # clients looked at in one turn: some tenths of a millisecond


cdef void local_end(int fd, char *to, size_t size, uint16_t *port) noexcept nogil:
    cdef Peer own
    port[0] = 0
    snprintf(to, size, b"unix")
    if fd >= 0 and own_end(fd, &own) and (own.family == AF_INET or own.family == AF_INET6):
        inet_ntop(own.family, own.address, to, <socklen_t>size)
        port[0] = own.port


cdef void put(char *to, size_t size, const char *text) noexcept nogil:
    """As much of a text as there is room for.  snprintf would take half of a row's time."""
    cdef size_t length = strnlen(text, size - 1)
    memcpy(to, text, length)
    to[length] = 0


cdef void fill_row(Worker *w, Client *client, ClientSnap *row) noexcept nogil:
    cdef const char *sni
    cdef const char *name = settings_value(client.settings, "application_name") if client.settings != NULL else NULL
    row.id = client.id
    row.state = client.state
    row.worker = w.index
    row.database[0] = row.user[0] = row.tls[0] = row.sni[0] = 0
    if client.pool != NULL:
        put(row.database, sizeof(row.database), client.pool.database)
        put(row.user, sizeof(row.user), client.user.name)
    if client.conn.tls != NULL:
        tls_describe(client.conn.tls, row.tls, sizeof(row.tls))
        sni = tls_server_name(client.conn.tls)
        if sni != NULL:
            put(row.sni, sizeof(row.sni), sni)
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
    row.fd = client.conn.fd
    row.held = client.held.end - client.held.start if client.held != NULL else 0
    row.remain = client.remain
    row.unsent = client.conn.out.size
    row.pins = client.server.pins if client.server != NULL else 0
    row.application_name[0] = 0
    if name != NULL:
        put(row.application_name, sizeof(row.application_name), name)


cdef LookVerdict take_snapshot(Worker *w, Snapshot *snapshot) noexcept nogil:
    """Add rows for this worker, of its clients a part at a time: between two parts it does what it is there for.

    The mail about it goes from worker to worker, so only one writes at a time.
    """
    cdef int left = PART
    if snapshot.kind == SNAP_MEMORY:
        fill_memory(w, snapshot)
        return LOOK_DONE
    if not snapshot.begun:
        w.looked_at = w.clients
        snapshot.begun = True
    while w.looked_at != NULL and left and make_room(snapshot, PIN_KINDS):
        if snapshot.kind == SNAP_PINS:
            fill_pins(w, w.looked_at, snapshot)
        else:
            fill_row(w, w.looked_at, &(<ClientSnap *>snapshot.rows)[snapshot.count])
            snapshot.count += 1
        w.looked_at = w.looked_at.next
        left -= 1
    if w.looked_at != NULL and not snapshot.failed:
        return LOOK_MORE
    w.looked_at = NULL
    snapshot.begun = False
    return LOOK_DONE


cdef size_t row_size(const Snapshot *snapshot) noexcept nogil:
    if snapshot.kind == SNAP_MEMORY:
        return sizeof(MemorySnap)
    return sizeof(PinSnap) if snapshot.kind == SNAP_PINS else sizeof(ClientSnap)


cdef bint make_room(Snapshot *snapshot, size_t more) noexcept nogil:
    """For that many rows; False: out of memory."""
    cdef size_t room = max(snapshot.count + more, 2 * snapshot.room)
    cdef void *rows
    if snapshot.count + more <= snapshot.room:
        return True
    rows = realloc(snapshot.rows, room * row_size(snapshot))
    if rows == NULL:
        snapshot.failed = True
        return False
    snapshot.rows = rows
    snapshot.room = room
    return True


cdef void fill_memory(Worker *w, Snapshot *snapshot) noexcept nogil:
    """What this worker's clients and buffers take."""
    cdef Slab *slab = &w.slab
    cdef int size_class
    if not make_room(snapshot, STORES):
        return
    add_store(snapshot, STORE_CLIENTS, sizeof(Client), w.client_count,
              <uint64_t>w.chunk_count * CHUNK - <uint64_t>w.client_count)
    for size_class in range(BLOCK_CLASSES):
        add_store(snapshot, STORE_BLOCKS + size_class, sizeof(Block) + class_size(<uint8_t>size_class),
                  slab.out[size_class], slab.kept[size_class])
    add_store(snapshot, STORE_LARGE_BLOCKS, 1, slab.large_bytes + slab.out[BLOCK_CLASSES] * sizeof(Block), 0)


cdef void add_store(Snapshot *snapshot, int store, uint64_t size, uint64_t used, uint64_t free) noexcept nogil:
    cdef MemorySnap *row = &(<MemorySnap *>snapshot.rows)[snapshot.count]
    snapshot.count += 1
    row.store = store
    row.size = size
    row.used = used
    row.free = free


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
