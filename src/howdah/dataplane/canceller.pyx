"""Cancel requests of ours on their way to PostgreSQL.

Each is a connection of its own that carries 16 or more bytes and is closed by PostgreSQL when the signal has been
sent.  Until then its target stays where it is (`Server.cancels`), so a cancel never hits a later user of that server.
Called by `recycle` and `worker`.
"""

from libc.errno cimport EINPROGRESS, errno
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free

from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT
from howdah.cdefs.sockets cimport SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, close, connect, sockaddr, socket
from howdah.dataplane.conn cimport (
    CONN_CANCEL,
    FILL_AGAIN,
    FILL_DATA,
    SEND_ALL,
    SEND_ERROR,
    FillVerdict,
    conn_begin_tls,
    conn_close,
    conn_fill,
    conn_init,
    conn_secure,
    conn_send,
    conn_watch,
)
from howdah.dataplane.mailbox cimport mail_new, mail_send
from howdah.dataplane.parties cimport (
    ENTRY_HANDSHAKE,
    ENTRY_MESSAGES,
    ENTRY_TLS_ANSWER,
    MAIL_CANCEL_DONE,
    READ_SIZE,
    Cancel,
    Client,
    Mail,
    Server,
    Worker,
)
from howdah.dataplane.routes cimport TLS_VERIFY_FULL
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.dataplane.tls cimport tls_connect, tls_expect
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport compose_cancel, compose_ssl_request

cdef enum:
    LIMIT_US = 10 * 1000000  # for PostgreSQL to take the request
    LARGEST = 512


cdef bint cancel_start(Worker *w, Server *target, Client *asker, unsigned long asker_id,
                       int asker_worker) noexcept nogil:
    """Begin to cancel what `target` runs.  False: it could not be begun (no key, no socket)."""
    cdef sockaddr *address = <sockaddr *>target.sockaddr
    cdef Cancel *cancel
    cdef int fd
    if target.backend_secret == NULL:
        return False
    fd = socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return False
    cancel = <Cancel *>calloc(1, sizeof(Cancel))
    if cancel != NULL:
        conn_init(&cancel.conn, fd, CONN_CANCEL)
        cancel.worker = w
        cancel.target = target
        cancel.asker = asker
        cancel.asker_id = asker_id
        cancel.asker_worker = asker_worker
        cancel.timer.owner = cancel
        if connect(fd, address, target.sockaddr_size) == 0 or errno == EINPROGRESS:
            if conn_watch(w.epoll_fd, &cancel.conn, EPOLLOUT):
                target.cancels += 1
                timer_arm(&w.wheel, &cancel.timer, w.now_us + LIMIT_US)
                return True
    close(fd)
    free(cancel)
    return False


cdef CancelVerdict cancel_event(Worker *w, Cancel *cancel, unsigned int events) noexcept nogil:
    """Something happened on its socket: connected, a step of TLS, or closed by PostgreSQL (delivered)."""
    cdef size_t got = 0
    cdef FillVerdict verdict
    if not cancel.connected:
        cancel.connected = True
        return greet(w, cancel)
    verdict = conn_fill(&w.slab, &cancel.conn, w.buffer, READ_SIZE, &got)
    if cancel.step == ENTRY_HANDSHAKE and conn_secure(&cancel.conn):
        return send_request(w, cancel)
    if cancel.step == ENTRY_TLS_ANSWER and verdict == FILL_DATA and got == 1 and w.buffer[0] == c"S":
        return shake_hands(w, cancel)
    return CANCEL_GOES_ON if verdict == FILL_AGAIN else CANCEL_ENDED


cdef CancelVerdict greet(Worker *w, Cancel *cancel) noexcept nogil:
    """In the way of the connection that it is about: with TLS where that has TLS."""
    cdef uint8_t[16] data
    cdef Writer message = writer(data, sizeof(data))
    if cancel.target.tls[0] == 0 or w.plan.server_context == NULL:
        return send_request(w, cancel)
    if w.plan.server_tls_direct:
        return shake_hands(w, cancel)
    compose_ssl_request(&message)
    cancel.step = ENTRY_TLS_ANSWER
    if conn_send(&w.slab, &cancel.conn, data, message.used) != SEND_ALL:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef CancelVerdict shake_hands(Worker *w, Cancel *cancel) noexcept nogil:
    cancel.step = ENTRY_HANDSHAKE
    cancel.conn.tls = tls_connect(w.plan.server_context)
    if cancel.conn.tls == NULL or not tls_expect(
            cancel.conn.tls, cancel.target.host, w.plan.server_tls == TLS_VERIFY_FULL):
        return CANCEL_ENDED
    if conn_begin_tls(&w.slab, &cancel.conn) == SEND_ERROR:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef CancelVerdict send_request(Worker *w, Cancel *cancel) noexcept nogil:
    cdef uint8_t[LARGEST] data
    cdef Writer message = writer(data, LARGEST)
    cancel.step = ENTRY_MESSAGES
    compose_cancel(&message, cancel.target.backend_pid, cancel.target.backend_secret,
                   cancel.target.backend_secret_size)
    if conn_send(&w.slab, &cancel.conn, data, message.used) != SEND_ALL:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef Server *cancel_end(Worker *w, Cancel *cancel) noexcept nogil:
    """Close it, tell who asked, and give the target, which has one cancel fewer to wait for."""
    cdef Server *target = cancel.target
    cdef Mail *mail
    if cancel.asker != NULL:
        mail = mail_new(MAIL_CANCEL_DONE)
        if mail != NULL:
            mail.client = cancel.asker
            mail.client_id = cancel.asker_id
            mail_send(&w.shared.workers[cancel.asker_worker], mail)
    timer_disarm(&cancel.timer)
    conn_close(&w.slab, &cancel.conn)
    free(cancel)
    target.cancels -= 1
    return target
