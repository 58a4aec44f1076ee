"""Cancel requests for clients of other processes, on their way there.

Processes behind one address know each other from [peers].  A request that reaches one of them, and is for a client of
another, is sent on over a connection of its own, which that peer closes when it is done; nothing in it is changed but
the hops that are left.  It goes without TLS, as PgBouncer's does: the peer is a process of the same operator.

All requests for one peer are the business of one worker, so their number needs no lock to be bounded: as many as the
peer's `pool_size` are on their way, others wait, for `cancel_wait_timeout` at most, and there are never more of these
than MOST_WAITING.  Anybody can write any number into a key, so nothing is made or kept for one that is not in [peers].
A request goes on when whoever sent it has left: some drivers do not wait for the end.

Called by `opening` and `worker`.
"""

from libc.errno cimport EINPROGRESS, ETIMEDOUT, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport strerror

from howdah.cdefs.atomics cimport relaxed_add_u64, store_i32
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT
from howdah.cdefs.sockets cimport SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, connect, sockaddr, socket
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.cancels cimport SECRET_SIZE, hops_of_key, peer_of_key, use_hop
from howdah.dataplane.conn cimport (
    CONN_FORWARD,
    CONN_PEER,
    FILL_AGAIN,
    SEND_ALL,
    conn_close,
    conn_fill,
    conn_init,
    conn_send,
    conn_watch,
)
from howdah.dataplane.mailbox cimport mail_send, tell_peer
from howdah.dataplane.parties cimport MAIL_CANCEL_DONE, READ_SIZE, Forward, Mail, PeerPool, Shared, Worker
from howdah.dataplane.routes cimport CPlan, Endpoint, PeerRoute, find_peer
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport compose_cancel

from howdah.reasons import NUMBERS

cdef int NONE = NUMBERS["none"]
cdef int HOPS_USED = NUMBERS["peer_hops_used"]
cdef int UNKNOWN = NUMBERS["peer_unknown"]
cdef int BUSY = NUMBERS["peer_busy"]
cdef int UNREACHABLE = NUMBERS["peer_unreachable"]
cdef int SILENT = NUMBERS["peer_silent"]

cdef enum:
    LIMIT_US = 10 * 1000000  # to be connected to, and again to take a request
    MOST_WAITING = 1000  # for one peer
    LARGEST = 16 + SECRET_SIZE  # request


# ---- what comes in -------------------------------------------------------------------------------------------------

