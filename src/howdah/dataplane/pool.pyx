"""The pools: idle servers (last in, first out), waiting clients (first come, first served), and exact limits.

One lock guards all of it, so that limits shared by several pools are exact too; no system call is made under it.
A server counts from the moment room is reserved for it until PostgreSQL has let it go, so the database never sees one
more than allowed.  Times come from the clocks of different workers' turns, one of which may be a little behind
another: they are compared as `now >= since + limit`, never subtracted.

Holds no socket and calls no one: it gives verdicts, on which `handshake`, `relay`, `recycle` and `worker` act.
"""

from libc.stdint cimport int32_t, uint64_t

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock

cdef enum:
    MOST_COMPARED = 32  # idle servers, for one with the right session


cdef int in_use(const Pool *pool) noexcept nogil:
    return pool.idle_count + pool.opening + pool.out + pool.closing


cdef int *counter(const PooledServer *server, int place) noexcept nogil:
    cdef Pool *pool = server.pool
    if server.dedicated:
        return &pool.dedicated
    if place == PLACE_IDLE:
        return &pool.idle_count
    if place == PLACE_OPENING:
        return &pool.opening
    if place == PLACE_OUT:
        return &pool.out
    return &pool.closing


cdef void move(PooledServer *server, int place) noexcept nogil:
    """The only writer of `place`, so that the counts cannot be wrong."""
    if server.place == PLACE_IDLE:
        server.prev.next = server.next
        server.next.prev = server.prev
        server.next = server.prev = NULL
    if server.checking:
        server.checking = False
        server.pool.checking -= 1
    counter(server, server.place)[0] -= 1
    counter(server, place)[0] += 1
    store_i32(&server.place, place)


cdef void push_idle(PooledServer *server, uint64_t now_us) noexcept nogil:
    cdef PooledServer *head = &server.pool.idle[server.worker]
    move(server, PLACE_IDLE)
    server.idle_since_us = now_us
    server.next = head.next
    server.prev = head
    head.next.prev = server
    head.next = server


cdef bint doubtful(const Pools *pools, const PooledServer *server, uint64_t now_us) noexcept nogil:
    """Idle for so long that it may be gone unnoticed."""
    return pools.checks and now_us >= server.idle_since_us + pools.check_delay_us


cdef PooledServer *most_recent(Pools *pools, Pool *pool) noexcept nogil:
    """The idle server used last."""
    cdef PooledServer *best = NULL
    cdef PooledServer *other
    for i in range(pools.workers):
        other = pool.idle[i].next
        if other != &pool.idle[i] and (best == NULL or other.idle_since_us > best.idle_since_us):
            best = other
    return best


cdef PooledServer *least_recent(Pools *pools, Pool *pool) noexcept nogil:
    """The server that has been idle longest; NULL: none is idle."""
    cdef PooledServer *best = NULL
    cdef PooledServer *other
    for i in range(pools.workers):
        other = pool.idle[i].prev
        if other != &pool.idle[i] and (best == NULL or other.idle_since_us < best.idle_since_us):
            best = other
    return best


cdef PooledServer *choose_idle(Pools *pools, Pool *pool, int worker, const void *session,
                               uint64_t now_us) noexcept nogil:
    """The one used last, of the own worker if there is any: it need not move between threads.  Or each in turn."""
    cdef PooledServer *own = pool.idle[worker].next
    if pools.round_robin:
        return least_recent(pools, pool)
    if own == &pool.idle[worker] or doubtful(pools, own, now_us):
        return most_recent(pools, pool)
    return own if own.session == session else one_like(pools, pool, worker, session, now_us)


cdef PooledServer *one_like(const Pools *pools, Pool *pool, int worker, const void *session,
                            uint64_t now_us) noexcept nogil:
    """Of the worker's servers that were used last, one that was left with this, else the one used last of all."""
    cdef PooledServer *first = pool.idle[worker].next
    cdef PooledServer *server = first.next
    for _ in range(MOST_COMPARED):
        if server == &pool.idle[worker] or doubtful(pools, server, now_us):
            break
        if server.session == session:
            return server
        server = server.next
    return first


cdef bint superseded(const PooledServer *server) noexcept nogil:
    """Opened under terms that no longer hold.  May be asked without the lock."""
    return load_i32(<int32_t *>&server.pool.generation) != load_i32(<int32_t *>&server.generation)


cdef bint outdated(const PooledServer *server, uint64_t now_us) noexcept nogil:
    """Too old, or opened under terms that no longer hold.  A lifetime of 0 (or 1 µs) means "use once"."""
    return (superseded(server)
            or ((server.used or server.pool.server_lifetime_us > 1)
                and now_us >= server.opened_us + server.pool.server_lifetime_us))


