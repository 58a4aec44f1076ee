"""One connected socket.

`conn_send` writes what it can straight from the caller's bytes and keeps the rest in the outbox; it is the caller who
then stops reading from the other side (`conn_watch`), so that a slow peer costs a bounded amount of memory.  With TLS
the same calls go through `tls`: nothing above knows how bytes travel.  A handshake goes on inside `conn_fill`, which
has nothing to give until it is done.  Called by the logins, `relay`, `recycle` and `canceller`.
"""

from libc.errno cimport EAGAIN, EINTR, EMSGSIZE, ENOMEM, EPROTO, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, strerror

from howdah.cdefs.openssl cimport SSL_CTX
from howdah.cdefs.sockets cimport (
    MSG_NOSIGNAL,
    SHUT_WR,
    close,
    recv,
    send,
    shutdown,
)
from howdah.dataplane.buffers cimport (
    Block,
    Slab,
    block_data,
    outbox_append,
    outbox_clear,
    outbox_take,
    slab_scratch,
)
from howdah.dataplane.poller cimport poller_add, poller_change, poller_remove
from howdah.dataplane.tls cimport (
    TLS_BATCH,
    TLS_ENDED,
    TLS_FAILED,
    TLS_OK,
    TLS_ROOM,
    TLS_SEALED,
    TlsVerdict,
    tls_accept,
    tls_begin,
    tls_established,
    tls_free,
    tls_goodbye,
    tls_open,
    tls_problem,
    tls_seal,
)

cdef enum:
    MOST_UNREAD = 2 * TLS_SEALED  # bytes in the outbox of a peer whose TLS messages we go on answering


cdef void conn_init(Conn *conn, int fd, uint8_t kind) noexcept nogil:
    conn.fd = fd
    conn.kind = kind
    conn.error = 0
    conn.interest = 0
    conn.proxied = conn.lent = conn.shared = False
    conn.tls = NULL
    conn.out.head = conn.out.tail = NULL
    conn.out.size = 0


cdef FillVerdict receive(Conn *conn, void *room, size_t size, size_t *got) noexcept nogil:
    """Read from the socket once."""
    cdef ssize_t n
    while True:
        n = recv(conn.fd, room, size, 0)
        if n > 0:
            got[0] = n
            return FILL_DATA
        got[0] = 0
        if n == 0:
            return FILL_EOF
        if errno == EAGAIN:
            return FILL_AGAIN
        if errno != EINTR:
            conn.error = errno
            return FILL_ERROR


cdef FillVerdict conn_fill(Slab *slab, Conn *conn, void *room, size_t size, size_t *got) noexcept nogil:
    """Read once; `room` has `size` bytes, READ_SIZE at least.  What a TLS handshake has to say goes out by itself."""
    cdef uint8_t *scratch
    cdef FillVerdict verdict
    if conn.tls == NULL:
        return receive(conn, room, size, got)
    scratch = slab_scratch(slab)
    if scratch == NULL:
        conn.error = ENOMEM
        return FILL_ERROR
    verdict = receive(conn, scratch, min(<size_t>TLS_BATCH, size - TLS_ROOM), got)
    if verdict != FILL_DATA:
        return verdict
    return open_records(slab, conn, got[0], <uint8_t *>room, size, got)


cdef FillVerdict conn_feed(Slab *slab, Conn *conn, const uint8_t *data, size_t size, void *room, size_t room_size,
                           size_t *got) noexcept nogil:
    """Take bytes of a TLS client that were read before it was known to be one: at most TLS_BATCH."""
    cdef uint8_t *scratch = slab_scratch(slab)
    if scratch == NULL:
        conn.error = ENOMEM
        return FILL_ERROR
    memcpy(scratch, data, size)
    return open_records(slab, conn, size, <uint8_t *>room, room_size, got)


cdef FillVerdict open_records(Slab *slab, Conn *conn, size_t sealed_size, uint8_t *room, size_t size,
                              size_t *got) noexcept nogil:
    """Make plain bytes of what is in the scratch memory."""
    cdef uint8_t *scratch = slab.scratch
    cdef TlsVerdict opened
    cdef size_t used = 0
    opened = tls_open(conn.tls, scratch, sealed_size, room, size, got, scratch + TLS_BATCH, &used)
    if used and transmit(slab, conn, scratch + TLS_BATCH, used) == SEND_ERROR:
        return FILL_ERROR
    if conn.out.size > MOST_UNREAD and used:
        conn.error = EMSGSIZE  # it makes us answer (KeyUpdate) and reads no answers
        return FILL_ERROR
    if opened == TLS_FAILED:
        conn.error = EPROTO
        return FILL_ERROR
    if got[0]:
        return FILL_DATA  # behind a goodbye nothing comes: the next read finds the end of the connection
    return FILL_EOF if opened == TLS_ENDED else FILL_AGAIN


