"""What workers have counted, as rows for SHOW and for metrics.

The lock that queries need is held for copying alone, not while Python builds rows.  Called by `engine`.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport strdup

from howdah.cdefs.atomics cimport load_i32, relaxed_load_u64
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.parties cimport PeerPool, Shared
from howdah.dataplane.pinning cimport PIN_SORTS
from howdah.dataplane.pool cimport LIMIT_SLOTS, Limit, Pool, Pools
from howdah.dataplane.pool_terms cimport pool_tally
from howdah.dataplane.stats cimport BUCKETS, PIN_KINDS, Histogram, Tally, tally_add

from howdah.dataplane.rows import GONE, DurationsRow, PeerPoolRow, PinReasonRow, StatsRow
from howdah.reasons import REASONS

# One pool's, or what pools that are gone had counted (`user` is NULL): those of a database, or of all that are gone
# themselves (`database` is "").  The names are copies: the pool may be gone when they are read.
cdef struct Counted:
    char *database
    char *user
    Tally sum


cdef list stats_rows(Shared *shared):
    """Totals for each database, and for all that are gone."""
    totals = {}
    each(shared, add_counters, totals)
    return [StatsRow(name, *numbers) for name, numbers in sorted(totals.items())]


cdef list pin_reason_rows(Shared *shared):
    """Totals for each database and reason; nobody asks for those of databases that are gone."""
    totals = {}
    each(shared, add_pins, totals)
    return [PinReasonRow(*key, *numbers) for key, numbers in totals.items()]


cdef list duration_rows(Shared *shared):
    """A row for each pool (one for a database's that are gone) and kind of duration of which there have been any."""
    rows = {}
    each(shared, add_durations, rows)
    return list(rows.values())


cdef list peer_pool_rows(Shared *shared):
    """A row for each peer that a cancel request has been for.  A request that is connecting waits, as in PgBouncer."""
    cdef PeerPool *pool
    cdef int sent, connecting
    rows = []
    pthread_mutex_lock(&shared.peer_lock)
    pool = shared.peer_pools
    pthread_mutex_unlock(&shared.peer_lock)
    while pool != NULL:  # only its head ever changes
        sent, connecting = load_i32(&pool.sent), load_i32(&pool.connecting)
        rows.append(PeerPoolRow(pool.peer_id, sent, load_i32(&pool.waiting) + connecting, sent, connecting,
                                relaxed_load_u64(&pool.passed_on)))
        pool = pool.next
    return sorted(rows)


cdef int each(Shared *shared, int (*add)(dict rows, str database, Counted *counted) except -1, dict rows) except -1:
    """Call `add` with what each pool has, and each database of pools that are gone."""
    cdef size_t room = most_counted(&shared.pools)
    cdef Counted *counted = <Counted *>calloc(room + 1, sizeof(Counted))
    cdef size_t count
    if counted == NULL:
        raise MemoryError
    try:
        with nogil:
            count = copy_all(&shared.pools, counted, room)
        for i in range(count):
            if counted[i].database == NULL:
                raise MemoryError
            add(rows, counted[i].database.decode(errors="replace"), &counted[i])
        return 0
    finally:
        for i in range(room):
            free(counted[i].database)
            free(counted[i].user)
        free(counted)


cdef size_t most_counted(Pools *pools) noexcept nogil:
    """How many there are now."""
    cdef Limit *limit
    cdef size_t count
    pthread_mutex_lock(&pools.lock)
    count = pools.pool_count + (pools.past != NULL)
    for i in range(LIMIT_SLOTS):
        limit = pools.databases[i]
        while limit != NULL:
            count += limit.past != NULL
            limit = limit.next
    pthread_mutex_unlock(&pools.lock)
    return count


cdef size_t copy_all(Pools *pools, Counted *to, size_t room) noexcept nogil:
    """At most `room` of them; gives how many."""
    cdef Pool *pool
    cdef Limit *limit
    cdef size_t count = 0
    pthread_mutex_lock(&pools.lock)
    pool = pools.first
    while pool != NULL and count < room:
        to[count].database = strdup(pool.database)
        to[count].user = strdup(pool.server_user)
        pool_tally(pools, pool, &to[count].sum)
        count += 1
        pool = pool.next
    if pools.past != NULL and count < room:
        to[count].database = strdup("")
        tally_add(&to[count].sum, pools.past)
        count += 1
    for i in range(LIMIT_SLOTS):
        limit = pools.databases[i]
        while limit != NULL and count < room:
            if limit.past != NULL:
                to[count].database = strdup(limit.name)
                tally_add(&to[count].sum, limit.past)
                count += 1
            limit = limit.next
    pthread_mutex_unlock(&pools.lock)
    return count


cdef int add_counters(dict rows, str database, Counted *counted) except -1:
    cdef Tally *sum = &counted.sum
    part = (sum.server_assignments, sum.transactions, sum.queries, sum.received, sum.sent,
            sum.transaction.sum_us, sum.query.sum_us, sum.checkout.sum_us,
            sum.client_parses, sum.server_parses, sum.binds, sum.logins)
    before = rows.get(database, (0,) * len(part))
    rows[database] = tuple([a + b for a, b in zip(before, part, strict=True)])
    return 0


cdef int add_pins(dict rows, str database, Counted *counted) except -1:
    if database == GONE:
        return 0
    for kind in range(PIN_KINDS):
        if counted.sum.pins[kind].begun:
            key = database, REASONS[PIN_SORTS[kind].reason].code
            begun, ended, ended_us = rows.get(key, (0, 0, 0))
            rows[key] = (begun + counted.sum.pins[kind].begun, ended + counted.sum.pins[kind].ended,
                         ended_us + counted.sum.pins[kind].ended_us)
    return 0


cdef int add_durations(dict rows, str database, Counted *counted) except -1:
    """Pools that are gone have left no user's name."""
    if database == GONE:
        return 0
    names = database, GONE if counted.user == NULL else counted.user.decode(errors="replace")
    add_histogram(rows, names, "login", &counted.sum.login)
    add_histogram(rows, names, "tls", &counted.sum.tls)
    add_histogram(rows, names, "wait", &counted.sum.wait)
    add_histogram(rows, names, "checkout", &counted.sum.checkout)
    add_histogram(rows, names, "query", &counted.sum.query)
    add_histogram(rows, names, "transaction", &counted.sum.transaction)
    return 0


cdef int add_histogram(dict rows, tuple names, str kind, Histogram *histogram) except -1:
    counts = tuple([histogram.counts[i] for i in range(BUCKETS)])
    if any(counts):
        rows[(*names, kind)] = DurationsRow(*names, kind, counts, histogram.sum_us)
    return 0
