"""When servers cannot be opened, whom to open one for, and which have had their time.

Called by `connecting` and `worker`, for `rooms` too.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, strlen

from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.pool cimport (
    PLACE_OUT,
    Limit,
    Pool,
    PooledServer,
    Pools,
    WaitingClient,
    at_limit,
    count_waiting,
    in_use,
    least_recent,
    may_try,
    move,
    outdated,
    reserve_one,
    room_for_one,
    wants_one,
)

cdef enum:
    FIRST_BACKOFF_US = 100000  # after a failed attempt; doubles up to server_login_retry


cdef void copy_text(char *to, size_t room, const char *text) noexcept nogil:
    cdef size_t size = min(strlen(text), room - 1)
    memcpy(to, text, size)
    to[size] = 0


cdef WaitingClient *open_failed(Pools *pools, Pool *pool, int reason, bint refused, const char *sqlstate,
                                const char *message, uint64_t now_us) noexcept nogil:
    """An attempt failed: when to try again.

    Where PostgreSQL `refused` the user or database and no other server is there, waiting is of no use: gives the
    whole line (linked by `next`), for the caller to tell each.  Not so while the pool is held: who waits then, waits
    for what comes after.
    """
    cdef WaitingClient *line = NULL
    cdef WaitingClient *client
    pthread_mutex_lock(&pools.lock)
    pool.failing = True
    pool.proven = False
    refused = refused and not pool.held
    pool.refused = refused
    pool.failure_reason = reason
    pool.backoff_us = min(max(pool.backoff_us * 2, <uint64_t>FIRST_BACKOFF_US), pools.login_retry_us)
    pool.retry_at_us = now_us + (pools.login_retry_us if refused else pool.backoff_us)
    copy_text(pool.failure_sqlstate, sizeof(pool.failure_sqlstate), sqlstate)
    copy_text(pool.failure, sizeof(pool.failure), message)
    if refused and in_use(pool) == pool.opening + pool.closing:
        line = pool.first
        client = line
        while client != NULL:
            client.in_line = False
            count_waiting(pools, -1)
            client = client.next
        pool.first = pool.last = NULL
        pool.waiting = 0
    pthread_mutex_unlock(&pools.lock)
    return line


cdef PooledServer *longest_idle(Pools *pools, const Limit *limit) noexcept nogil:
    """The server under `limit` that has been idle longest."""
    cdef PooledServer *best = NULL
    cdef PooledServer *oldest
    cdef Pool *pool = pools.first
    while pool != NULL:
        if pool.database_limit == limit or pool.user_limit == limit:
            oldest = least_recent(pools, pool)
            if oldest != NULL and (best == NULL or oldest.idle_since_us < best.idle_since_us):
                best = oldest
        pool = pool.next
    return best


cdef PooledServer *make_room(Pools *pools, Pool *pool, int wanted) noexcept nogil:
    """Where only a shared limit is in the way of `wanted` servers: an idle one of another pool that must go."""
    cdef PooledServer *victim
    cdef Limit *limit = pool.database_limit if at_limit(pool.database_limit) else pool.user_limit
    if not at_limit(limit) or wanted <= limit.leaving:
        return NULL
    victim = longest_idle(pools, limit)
    if victim != NULL:
        move(victim, PLACE_OUT)
        victim.made_room_for = limit
        limit.leaving += 1
    return victim


cdef Pool *next_to_open(Pools *pools, bint fill, uint64_t now_us, PooledServer **victim) noexcept nogil:
    """A pool that should have one more server, with room reserved for it; NULL when there is none (left).

    `fill`: also up to min_pool_size.  `victim`: an idle server to close first, when a shared limit is in the way.
    """
    cdef Pool *pool
    cdef Pool *found = NULL
    victim[0] = NULL
    pthread_mutex_lock(&pools.lock)
    pool = pools.first if fill or pools.waiting else NULL
    fill = fill and not pools.emptying
    while pool != NULL:
        if wants_one(pool, fill):
            if reserve_one(pools, pool, now_us):
                found = pool
                break
            if may_try(pool, now_us) and room_for_one(pools, pool, now_us):
                victim[0] = make_room(pools, pool, pool.waiting - pool.opening - pool.checking)
                if victim[0] != NULL:
                    break
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return found


cdef PooledServer *next_outdated(Pools *pools, uint64_t now_us) noexcept nogil:
    """Take the next idle server that has been idle or has lived too long, or is one too many since the pool has become
    smaller, out of its list; NULL: none (left)."""
    cdef PooledServer *found = NULL
    cdef PooledServer *server
    cdef Pool *pool
    cdef bint spare
    cdef bint too_many
    pthread_mutex_lock(&pools.lock)
    if pools.unwanted != NULL:
        found = pools.unwanted
        pools.unwanted = found.next
        found.next = NULL
    pool = pools.first
    while pool != NULL and found == NULL:
        spare = pools.emptying or pool.idle_count + pool.opening + pool.out > pool.min_size
        too_many = pool.size > 0 and pool.idle_count + pool.opening + pool.out > pool.size + pool.reserve
        for i in range(pools.workers):
            server = pool.idle[i].prev
            while server != &pool.idle[i]:
                if outdated(server, now_us) or pool.removed or too_many or (
                        spare and pools.idle_timeout_us and now_us >= server.idle_since_us + pools.idle_timeout_us):
                    found = server
                    break
                server = server.prev
            if found != NULL:
                move(found, PLACE_OUT)
                break
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return found
