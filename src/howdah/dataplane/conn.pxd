"""One connected socket: reading, writing, and what epoll is asked to tell about it."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.cdefs.openssl cimport SSL_CTX
from howdah.dataplane.buffers cimport Outbox, Slab
from howdah.dataplane.tls cimport Tls

cpdef enum ConnKind:
    CONN_LISTENER
    CONN_MAILBOX
    CONN_CLIENT
    CONN_SERVER
    CONN_CANCEL
    CONN_LOGINS  # the epoll of logins
    CONN_TICK  # the timerfd that moves the wheel of deadlines
    CONN_HUB  # no socket, but a timer: see `hub`
    CONN_FORWARD
    CONN_PEER  # likewise no socket: see `forwarding`

cpdef enum FillVerdict:
    FILL_DATA
    FILL_AGAIN  # nothing there now
    FILL_EOF
    FILL_ERROR

cpdef enum SendVerdict:
    SEND_ALL
    SEND_PART  # the rest waits in the outbox
    SEND_ERROR

# The first field of everything that is registered with epoll, so that an event's pointer is one of these.
# Touched by the worker that owns the client, server or cancel request it is part of.
cdef struct Conn:
    int fd  # -1: closed
    uint8_t kind
    int error  # errno of the last FILL_ERROR or SEND_ERROR
    uint32_t interest  # what epoll tells about now
    bint proxied  # of a listener: its connections begin with a PROXY header
    bint lent  # of a listener: it is not ours, and whoever waits there is for the next process
    bint tuned_anew  # of a listener: who has come to it before its options changed may still be in its queue
    bint shared  # another process may have it open, too: closing it is not enough for epoll to forget it
    Tls *tls  # NULL: bytes travel as they are
    Outbox out  # as it goes out: with TLS, records

cdef void conn_init(Conn *conn, int fd, uint8_t kind) noexcept nogil
cdef FillVerdict conn_fill(Slab *slab, Conn *conn, void *room, size_t size, size_t *got) noexcept nogil
cdef FillVerdict conn_feed(Slab *slab, Conn *conn, const uint8_t *data, size_t size, void *room, size_t room_size,
                           size_t *got) noexcept nogil
cdef SendVerdict conn_send(Slab *slab, Conn *conn, const void *data, size_t size) noexcept nogil
cdef SendVerdict conn_flush(Slab *slab, Conn *conn) noexcept nogil
cdef bint conn_watch(int epoll_fd, Conn *conn, uint32_t events) noexcept nogil
cdef void conn_unwatch(int epoll_fd, Conn *conn) noexcept nogil
cdef void conn_close(Slab *slab, Conn *conn) noexcept nogil
cdef void conn_finish(Slab *slab, Conn *conn) noexcept nogil
cdef bint conn_accept_tls(Conn *conn, SSL_CTX *context, bint ticket) noexcept nogil
cdef bint conn_secure(const Conn *conn) noexcept nogil
cdef const char *conn_problem(const Conn *conn) noexcept nogil
cdef SendVerdict conn_begin_tls(Slab *slab, Conn *conn) noexcept nogil
