"""SUSPEND: a worker stands still.  What has been read is sent on to its end, and nothing more is read.

For that a worker waits on another epoll, in which there are its mailbox, the consoles that can say RESUME, and whatever
has bytes to send.  What happens on other sockets meanwhile stays in the kernel, and mail that would set a client or a
server in motion is put off.  No time-outs either: there is nobody who could keep them.  Called by `worker`.
"""

from libc.stdint cimport int32_t, uint32_t

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.conn cimport CONN_CLIENT, SEND_ERROR, Conn, conn_flush
from howdah.dataplane.parties cimport (
    CLIENT_CLOSING,
    CLIENT_CONSOLE,
    MAIL_ARRIVE,
    MAIL_AUTH,
    MAIL_CANCEL,
    MAIL_CANCEL_DONE,
    MAIL_FORWARD,
    MAIL_GRANT,
    MAIL_HEARD,
    MAIL_HUB,
    MAIL_REFUSED,
    MAIL_WISH,
    Client,
    Mail,
    Server,
    Worker,
)
from howdah.dataplane.poller cimport poller_add, poller_change, poller_remove
from howdah.dataplane.pool cimport Pool, PooledServer
from howdah.dataplane.recycle cimport client_leave, client_lingers, client_lost, server_lost
from howdah.dataplane.relay cimport relay_console

from howdah.reasons import NUMBERS

cdef int SUSPEND_TIMEOUT = NUMBERS["suspend_timeout"]
cdef int CLIENT_RESET = NUMBERS["client_reset"]


cdef void suspend(Worker *w) noexcept nogil:
    """Stand still from now on."""
    cdef Client *client = w.clients
    cdef Server *server
    if w.still:
        return
    w.still = True
    while client != NULL:
        if wanted(&client.conn):
            poller_add(w.still_fd, client.conn.fd, wanted(&client.conn), &client.conn)
        client = client.next
    server = next_unsent(w, NULL)
    while server != NULL:
        poller_add(w.still_fd, server.conn.fd, EPOLLOUT, &server.conn)
        server = next_unsent(w, server)
    store_i32(&w.unsent, count_unsent(w))


cdef uint32_t wanted(const Conn *conn) noexcept nogil:
    """Of all connections, only a console is read."""
    cdef bint console = conn.kind == CONN_CLIENT and (<const Client *>conn).state == CLIENT_CONSOLE
    return (EPOLLIN if console else 0) | (EPOLLOUT if conn.out.size else 0)


cdef void still_watch(Worker *w, Conn *conn) noexcept nogil:
    """After bytes were sent, or some were left over."""
    if conn.fd < 0:
        return
    if not wanted(conn):
        poller_remove(w.still_fd, conn.fd)
    elif not poller_change(w.still_fd, conn.fd, wanted(conn), conn):
        poller_add(w.still_fd, conn.fd, wanted(conn), conn)


cdef void still_event(Worker *w, Conn *conn, uint32_t events) noexcept nogil:
    """A console has said something, or somebody takes bytes."""
    cdef Client *client = <Client *>conn if conn.kind == CONN_CLIENT else NULL
    if conn.fd < 0 or not w.still:
        return
    if client != NULL and client.state == CLIENT_CONSOLE:
        relay_console(w, client, events)
    elif client != NULL and client.state == CLIENT_CLOSING:
        client_lingers(w, client)
    elif conn_flush(&w.slab, conn) == SEND_ERROR:
        if client != NULL:
            client_lost(w, client)
        else:
            server_lost(w, <Server *>conn, CLIENT_RESET, b"")
    still_watch(w, conn)
    store_i32(&w.unsent, count_unsent(w))


cdef int count_unsent(Worker *w) noexcept nogil:
    """Connections that have bytes to send, consoles aside."""
    cdef Client *client = w.clients
    cdef Server *server = next_unsent(w, NULL)
    cdef int count = 0
    while client != NULL:
        count += client.conn.out.size != 0 and client.state != CLIENT_CONSOLE
        client = client.next
    while server != NULL:
        count += 1
        server = next_unsent(w, server)
    return count


cdef Server *next_unsent(Worker *w, const Server *after) noexcept nogil:
    """The next of this worker's servers that have bytes to send; NULL: none (left).  No other worker takes those."""
    cdef Pool *pool
    cdef PooledServer *pooled
    cdef Server *found = NULL
    cdef bint passed = after == NULL
    pthread_mutex_lock(&w.shared.pools.lock)
    pool = w.shared.pools.first
    while pool != NULL and found == NULL:
        pooled = pool.servers
        while pooled != NULL and found == NULL:
            if pooled.owner == after:
                passed = True
            elif passed and has_unsent(w, pooled):
                found = <Server *>pooled.owner
            pooled = pooled.all_next
        pool = pool.next
    pthread_mutex_unlock(&w.shared.pools.lock)
    return found


cdef bint has_unsent(const Worker *w, const PooledServer *pooled) noexcept nogil:
    cdef const Server *server
    if load_i32(<int32_t *>&pooled.worker) != w.index:
        return False
    server = <const Server *>pooled.owner
    return server.conn.fd >= 0 and server.conn.out.size != 0


cdef void suspend_overdue(Worker *w) noexcept nogil:
    """suspend_timeout is over: who still has bytes to be sent goes."""
    cdef Client *client
    cdef Client *next_client
    cdef Server *server = next_unsent(w, NULL)
    if not w.still:
        return
    while server != NULL:
        server_lost(w, server, SUSPEND_TIMEOUT, b"")
        server = next_unsent(w, NULL)
    client = w.clients
    while client != NULL:
        next_client = client.next
        if client.conn.out.size and client.state != CLIENT_CONSOLE:
            client_leave(w, client, SUSPEND_TIMEOUT, b"")  # in the middle of a message nothing can be said
        client = next_client
    store_i32(&w.unsent, 0)


cdef bint put_off(Worker *w, Mail *mail) noexcept nogil:
    """Keep mail that would set a client or a server in motion; False: it is to be dealt with as ever."""
    if not w.still or mail.kind not in (
            MAIL_ARRIVE, MAIL_GRANT, MAIL_REFUSED, MAIL_CANCEL, MAIL_FORWARD, MAIL_CANCEL_DONE, MAIL_AUTH,
            MAIL_WISH, MAIL_HEARD, MAIL_HUB):
        return False
    mail.next = NULL
    if w.last_put_off == NULL:
        w.first_put_off = mail
    else:
        w.last_put_off.next = mail
    w.last_put_off = mail
    return True


cdef Mail *end_suspension(Worker *w) noexcept nogil:
    """Go on as before; gives the mail that was put off, linked by `next`.  (What became free to send meanwhile, epoll
    tells once more.)"""
    cdef Mail *mail = w.first_put_off
    cdef Client *client = w.clients
    cdef Server *server = next_unsent(w, NULL)
    w.first_put_off = w.last_put_off = NULL
    while client != NULL:
        if wanted(&client.conn):
            poller_remove(w.still_fd, client.conn.fd)
        client = client.next
    while server != NULL:
        poller_remove(w.still_fd, server.conn.fd)
        server = next_unsent(w, server)
    w.still = False
    return mail