cdef void opened(Pools *pools, Pool *pool, PooledServer *server, int worker, uint64_t now_us) noexcept nogil:
    """A server takes the room that was reserved for it (`TAKE_OPEN`, `next_to_open`)."""
    pthread_mutex_lock(&pools.lock)
    server.pool = pool
    server.place = PLACE_OPENING
    server.worker = worker
    server.generation = pool.generation
    server.opened_us = now_us
    server.next = server.prev = NULL
    server.made_room_for = NULL
    server.used = server.checking = False
    server.all_prev = NULL
    server.all_next = pool.servers
    if pool.servers != NULL:
        pool.servers.all_prev = server
    pool.servers = server
    pthread_mutex_unlock(&pools.lock)


cdef void unreserve(Pools *pools, Pool *pool) noexcept nogil:
    """The room reserved for a server is not used after all."""
    pthread_mutex_lock(&pools.lock)
    pool.opening -= 1
    pool.database_limit.count -= 1
    pool.user_limit.count -= 1
    pthread_mutex_unlock(&pools.lock)


cdef void set_closing(Pools *pools, PooledServer *server) noexcept nogil:
    """Nobody gets it any more, but PostgreSQL still has it."""
    pthread_mutex_lock(&pools.lock)
    move(server, PLACE_CLOSING)
    pthread_mutex_unlock(&pools.lock)


cdef void gone(Pools *pools, PooledServer *server) noexcept nogil:
    """PostgreSQL has let go of it: it counts no more."""
    cdef Pool *pool = server.pool
    pthread_mutex_lock(&pools.lock)
    counter(server, server.place)[0] -= 1
    if server.made_room_for != NULL:
        server.made_room_for.leaving -= 1
    pool.unused_since_us = max(pool.unused_since_us, server.idle_since_us)
    pool.database_limit.count -= 1
    pool.user_limit.count -= 1
    if server.all_prev == NULL:
        pool.servers = server.all_next
    else:
        server.all_prev.all_next = server.all_next
    if server.all_next != NULL:
        server.all_next.all_prev = server.all_prev
    pthread_mutex_unlock(&pools.lock)


cdef bint room_for_one(Pools *pools, const Pool *pool, uint64_t now_us) noexcept nogil:
    """Does the pool's own size allow one more server?  The reserve is for those who have waited long."""
    cdef int most = pool.size
    if most == 0:
        return True
    if (pool.reserve and pool.first != NULL
            and now_us >= pool.first.since_us + pools.reserve_timeout_us):
        most += pool.reserve
    return in_use(pool) < most


cdef bint wants_one(const Pool *pool, bint fill) noexcept nogil:
    if pool.waiting > pool.opening + pool.checking:
        return True
    return (fill and pool.idle_count + pool.opening + pool.out < pool.min_size
            and (pool.forced_user or pool.clients > pool.alone))


cdef bint may_try(const Pool *pool, uint64_t now_us) noexcept nogil:
    """Until a server has logged in, one attempt at a time; after a failure not before its time."""
    if pool.removed or pool.held or (pool.failing and now_us < pool.retry_at_us):
        return False
    return pool.proven or pool.opening == 0


cdef bint at_limit(const Limit *limit) noexcept nogil:
    return limit.most > 0 and limit.count >= limit.most


cdef bint reserve_one(Pools *pools, Pool *pool, uint64_t now_us) noexcept nogil:
    """Reserve room for one more server where every limit allows it."""
    if not may_try(pool, now_us) or not room_for_one(pools, pool, now_us):
        return False
    if at_limit(pool.database_limit) or at_limit(pool.user_limit):
        return False
    if pool.size and in_use(pool) >= pool.size:
        pool.first.reserved = True
    pool.opening += 1
    pool.database_limit.count += 1
    pool.user_limit.count += 1
    return True


cdef void take_out(PooledServer *server, WaitingClient *client) noexcept nogil:
    """An idle server becomes one of the client's worker."""
    move(server, PLACE_OUT)
    client.moved_from = server.worker
    store_i32(&server.worker, client.worker)


cdef void set_checking(PooledServer *server) noexcept nogil:
    server.checking = True
    server.pool.checking += 1


cdef void count_waiting(Pools *pools, int by) noexcept nogil:
    """Under the lock, but read without."""
    store_i32(&pools.waiting, pools.waiting + by)


cdef void stand_last(Pools *pools, WaitingClient **first, WaitingClient **last, WaitingClient *client) noexcept nogil:
    """At the end of a line."""
    client.in_line = True
    client.next = NULL
    client.prev = last[0]
    if last[0] == NULL:
        first[0] = client
    else:
        last[0].next = client
    last[0] = client
    count_waiting(pools, 1)


cdef void join_line(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us) noexcept nogil:
    client.since_us = now_us
    client.reserved = False
    stand_last(pools, &pool.first, &pool.last, client)
    pool.waiting += 1