cdef int forward_refusal(const CPlan *plan, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil:
    """Why a request with a key of another process is not passed on; NONE: it is."""
    if size > SECRET_SIZE or find_peer(plan, peer_of_key(pid)) == NULL:
        return UNKNOWN
    return NONE if hops_of_key(secret, size) else HOPS_USED


cdef int forwarder_of(const Worker *w, int peer_id) noexcept nogil:
    """The worker whose business this peer is."""
    return peer_id % w.shared.worker_count


cdef void forward_asked(Worker *w, Mail *mail) noexcept nogil:
    """A MAIL_FORWARD, which is ours from here on."""
    cdef int peer_id = peer_of_key(mail.pid)
    cdef PeerPool *pool = NULL
    if find_peer(w.plan, peer_id) != NULL:  # else a reload has come in between
        pool = pool_of(w, peer_id)
    if pool == NULL:
        answer(w, mail)
        return
    if pool.waiting >= MOST_WAITING:
        tell_peer(w, BUSY, peer_id, b"", b"")
        answer(w, mail)
        return
    use_hop(mail.secret)
    mail.since_us = w.now_us
    mail.next = NULL
    if pool.first_waiting == NULL:
        pool.first_waiting = mail
    else:
        pool.last_waiting.next = mail
    pool.last_waiting = mail
    store_i32(&pool.waiting, pool.waiting + 1)
    forwards_go_on(w, pool)


cdef PeerPool *pool_of(Worker *w, int peer_id) noexcept nogil:
    """Made when the first request comes.  NULL: out of memory."""
    cdef PeerPool *pool
    pthread_mutex_lock(&w.shared.peer_lock)
    pool = w.shared.peer_pools
    while pool != NULL and pool.peer_id != peer_id:
        pool = pool.next
    if pool == NULL:
        pool = <PeerPool *>calloc(1, sizeof(PeerPool))
        if pool != NULL:
            conn_init(&pool.conn, -1, CONN_PEER)
            pool.peer_id = peer_id
            pool.worker = w.index
            pool.timer.owner = pool
            pool.next = w.shared.peer_pools
            w.shared.peer_pools = pool
    pthread_mutex_unlock(&w.shared.peer_lock)
    return pool


cdef void answer(Worker *w, Mail *mail) noexcept nogil:
    """Whoever asked may go: its connection is closed."""
    mail.kind = MAIL_CANCEL_DONE
    mail_send(&w.shared.workers[mail.from_worker], mail)


# ---- who is next ---------------------------------------------------------------------------------------------------

cdef void forwards_go_on(Worker *w, PeerPool *pool) noexcept nogil:
    """Send on what may be sent on now, and drop what has waited for too long, or for a peer that is no more."""
    cdef PeerRoute *route = find_peer(w.plan, pool.peer_id)
    cdef uint64_t limit = w.plan.cancel_wait_timeout_us
    cdef Mail *mail = pool.first_waiting
    while mail != NULL:
        if route == NULL or (limit and w.now_us >= mail.since_us + limit):
            answer(w, next_waiting(pool))
        elif pool.connecting + pool.sent < route.pool_size:
            begin(w, pool, route, next_waiting(pool))
        else:
            break
        mail = pool.first_waiting
    if mail != NULL and limit:
        timer_arm(&w.wheel, &pool.timer, mail.since_us + limit)


cdef Mail *next_waiting(PeerPool *pool) noexcept nogil:
    cdef Mail *mail = pool.first_waiting
    pool.first_waiting = mail.next
    if mail.next == NULL:
        pool.last_waiting = NULL
    store_i32(&pool.waiting, pool.waiting - 1)
    return mail


# ---- one on its way ------------------------------------------------------------------------------------------------

cdef void begin(Worker *w, PeerPool *pool, const PeerRoute *route, Mail *mail) noexcept nogil:
    cdef Forward *forward = <Forward *>calloc(1, sizeof(Forward))
    if forward == NULL:
        answer(w, mail)
        return
    conn_init(&forward.conn, -1, CONN_FORWARD)
    forward.pool = pool
    forward.mail = mail
    forward.timer.owner = forward
    forward.next = pool.forwards
    if pool.forwards != NULL:
        pool.forwards.prev = forward
    pool.forwards = forward
    store_i32(&pool.connecting, pool.connecting + 1)
    timer_arm(&w.wheel, &forward.timer, w.now_us + connect_limit(w.plan))
    dial(w, forward, route, 0)


cdef uint64_t connect_limit(const CPlan *plan) noexcept nogil:
    cdef uint64_t limit = LIMIT_US
    if plan.server_connect_timeout_us:
        limit = min(limit, plan.server_connect_timeout_us)
    if plan.cancel_wait_timeout_us:
        limit = min(limit, plan.cancel_wait_timeout_us)
    return limit


cdef void dial(Worker *w, Forward *forward, const PeerRoute *route, int error) noexcept nogil:
    """The peer's next address; after the last, what was wrong with that is told."""
    cdef const char *where
    while forward.attempt < route.endpoint_count:
        error = try_address(w, forward, &route.endpoints[forward.attempt])
        if error == 0:
            return
        conn_close(&w.slab, &forward.conn)
        forward.attempt += 1
    if route.endpoint_count:
        where = route.endpoints[route.endpoint_count - 1].text
        tell_peer(w, UNREACHABLE, forward.pool.peer_id, where, strerror(error))
    else:
        tell_peer(w, UNREACHABLE, forward.pool.peer_id, route.host, route.resolve_error)
    forward_end(w, forward)


cdef int try_address(Worker *w, Forward *forward, const Endpoint *endpoint) noexcept nogil:
    """Begin to connect.  0, or the error."""
    cdef const sockaddr *address = <const sockaddr *>endpoint.sockaddr
    cdef int fd = socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return errno
    conn_init(&forward.conn, fd, CONN_FORWARD)
    if connect(fd, address, endpoint.size) != 0 and errno != EINPROGRESS:
        return errno
    return 0 if conn_watch(w.epoll_fd, &forward.conn, EPOLLOUT) else errno


cdef void forward_event(Worker *w, Forward *forward) noexcept nogil:
    """Something happened on its socket: connected or not, or closed by the peer (which has done its part)."""
    cdef PeerPool *pool = forward.pool
    cdef size_t got = 0
    if not forward.sent:
        if send_request(w, forward):
            return
        go_elsewhere(w, forward, forward.conn.error)
    elif conn_fill(&w.slab, &forward.conn, w.buffer, READ_SIZE, &got) == FILL_AGAIN:
        return
    else:
        forward_end(w, forward)
    forwards_go_on(w, pool)


cdef bint send_request(Worker *w, Forward *forward) noexcept nogil:
    """False: there is no connection."""
    cdef uint8_t[LARGEST] data
    cdef Writer message = writer(data, LARGEST)
    cdef PeerPool *pool = forward.pool
    compose_cancel(&message, forward.mail.pid, forward.mail.secret, forward.mail.size)
    if conn_send(&w.slab, &forward.conn, data, message.used) != SEND_ALL:
        return False
    forward.sent = True
    store_i32(&pool.connecting, pool.connecting - 1)
    store_i32(&pool.sent, pool.sent + 1)
    relaxed_add_u64(&pool.passed_on, 1)
    timer_arm(&w.wheel, &forward.timer, w.now_us + LIMIT_US)
    conn_watch(w.epoll_fd, &forward.conn, EPOLLIN)
    return True


cdef void go_elsewhere(Worker *w, Forward *forward, int error) noexcept nogil:
    """This address will not do."""
    cdef const PeerRoute *route = find_peer(w.plan, forward.pool.peer_id)
    conn_close(&w.slab, &forward.conn)
    forward.attempt += 1
    if route == NULL:
        forward_end(w, forward)
    else:
        dial(w, forward, route, error)


cdef void forward_late(Worker *w, Forward *forward) noexcept nogil:
    """Its time is over; what has been sent, the peer may still take."""
    cdef PeerPool *pool = forward.pool
    cdef const PeerRoute *route = find_peer(w.plan, pool.peer_id)
    cdef const char *where = b""
    if route != NULL and forward.attempt < route.endpoint_count:
        where = route.endpoints[forward.attempt].text
    if forward.sent:
        tell_peer(w, SILENT, pool.peer_id, where, b"")
    else:
        tell_peer(w, UNREACHABLE, pool.peer_id, where, strerror(ETIMEDOUT))
    forward_end(w, forward)
    forwards_go_on(w, pool)


cdef void forward_end(Worker *w, Forward *forward) noexcept nogil:
    """Close it and answer whoever asked."""
    answer(w, forward.mail)
    forward_drop(w, forward)


cdef void forward_drop(Worker *w, Forward *forward) noexcept nogil:
    cdef PeerPool *pool = forward.pool
    if forward.sent:
        store_i32(&pool.sent, pool.sent - 1)
    else:
        store_i32(&pool.connecting, pool.connecting - 1)
    if forward.prev == NULL:
        pool.forwards = forward.next
    else:
        forward.prev.next = forward.next
    if forward.next != NULL:
        forward.next.prev = forward.prev
    timer_disarm(&forward.timer)
    conn_close(&w.slab, &forward.conn)
    free(forward)


# ---- all peers -----------------------------------------------------------------------------------------------------

cdef PeerPool *next_pool(Worker *w, PeerPool *after) noexcept nogil:
    """Of this worker's, the next one; NULL: none (left)."""
    cdef PeerPool *pool
    pthread_mutex_lock(&w.shared.peer_lock)
    pool = w.shared.peer_pools if after == NULL else after.next
    while pool != NULL and pool.worker != w.index:
        pool = pool.next
    pthread_mutex_unlock(&w.shared.peer_lock)
    return pool


cdef void peers_changed(Worker *w) noexcept nogil:
    """There is a new plan: other peers, other addresses, other limits."""
    cdef PeerPool *pool = next_pool(w, NULL)
    while pool != NULL:
        forwards_go_on(w, pool)
        pool = next_pool(w, pool)


cdef void forwards_end(Worker *w) noexcept nogil:
    """The worker ends, and with it what is on its way."""
    cdef PeerPool *pool = next_pool(w, NULL)
    while pool != NULL:
        while pool.forwards != NULL:
            free(pool.forwards.mail)
            forward_drop(w, pool.forwards)
        while pool.first_waiting != NULL:
            free(next_waiting(pool))
        timer_disarm(&pool.timer)
        pool = next_pool(w, pool)


cdef void peer_pools_free(Shared *shared) noexcept nogil:
    """The workers have ended."""
    cdef PeerPool *pool = shared.peer_pools
    cdef PeerPool *following
    while pool != NULL:
        following = pool.next
        free(pool)
        pool = following
    shared.peer_pools = NULL
