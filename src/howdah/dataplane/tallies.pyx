"""How long what took, pool by pool: the histograms that workers fill, added up for metrics.

The lock that queries need is held for copying alone, not while Python builds rows.  Called by `engine`.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport strdup

from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.parties cimport Shared
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.stats cimport BUCKETS, Histogram, Tally, tally_add

from howdah.dataplane.rows import DurationsRow

# One pool's: names of its own, as the pool may be gone when they are read.
cdef struct Taken:
    char *database
    char *user
    Tally sum


cdef list durations_rows(Shared *shared):
    """A row for each pool and kind of duration of which there have been any."""
    cdef size_t room = pools_now(shared)
    cdef Taken *taken = <Taken *>calloc(room + 1, sizeof(Taken))
    cdef size_t count
    if taken == NULL:
        raise MemoryError
    try:
        with nogil:
            count = take(shared, taken, room)
        return [row for i in range(count) for row in rows_of(&taken[i])]
    finally:
        for i in range(room):
            free(taken[i].database)
            free(taken[i].user)
        free(taken)


cdef size_t pools_now(Shared *shared) noexcept nogil:
    cdef size_t count
    pthread_mutex_lock(&shared.pools.lock)
    count = shared.pools.pool_count
    pthread_mutex_unlock(&shared.pools.lock)
    return count


cdef size_t take(Shared *shared, Taken *taken, size_t room) noexcept nogil:
    """Copy what there is of at most `room` pools; gives how many."""
    cdef Pool *pool
    cdef size_t count = 0
    pthread_mutex_lock(&shared.pools.lock)
    pool = shared.pools.first
    while pool != NULL and count < room:
        taken[count].database = strdup(pool.database)
        taken[count].user = strdup(pool.server_user)
        for i in range(shared.worker_count):
            tally_add(&taken[count].sum, &pool.tallies[i])
        count += 1
        pool = pool.next
    pthread_mutex_unlock(&shared.pools.lock)
    return count


cdef list rows_of(Taken *taken):
    if taken.database == NULL or taken.user == NULL:
        raise MemoryError
    names = taken.database.decode(errors="replace"), taken.user.decode(errors="replace")
    rows = []
    add(rows, names, "login", &taken.sum.login)
    add(rows, names, "tls", &taken.sum.tls)
    add(rows, names, "wait", &taken.sum.wait)
    add(rows, names, "checkout", &taken.sum.checkout)
    add(rows, names, "query", &taken.sum.query)
    add(rows, names, "transaction", &taken.sum.transaction)
    return rows


cdef int add(list rows, tuple names, str kind, Histogram *histogram) except -1:
    counts = tuple([histogram.counts[i] for i in range(BUCKETS)])
    if any(counts):
        rows.append(DurationsRow(*names, kind, counts, histogram.sum_us))
    return 0
