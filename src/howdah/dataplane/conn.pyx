"""One connected socket.

`conn_send` writes what it can straight from the caller's bytes and keeps the rest in the outbox; it is the caller who
then stops reading from the other side (`conn_watch`), so that a slow peer costs a bounded amount of memory.  TLS
belongs here: nothing above knows how bytes travel.  Called by `handshake`, `relay`, `recycle` and `canceller`.
"""

from libc.errno cimport EAGAIN, EINTR, ENOMEM, errno
from libc.stdint cimport uint8_t, uint32_t

from howdah.cdefs.sockets cimport MSG_NOSIGNAL, close, recv, send
from howdah.dataplane.buffers cimport Block, Slab, block_data, outbox_append, outbox_clear, outbox_take
from howdah.dataplane.poller cimport poller_add, poller_change, poller_remove


cdef void conn_init(Conn *conn, int fd, uint8_t kind) noexcept nogil:
    conn.fd = fd
    conn.kind = kind
    conn.error = 0
    conn.interest = 0
    conn.out.head = conn.out.tail = NULL
    conn.out.size = 0


cdef FillVerdict conn_fill(Conn *conn, void *room, size_t size, size_t *got) noexcept nogil:
    """Read once."""
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


cdef SendVerdict conn_send(Slab *slab, Conn *conn, const void *data, size_t size) noexcept nogil:
    """Send `size` bytes behind whatever still waits."""
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
    close(conn.fd)
    conn.fd = -1
    conn.interest = 0
    outbox_clear(slab, &conn.out)