cdef TakeVerdict take(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us,
                      PooledServer **doubtful_one) noexcept nogil:
    """A client needs a server: an idle one at once, else a place in the line.

    Where only such servers are idle as may be gone unnoticed, each client brings one of them to be checked.
    """
    cdef PooledServer *server = NULL
    cdef TakeVerdict verdict = TAKE_WAIT
    pthread_mutex_lock(&pools.lock)
    client.pool = pool
    client.granted = NULL
    if pool.idle_count:
        server = choose_idle(pools, pool, client.worker, client.session, now_us)
    if server != NULL and pool.waiting == 0 and not doubtful(pools, server, now_us):
        take_out(server, client)
        server.used = True
        client.granted = server
        verdict = TAKE_GOT
    elif server != NULL:
        join_line(pools, pool, client, now_us)
        take_out(server, client)
        set_checking(server)
        doubtful_one[0] = server
        verdict = TAKE_CHECK
    elif pool.refused and now_us < pool.retry_at_us and in_use(pool) == pool.opening:
        verdict = TAKE_REFUSED
    else:
        join_line(pools, pool, client, now_us)
        if wants_one(pool, False) and reserve_one(pools, pool, now_us):
            verdict = TAKE_OPEN
    pthread_mutex_unlock(&pools.lock)
    return verdict


cdef void stop_waiting_for(Pools *pools, PooledServer *server) noexcept nogil:
    """A check takes long: whoever waits shall have another server, if that can be."""
    pthread_mutex_lock(&pools.lock)
    if server.checking:
        server.checking = False
        server.pool.checking -= 1
    pthread_mutex_unlock(&pools.lock)


cdef PooledServer *next_to_check(Pools *pools) noexcept nogil:
    """Clients wait and servers are idle: a check has failed or takes long.  The next one to check; NULL: none."""
    cdef PooledServer *found = NULL
    cdef Pool *pool
    pthread_mutex_lock(&pools.lock)
    pool = pools.first if pools.waiting else NULL
    while pool != NULL and found == NULL:
        if pool.idle_count and wants_one(pool, False):
            found = most_recent(pools, pool)
            move(found, PLACE_OUT)
            set_checking(found)
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return found


cdef void remove_from_line(Pools *pools, WaitingClient *client) noexcept nogil:
    cdef Pool *pool = client.pool
    cdef WaitingClient **first = &pools.first_alone if client.alone else &pool.first
    cdef WaitingClient **last = &pools.last_alone if client.alone else &pool.last
    if client.prev == NULL:
        first[0] = client.next
    else:
        client.prev.next = client.next
    if client.next == NULL:
        last[0] = client.prev
    else:
        client.next.prev = client.prev
    client.next = client.prev = NULL
    client.in_line = False
    count_waiting(pools, -1)
    if client.alone:
        pool.alone_waiting -= 1
    else:
        pool.waiting -= 1


cdef LeaveVerdict leave_line(Pools *pools, WaitingClient *client) noexcept nogil:
    """A waiting client gives up."""
    cdef LeaveVerdict verdict = LEAVE_GRANTED
    pthread_mutex_lock(&pools.lock)
    if client.in_line:
        remove_from_line(pools, client)
        verdict = LEAVE_DONE
    pthread_mutex_unlock(&pools.lock)
    return verdict


cdef ReleaseVerdict release(Pools *pools, PooledServer *server, uint64_t now_us, WaitingClient **next) noexcept nogil:
    """A server is clean and linked to nobody: to the one who waits longest, else to the idle list."""
    cdef Pool *pool = server.pool
    cdef ReleaseVerdict verdict
    pthread_mutex_lock(&pools.lock)
    if server.place == PLACE_OPENING:  # logged in: opening works (again)
        pool.proven = True
        pool.failing = pool.refused = False
        pool.backoff_us = 0
    if outdated(server, now_us) or pool.removed or pool.held or (
            pool.size and in_use(pool) > pool.size + pool.reserve):
        move(server, PLACE_OUT)
        verdict = RELEASE_CLOSE
    elif pool.first != NULL:
        next[0] = pool.first
        remove_from_line(pools, pool.first)
        move(server, PLACE_OUT)
        server.used = True
        next[0].granted = server
        verdict = RELEASE_GRANTED
    else:
        push_idle(server, now_us)
        verdict = RELEASE_IDLE
    pthread_mutex_unlock(&pools.lock)
    return verdict


cdef bint claim(Pools *pools, PooledServer *server, int worker) noexcept nogil:
    """Take this idle server out of the list because something happened on its socket; False: another was faster."""
    cdef bint mine
    pthread_mutex_lock(&pools.lock)
    mine = server.place == PLACE_IDLE and load_i32(&server.worker) == worker
    if mine:
        move(server, PLACE_OUT)
    pthread_mutex_unlock(&pools.lock)
    return mine
