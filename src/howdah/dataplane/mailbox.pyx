"""Messages to workers, and events up to the control plane: two queues with a lock and an eventfd each.

A sender never waits for a receiver.  The queue of events is bounded: what the control plane does not fetch in time is
counted and dropped, so that a slow log cannot hold up a query.  Called by everything in the spine, and by `engine`.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strlen

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.cdefs.clock cimport CLOCK_MONOTONIC, clock_us
from howdah.cdefs.sockets cimport (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    SO_PEERCRED,
    SOL_SOCKET,
    getsockname,
    getsockopt,
    inet_ntop,
    ntohs,
    read,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
    ucred,
    write,
)
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.client cimport login_packet
from howdah.dataplane.parties cimport MOST_REASONS, Client, Mail, Note, Peer, Server, Shared, Worker
from howdah.dataplane.pool cimport Pool
from howdah.wire.startup cimport Startup

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

from howdah.dataplane.rows import EventKind
from howdah.reasons import REASONS, Level

cdef enum:
    MOST_NOTES = 65536

cdef uint8_t CLIENT_CLOSED = EventKind.CLIENT_CLOSED
cdef uint8_t PEER_FAILED = EventKind.PEER_FAILED
cdef uint8_t RESERVE_TAKEN = EventKind.RESERVE_TAKEN
cdef bint[MOST_REASONS] loud  # reasons that are told whatever the plan says


def choose_loud(drop_in):
    """What the log is told of: what is wrong, and as PgBouncer whatever clients are.  Before any worker runs."""
    for number, reason in enumerate(REASONS):
        loud[number] = reason.level in (Level.WARNING, Level.ERROR) or (drop_in and reason.sqlstate != "")


choose_loud(False)


cdef Mail *mail_new(uint8_t kind) noexcept nogil:
    cdef Mail *mail = <Mail *>calloc(1, sizeof(Mail))
    if mail != NULL:
        mail.kind = kind
    return mail


cdef void mail_free(Mail *mail) noexcept nogil:
    if not mail.embedded:
        free(mail)


cdef void wake(int fd) noexcept nogil:
    cdef uint64_t one = 1
    write(fd, &one, sizeof(one))


cdef void mail_send(Worker *to, Mail *mail) noexcept nogil:
    """Hand `mail` over; it is the receiver's from now on."""
    cdef bint first
    mail.next = NULL
    pthread_mutex_lock(&to.inbox_lock)
    first = to.first_mail == NULL
    if first:
        to.first_mail = mail
    else:
        to.last_mail.next = mail
    to.last_mail = mail
    pthread_mutex_unlock(&to.inbox_lock)
    if first:
        wake(to.mail_fd)


cdef Mail *mail_fetch(Worker *worker) noexcept nogil:
    """All there is, oldest first, linked by `next`."""
    cdef Mail *mail
    cdef uint64_t count
    read(worker.mail_fd, &count, sizeof(count))
    pthread_mutex_lock(&worker.inbox_lock)
    mail = worker.first_mail
    worker.first_mail = worker.last_mail = NULL
    pthread_mutex_unlock(&worker.inbox_lock)
    return mail


cdef Note *note_new(Worker *w, uint8_t kind, int reason, const char *database, const char *user,
                    const void *detail, size_t size) noexcept nogil:
    """A note with its three variable parts behind it in one piece of memory."""
    cdef size_t database_size = strlen(database) + 1
    cdef size_t user_size = strlen(user) + 1
    cdef Note *note = <Note *>calloc(1, sizeof(Note) + size + database_size + user_size)
    cdef char *at
    if note == NULL:
        return NULL
    at = <char *>(note + 1)
    note.kind = kind
    note.reason = reason
    note.worker = w.index
    note.at_us = clock_us(CLOCK_MONOTONIC) + w.shared.wall_offset_us
    note.size = size
    if size:
        memcpy(at, detail, size)
    note.database = at + size
    memcpy(note.database, database, database_size)
    note.user = note.database + database_size
    memcpy(note.user, user, user_size)
    return note


cdef void note_send(Shared *shared, Note *note) noexcept nogil:
    cdef bint first = False
    cdef bint lost = False
    pthread_mutex_lock(&shared.note_lock)
    if note == NULL or shared.note_count >= MOST_NOTES:
        shared.notes_lost += 1
        lost = True
    else:
        first = shared.first_note == NULL
        if first:
            shared.first_note = note
        else:
            shared.last_note.next = note
        shared.last_note = note
        shared.note_count += 1
    pthread_mutex_unlock(&shared.note_lock)
    if lost:
        free(note)
    elif first:
        wake(shared.note_fd)


cdef void print_peer(const Peer *peer, char *to, size_t size) noexcept nogil:
    cdef char[64] host
    if peer.family == AF_INET and inet_ntop(AF_INET, peer.address, host, sizeof(host)) != NULL:
        snprintf(to, size, b"%s:%d", host, <int>peer.port)
    elif peer.family == AF_INET6 and inet_ntop(AF_INET6, peer.address, host, sizeof(host)) != NULL:
        snprintf(to, size, b"[%s]:%d", host, <int>peer.port)
    else:
        snprintf(to, size, b"unix")


