"""Room for servers that no pool hands out: those of one client alone (replication), and those that listen for a hub.

They count against the limits of their database and user, and of no pool.  Called by `replication`, `hub`, `ears`,
`connecting` and `worker`.
"""

from libc.stdint cimport uint64_t

from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.pool cimport (
    TAKE_OPEN,
    TAKE_WAIT,
    Pool,
    PooledServer,
    Pools,
    TakeVerdict,
    WaitingClient,
    at_limit,
    remove_from_line,
    stand_last,
)
from howdah.dataplane.upkeep cimport make_room


cdef bint count_dedicated(Pool *pool) noexcept nogil:
    """Reserve room for a server outside of the pool's size, where the limits of its database and user have any."""
    if pool.removed or pool.held or at_limit(pool.database_limit) or at_limit(pool.user_limit):
        return False
    pool.dedicated += 1
    pool.database_limit.count += 1
    pool.user_limit.count += 1
    return True


cdef void count_dedicated_out(Pool *pool) noexcept nogil:
    pool.dedicated -= 1
    pool.database_limit.count -= 1
    pool.user_limit.count -= 1


cdef bint reserve_alone(WaitingClient *client) noexcept nogil:
    client.room = count_dedicated(client.pool)
    return client.room


cdef bint others_were_first(const Pools *pools, const Pool *pool) noexcept nogil:
    """Does somebody wait for the same room already?"""
    cdef const WaitingClient *client = pools.first_alone
    while client != NULL:
        if client.pool.database_limit == pool.database_limit or client.pool.user_limit == pool.user_limit:
            return True
        client = client.next
    return False


cdef TakeVerdict take_room(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us) noexcept nogil:
    """A client needs a server of its own: TAKE_OPEN and `client.room`, else TAKE_WAIT and a place in the line.

    The pool's size is for servers that are shared; what holds here is max_db_connections and max_user_connections.
    """
    cdef TakeVerdict verdict = TAKE_WAIT
    pthread_mutex_lock(&pools.lock)
    client.pool = pool
    client.granted = NULL
    client.since_us = now_us
    client.alone = True
    if not others_were_first(pools, pool) and reserve_alone(client):
        verdict = TAKE_OPEN
    else:
        stand_last(pools, &pools.first_alone, &pools.last_alone, client)
        pool.alone_waiting += 1
    pthread_mutex_unlock(&pools.lock)
    return verdict


cdef WaitingClient *next_alone(Pools *pools, PooledServer **victim) noexcept nogil:
    """The first in that line for whom there is room, which it then has; NULL when there is none (left).

    `victim`: an idle server to close first, when a shared limit is in the way.
    """
    cdef WaitingClient *client
    victim[0] = NULL
    pthread_mutex_lock(&pools.lock)
    client = pools.first_alone
    while client != NULL and not reserve_alone(client):
        client = client.next
    if client != NULL:
        remove_from_line(pools, client)
    else:
        client = pools.first_alone
        while client != NULL and victim[0] == NULL:
            victim[0] = make_room(pools, client.pool, client.pool.alone_waiting)
            client = client.next
        client = NULL
    pthread_mutex_unlock(&pools.lock)
    return client


cdef void room_not_used(Pools *pools, WaitingClient *client) noexcept nogil:
    """The room reserved for a server of this client's own is not used after all."""
    pthread_mutex_lock(&pools.lock)
    client.room = False
    count_dedicated_out(client.pool)
    pthread_mutex_unlock(&pools.lock)


cdef void keep_for_hub(Pools *pools, Pool *pool, int by) noexcept nogil:
    """The pool stays as long as a hub (or a wish on its way to one) may open a server in it: `by` is 1 or -1."""
    pthread_mutex_lock(&pools.lock)
    pool.hubs += by
    pthread_mutex_unlock(&pools.lock)


cdef bint take_room_for_hub(Pools *pools, Pool *pool) noexcept nogil:
    """Room for a listening server; False: there is none now."""
    cdef bint taken
    pthread_mutex_lock(&pools.lock)
    taken = count_dedicated(pool)
    pthread_mutex_unlock(&pools.lock)
    return taken


cdef void room_for_hub_not_used(Pools *pools, Pool *pool) noexcept nogil:
    pthread_mutex_lock(&pools.lock)
    count_dedicated_out(pool)
    pthread_mutex_unlock(&pools.lock)
