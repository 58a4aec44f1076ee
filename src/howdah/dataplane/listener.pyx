"""Accepting clients.

Each worker has its own TCP sockets (SO_REUSEPORT) and shares the Unix sockets with the others.  A turn accepts a
bounded number, so that a storm of new clients leaves time for those who are in.  Called by `worker`.
"""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EINVAL, errno

from howdah.cdefs.atomics cimport load_i32
from howdah.cdefs.epoll cimport EPOLLEXCLUSIVE, EPOLLIN
from howdah.cdefs.sockets cimport (
    AF_UNIX,
    IPPROTO_TCP,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    TCP_DEFER_ACCEPT,
    accept4,
    close,
    setsockopt,
    sockaddr,
    sockaddr_storage,
    socklen_t,
)
from howdah.dataplane.client cimport client_new, client_watch_deadline
from howdah.dataplane.conn cimport Conn, conn_unwatch, conn_watch
from howdah.dataplane.connecting cimport tune, tune_anew
from howdah.dataplane.mailbox cimport fill_peer, own_end, tell_worker
from howdah.dataplane.opening cimport client_startup
from howdah.dataplane.parties cimport LEAVING, Client, Peer, Worker
from howdah.dataplane.recycle cimport client_refuse

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    AT_ONCE = 8  # clients accepted in one go before others get a turn
    MOST_STRANGERS = 1000
    DEFER_S = 45  # as long as PgBouncer lets the kernel wait for the first bytes
    PAUSE_US = 200000  # when there are no file descriptors left

cdef unsigned char WORKER_FAILED = EventKind.WORKER_FAILED
cdef int TOO_MANY = NUMBERS["max_client_conn"]
cdef int ACCEPT_FAILED = NUMBERS["accept_failed"]

cdef extern from "<string.h>" nogil:
    char *strerror(int error) noexcept


cdef bint accept_clients(Worker *w, Conn *listening) noexcept nogil:
    """Some of those who wait; False: there are no more, or they must wait."""
    cdef sockaddr_storage address
    cdef socklen_t size
    cdef int fd
    for _ in range(AT_ONCE):
        size = sizeof(address)
        address.ss_family = AF_UNIX
        fd = accept4(listening.fd, <sockaddr *>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd >= 0:
            if listening.tuned_anew:
                tune(w.plan, fd)
            welcome_client(w, fd, &address, listening.proxied)
        elif errno == EAGAIN:
            listening.tuned_anew = False
            return False
        elif errno == EINVAL:
            conn_unwatch(w.login_fd, listening)  # shut down: nobody is to come any more
            return False
        elif errno != EINTR and errno != ECONNABORTED:
            # Out of file descriptors or memory: those in line stay in the backlog until some are free again.
            tell_worker(w, WORKER_FAILED, ACCEPT_FAILED, strerror(errno))
            watch_listeners(w, False)
            w.accept_paused = True
            w.accept_again_us = w.now_us + PAUSE_US
            return False
    return True


cdef void welcome_client(Worker *w, int fd, const sockaddr_storage *address, bint proxied) noexcept nogil:
    cdef Client *client = client_new(w, fd)
    if client == NULL:
        close(fd)
        return
    client.proxied = proxied
    fill_peer(&client.peer, address)
    client_watch_deadline(client)
    # Who is in is counted later, where the limit can be told in TLS, too; this is for those who never get so far.
    if load_i32(&w.shared.connected) > 2 * w.plan.max_client_conn + MOST_STRANGERS:
        client_refuse(w, client, TOO_MANY, b"")
        return
    client_startup(w, client)  # its first packet is usually there already


cdef void tune_listeners(Worker *w) noexcept nogil:
    """Set the TCP options that accepted connections inherit (on Unix sockets they have no effect)."""
    cdef int defer = DEFER_S if w.plan.tcp_defer_accept else 0
    for i in range(w.listener_count):
        tune_anew(w.plan, w.listeners[i].fd)
        w.listeners[i].tuned_anew = True
        setsockopt(w.listeners[i].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer))


cdef bint is_local(const Conn *listening) noexcept nogil:
    """Is it a Unix socket?"""
    cdef Peer own
    return own_end(listening.fd, &own) and own.family == AF_UNIX


cdef void watch_listeners(Worker *w, bint on) noexcept nogil:
    """While nobody is to come any more, `on` is for those over our own Unix sockets alone: for the console.  Who comes
    while we leave is another process's."""
    for i in range(w.listener_count):
        if on and w.leaving != LEAVING and (not w.closed or (is_local(&w.listeners[i]) and not w.listeners[i].lent)):
            conn_watch(w.login_fd, &w.listeners[i], EPOLLIN | EPOLLEXCLUSIVE)
        else:
            conn_unwatch(w.login_fd, &w.listeners[i])