cdef void print_process(int fd, char *to, size_t size) noexcept nogil:
    """PgBouncer's name for who is behind a Unix socket."""
    cdef ucred peer
    cdef socklen_t length = sizeof(peer)
    if getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0:
        snprintf(to, size, b"unix(%d)", <int>peer.pid)


cdef bint own_end(int fd, Peer *own) noexcept nogil:
    """Our end of a connection, or of what listens; False: there is none."""
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    if getsockname(fd, <sockaddr *>&address, &length) != 0:
        return False
    fill_peer(own, &address)
    return True


cdef void own_address(int fd, char *to, size_t size) noexcept nogil:
    """The same in words; nothing, where that has no address."""
    cdef Peer own
    to[0] = 0
    if own_end(fd, &own) and own.family != AF_UNIX:
        print_peer(&own, to, size)


cdef void fill_peer(Peer *peer, const sockaddr_storage *address) noexcept nogil:
    cdef const sockaddr_in *v4 = <const sockaddr_in *>address
    cdef const sockaddr_in6 *v6 = <const sockaddr_in6 *>address
    peer.family = <unsigned char>address.ss_family
    peer.port = 0
    if address.ss_family == AF_INET:
        peer.port = ntohs(v4.sin_port)
        memcpy(peer.address, &v4.sin_addr, 4)
    elif address.ss_family == AF_INET6:
        peer.port = ntohs(v6.sin6_port)
        memcpy(peer.address, &v6.sin6_addr, 16)


cdef void tell_client(Worker *w, uint8_t kind, Client *client, int reason, const void *detail,
                      size_t size) noexcept nogil:
    """An event about a client; ordinary ends are told only when they are to be logged, which a storm would feel."""
    cdef Note *note
    cdef Startup packet
    relaxed_add_u64(&w.told[reason], 1)
    if kind == CLIENT_CLOSED and not loud[reason] and not w.plan.log_disconnections:
        return
    packet.database = packet.user = b""
    if client.pool != NULL:
        packet.database = client.pool.database
        packet.user = client.user.name
    elif client.login != NULL and client.login.kept != NULL:
        login_packet(client.login, &packet)
    note = note_new(w, kind, reason, packet.database, packet.user, detail, size)
    if note != NULL:
        note.id = client.id
        note.slot = client.slot
        note.age_us = w.now_us - client.connected_us
        print_peer(&client.peer, note.address, sizeof(note.address))
        if w.plan.drop_in and client.peer.family == AF_UNIX:
            print_process(client.conn.fd, note.address, sizeof(note.address))
    note_send(w.shared, note)


cdef void tell_reserve(Worker *w, Client *client) noexcept nogil:
    """Of a client that has been granted a server: was one of the reserve opened for its sake?"""
    if client.line.reserved:
        client.line.reserved = False
        tell_client(w, RESERVE_TAKEN, client, 0, NULL, 0)


cdef void tell_server(Worker *w, uint8_t kind, Server *server, int reason, const void *detail,
                      size_t size) noexcept nogil:
    """An event about a server."""
    cdef Pool *pool = server.pooled.pool
    cdef Note *note = note_new(w, kind, reason, pool.database, pool.server_user, detail, size)
    relaxed_add_u64(&w.told[reason], 1)
    if note != NULL:
        note.id = server.id
        note.age_us = w.now_us - server.connected_us
        if server.endpoint != NULL:
            snprintf(note.address, sizeof(note.address), b"%s", server.endpoint)
    note_send(w.shared, note)


cdef void tell_peer(Worker *w, int reason, int peer_id, const char *where, const char *problem) noexcept nogil:
    """A cancel request could not be passed on."""
    cdef Note *note = note_new(w, PEER_FAILED, reason, b"", b"", problem, strlen(problem))
    relaxed_add_u64(&w.told[reason], 1)
    if note != NULL:
        note.id = <uint64_t>peer_id
        snprintf(note.address, sizeof(note.address), b"%s", where)
    note_send(w.shared, note)


cdef void tell_worker(Worker *w, uint8_t kind, int reason, const char *detail) noexcept nogil:
    """An event about the worker itself."""
    relaxed_add_u64(&w.told[reason], 1)
    note_send(w.shared, note_new(w, kind, reason, b"", b"", detail, strlen(detail)))


cdef Note *notes_fetch(Shared *shared) noexcept nogil:
    """All there is, oldest first, linked by `next`; the caller frees each."""
    cdef Note *note
    cdef uint64_t count
    read(shared.note_fd, &count, sizeof(count))
    pthread_mutex_lock(&shared.note_lock)
    note = shared.first_note
    shared.first_note = shared.last_note = NULL
    shared.note_count = 0
    pthread_mutex_unlock(&shared.note_lock)
    return note
