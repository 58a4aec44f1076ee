"""Which server a client gets: an idle one that is still there, or a place in the line.

PostgreSQL, or the network on the way to it, may have dropped a connection that nobody uses.  Where that has been
noticed, epoll tells; but a client may come first, and what was dropped silently nobody tells of.  So a server that has
been idle for a moment is looked at before it is handed out, which costs one system call where there is little to do,
and one that has been idle for `server_check_delay` must answer `server_check_query`, while its client waits in line.
Called by `relay` and `handshake` for a client, and by `worker` where a check has led to nothing.
"""

from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint8_t

from howdah.cdefs.atomics cimport store_i32
from howdah.cdefs.sockets cimport MSG_DONTWAIT, MSG_PEEK, recv
from howdah.dataplane.conn cimport conn_unwatch
from howdah.dataplane.parties cimport SERVER_RECYCLING, Client, Server, Worker
from howdah.dataplane.pool cimport TAKE_CHECK, TAKE_GOT, TAKE_WAIT, PooledServer, TakeVerdict, take
from howdah.dataplane.recycle cimport check, watch_server
from howdah.dataplane.server cimport server_move

cdef enum:
    LOOK_AFTER_US = 10 * 1000  # idle for less than this, epoll has told in time or is about to


cdef TakeVerdict take_living(Worker *w, Client *client) noexcept nogil:
    """As `pool.take`, but what it gives is alive as far as can be seen, and watched by this worker.

    Never TAKE_CHECK: that is done here.
    """
    cdef PooledServer *doubtful = NULL
    cdef PooledServer *given
    cdef TakeVerdict verdict
    client.line.session = client.settings
    while True:
        verdict = take(&w.shared.pools, client.pool, &client.line, w.now_us, &doubtful)
        if verdict == TAKE_CHECK:
            check_idle(w, doubtful, client.line.moved_from)
            return TAKE_WAIT
        if verdict != TAKE_GOT:
            return verdict
        given = client.line.granted
        watch_here(w, given, client.line.moved_from)
        if w.now_us < given.idle_since_us + LOOK_AFTER_US or is_silent(<Server *>given.owner):
            return TAKE_GOT
        client.line.granted = NULL
        server_move(<Server *>given.owner, SERVER_RECYCLING)  # the next turn reads what it has to say


cdef bint is_silent(const Server *server) noexcept nogil:
    """Nothing has come of it, not even its end."""
    cdef uint8_t byte
    return recv(server.conn.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 and errno == EAGAIN


cdef void watch_here(Worker *w, PooledServer *pooled, int watched_by) noexcept nogil:
    """A server that last ran on another worker moves: from its epoll to ours."""
    cdef Server *server = <Server *>pooled.owner
    if watched_by != w.index:
        conn_unwatch(w.shared.workers[watched_by].epoll_fd, &server.conn)
        watch_server(w, server)


cdef void check_idle(Worker *w, PooledServer *pooled, int watched_by) noexcept nogil:
    """See whether a server that was taken out of the idle list for that still answers."""
    store_i32(&pooled.worker, w.index)
    watch_here(w, pooled, watched_by)
    check(w, <Server *>pooled.owner)