cdef SendVerdict conn_send(Slab *slab, Conn *conn, const void *data, size_t size) noexcept nogil:
    """Send `size` bytes behind whatever still waits.  In the middle of a TLS handshake nothing can be said."""
    cdef const uint8_t *at = <const uint8_t *>data
    cdef uint8_t *scratch
    cdef size_t used = 0
    cdef size_t part
    cdef SendVerdict verdict = SEND_ALL if conn.out.size == 0 else SEND_PART
    if conn.tls == NULL:
        return transmit(slab, conn, data, size)
    if not tls_established(conn.tls):
        return verdict
    scratch = slab_scratch(slab)
    if scratch == NULL:
        conn.error = ENOMEM
        return SEND_ERROR
    while size:
        part = min(size, <size_t>TLS_BATCH)
        if tls_seal(conn.tls, at, part, scratch, &used) != TLS_OK:
            conn.error = EPROTO
            return SEND_ERROR
        verdict = transmit(slab, conn, scratch, used)
        if verdict == SEND_ERROR:
            return SEND_ERROR
        at += part
        size -= part
    return verdict


cdef SendVerdict transmit(Slab *slab, Conn *conn, const void *data, size_t size) noexcept nogil:
    """Give `size` bytes to the socket, behind whatever still waits."""
    cdef const uint8_t *at = <const uint8_t *>data
    cdef ssize_t n
    if conn.out.size == 0:
        while size:
            n = send(conn.fd, at, size, MSG_NOSIGNAL)
            if n >= 0:
                at += n
                size -= n
            elif errno == EAGAIN:
                break
            elif errno != EINTR:
                conn.error = errno
                return SEND_ERROR
        if size == 0:
            return SEND_ALL
    if not outbox_append(slab, &conn.out, at, size):
        conn.error = ENOMEM
        return SEND_ERROR
    return SEND_PART


cdef SendVerdict conn_flush(Slab *slab, Conn *conn) noexcept nogil:
    """Send what waits in the outbox, as far as the peer takes it."""
    cdef Block *block
    cdef ssize_t n
    while conn.out.head != NULL:
        block = conn.out.head
        n = send(conn.fd, block_data(block) + block.start, block.end - block.start, MSG_NOSIGNAL)
        if n >= 0:
            outbox_take(slab, &conn.out, n)
        elif errno == EAGAIN:
            return SEND_PART
        elif errno != EINTR:
            conn.error = errno
            return SEND_ERROR
    return SEND_ALL


cdef bint conn_watch(int epoll_fd, Conn *conn, uint32_t events) noexcept nogil:
    """Have epoll tell about `events` and no others; costs a system call only when that is a change."""
    cdef bint done
    if conn.interest == events:
        return True
    if conn.interest == 0:
        done = poller_add(epoll_fd, conn.fd, events, conn)
    else:
        done = poller_change(epoll_fd, conn.fd, events, conn)
    if done:
        conn.interest = events
    return done


cdef void conn_unwatch(int epoll_fd, Conn *conn) noexcept nogil:
    if conn.interest:
        poller_remove(epoll_fd, conn.fd)
        conn.interest = 0


cdef void conn_close(Slab *slab, Conn *conn) noexcept nogil:
    """Close the socket and drop what was never sent.  (Closing is enough for epoll to forget it.)"""
    if conn.fd < 0:
        return
    tls_free(conn.tls)
    conn.tls = NULL
    close(conn.fd)
    conn.fd = -1
    conn.interest = 0
    outbox_clear(slab, &conn.out)


cdef void conn_finish(Slab *slab, Conn *conn) noexcept nogil:
    """Tell the other side that nothing more will come.  Called when all has been sent."""
    cdef uint8_t *scratch
    if conn.tls != NULL:
        scratch = slab_scratch(slab)
        if scratch != NULL:
            transmit(slab, conn, scratch, tls_goodbye(conn.tls, scratch))
    shutdown(conn.fd, SHUT_WR)


# ---- TLS -----------------------------------------------------------------------------------------------------------

cdef bint conn_accept_tls(Conn *conn, SSL_CTX *context, bint ticket) noexcept nogil:
    """From here on the client's bytes are TLS, beginning with its handshake; False: out of memory."""
    conn.tls = tls_accept(context, ticket)
    return conn.tls != NULL


cdef SendVerdict conn_begin_tls(Slab *slab, Conn *conn) noexcept nogil:
    """Send a server the first bytes of the handshake that `tls` (made by the caller) is to lead."""
    cdef uint8_t *scratch = slab_scratch(slab)
    cdef size_t used = 0
    if scratch == NULL or tls_begin(conn.tls, scratch, &used) != TLS_OK:
        conn.error = ENOMEM if scratch == NULL else EPROTO
        return SEND_ERROR
    return transmit(slab, conn, scratch, used)


cdef bint conn_secure(const Conn *conn) noexcept nogil:
    """Is TLS in use, its handshake done?"""
    return conn.tls != NULL and tls_established(conn.tls)


cdef const char *conn_problem(const Conn *conn) noexcept nogil:
    """Why the last call failed, for people."""
    if conn.error == EPROTO and conn.tls != NULL:
        return tls_problem(conn.tls)
    return strerror(conn.error)
