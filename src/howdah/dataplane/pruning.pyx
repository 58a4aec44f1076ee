"""Pools that nobody uses go: after pool_idle_timeout, or, where only the entry "*" stands for their database, after
autodb_idle_timeout.

What they have counted stays with their database, where the configuration names that; of all others it stays together,
for there is no end to their names.  Called by `worker`, which frees what it gets.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memset

from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.pool cimport Pool, Pools, in_use
from howdah.dataplane.pool_terms cimport lay_table, pool_tally
from howdah.dataplane.stats cimport Tally


cdef bint unused(const Pools *pools, const Pool *pool, uint64_t now_us) noexcept nogil:
    """May it go?  Not one that is to have servers without a client, as soon as it is held no more."""
    cdef uint64_t timeout_us = pools.unused_timeout_us
    if pool.fallback and pools.fallback_timeout_us and (timeout_us == 0 or pools.fallback_timeout_us < timeout_us):
        timeout_us = pools.fallback_timeout_us
    if timeout_us == 0 or now_us < pool.unused_since_us + timeout_us:
        return False
    if pool.database_limit.paused or (pool.forced_user and pool.min_size and not pool.fallback and not pool.removed):
        return False
    return (pool.clients == 0 and pool.waiting == 0 and pool.servers == NULL
            and in_use(pool) + pool.dedicated + pool.hubs == 0)


cdef bint keep_tally(Pools *pools, Pool *pool) noexcept nogil:
    """What it has counted stays.  False: out of memory."""
    cdef Tally **past = &pools.past if pool.fallback else &pool.database_limit.past
    if past[0] == NULL:
        past[0] = <Tally *>calloc(1, sizeof(Tally))
    if past[0] == NULL:
        return False
    pool_tally(pools, pool, past[0])
    memset(pool.tallies, 0, pools.workers * sizeof(Tally))
    return True


cdef Pool *prune(Pools *pools, uint64_t now_us) noexcept nogil:
    """Take out the pools that nobody has used for pool_idle_timeout, or, made by "*", for autodb_idle_timeout: linked
    by `next`, to be freed."""
    cdef Pool **link = &pools.first
    cdef Pool *pool
    cdef Pool *gone_pools = NULL
    if pools.fallback_timeout_us == 0 and pools.unused_timeout_us == 0:
        return NULL
    pthread_mutex_lock(&pools.lock)
    while link[0] != NULL:
        pool = link[0]
        if unused(pools, pool, now_us) and keep_tally(pools, pool):
            link[0] = pool.next
            pool.next = gone_pools
            gone_pools = pool
            pools.pool_count -= 1
        else:
            link = &pool.next
    if gone_pools != NULL and not lay_table(pools, pools.table_size):
        while gone_pools != NULL:  # out of memory: later
            pool = gone_pools
            gone_pools = pool.next
            pool.next = pools.first
            pools.first = pool
            pools.pool_count += 1
    pthread_mutex_unlock(&pools.lock)
    return gone_pools
