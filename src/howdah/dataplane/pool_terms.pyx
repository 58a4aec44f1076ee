"""Which pools there are, who has joined them, and on what terms; and the limits that several of them share.

A pool is made when the first client joins it and kept until nobody has used it for long (`pruning`).  Everything is
under the lock of the pools.  Called by `handshake`, `operations`, `pruning` and `engine`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strcmp, strdup

from howdah.cdefs.atomics cimport store_i32
from howdah.cdefs.openssl cimport SSL_SESSION_free
from howdah.cdefs.threads cimport pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.credentials cimport Secret, secret_drop, secret_hold, secret_same
from howdah.dataplane.hashes cimport pair_hash, text_hash
from howdah.dataplane.pool cimport (
    JOIN_DATABASE_FULL,
    JOIN_DISABLED,
    JOIN_DONE,
    JOIN_NO_MEMORY,
    JOIN_USER_FULL,
    LIMIT_SLOTS,
    PLACE_IDLE,
    PLACE_OUT,
    JoinVerdict,
    Limit,
    Pool,
    PooledServer,
    Pools,
    PoolTerms,
    move,
)
from howdah.dataplane.stats cimport Tally, tally_add


cdef bint pools_init(Pools *pools, int workers) noexcept nogil:
    pools.workers = workers
    pools.table_size = 64
    pools.table = <Pool **>calloc(pools.table_size, sizeof(Pool *))
    return pools.table != NULL and pthread_mutex_init(&pools.lock, NULL) == 0


cdef void pools_free(Pools *pools) noexcept nogil:
    """Free every pool; all clients and servers must be gone."""
    cdef Pool *pool = pools.first
    cdef Pool *next_pool
    while pool != NULL:
        next_pool = pool.next
        pool_free(pool)
        pool = next_pool
    for i in range(LIMIT_SLOTS):
        limits_free(pools.databases[i])
        limits_free(pools.users[i])
    free(pools.table)
    free(pools.past)
    pthread_mutex_destroy(&pools.lock)


cdef void limits_free(Limit *limit) noexcept nogil:
    cdef Limit *next_limit
    while limit != NULL:
        next_limit = limit.next
        free(limit.name)
        free(limit.past)
        free(limit)
        limit = next_limit


cdef void pool_free(Pool *pool) noexcept nogil:
    """Its servers, clients and welcomes are gone."""
    free(pool.database)
    free(pool.user)
    free(pool.server_user)
    free(pool.server_database)
    secret_drop(pool.secret)
    SSL_SESSION_free(pool.tls_session)
    free(pool.idle)
    free(pool.tallies)
    free(pool)


cdef Pool **slot_of(Pools *pools, const char *database, const char *user) noexcept nogil:
    """Where the pool is in the table, or the free slot where it would be."""
    cdef uint32_t mask = pools.table_size - 1
    cdef uint32_t at = pair_hash(database, user) & mask
    cdef Pool *pool
    while pools.table[at] != NULL:
        pool = pools.table[at]
        if strcmp(pool.database, database) == 0 and strcmp(pool.user, user) == 0:
            break
        at = (at + 1) & mask
    return &pools.table[at]


cdef bint lay_table(Pools *pools, uint32_t size) noexcept nogil:
    """A new table of that size."""
    cdef Pool **old = pools.table
    cdef Pool *pool = pools.first
    cdef Pool **table = <Pool **>calloc(size, sizeof(Pool *))
    if table == NULL:
        return False
    pools.table = table
    pools.table_size = size
    free(old)
    while pool != NULL:
        slot_of(pools, pool.database, pool.user)[0] = pool
        pool = pool.next
    return True


cdef Limit *limit_named(Limit **slots, const char *name) noexcept nogil:
    cdef Limit **limits = &slots[text_hash(name) % LIMIT_SLOTS]
    cdef Limit *limit = limits[0]
    while limit != NULL:
        if strcmp(limit.name, name) == 0:
            return limit
        limit = limit.next
    limit = <Limit *>calloc(1, sizeof(Limit))
    if limit == NULL:
        return NULL
    limit.name = strdup(name)
    if limit.name == NULL:
        free(limit)
        return NULL
    limit.next = limits[0]
    limits[0] = limit
    return limit


cdef Pool *pool_new(Pools *pools, const PoolTerms *terms) noexcept nogil:
    cdef Pool *pool = <Pool *>calloc(1, sizeof(Pool))
    cdef PooledServer *head
    if pool == NULL:
        return NULL
    pool.database = strdup(terms.database)
    pool.user = strdup(terms.user)
    pool.server_user = strdup(terms.server_user)
    pool.server_database = strdup(terms.server_database)
    pool.idle = <PooledServer *>calloc(pools.workers, sizeof(PooledServer))
    pool.tallies = <Tally *>calloc(pools.workers, sizeof(Tally))
    pool.database_limit = limit_named(pools.databases, terms.database)
    pool.user_limit = limit_named(pools.users, terms.server_user)
    if (pool.database == NULL or pool.user == NULL or pool.server_user == NULL or pool.server_database == NULL
            or pool.idle == NULL or pool.tallies == NULL or pool.database_limit == NULL or pool.user_limit == NULL):
        pool_free(pool)
        return NULL
    for i in range(pools.workers):
        head = &pool.idle[i]
        head.next = head.prev = head
    return pool


cdef Pool *pool_named(Pools *pools, const PoolTerms *terms, uint64_t now_us) noexcept nogil:
    """The pool, made where there is none yet.  NULL: out of memory."""
    cdef Pool *pool = slot_of(pools, terms.database, terms.user)[0]
    if pool != NULL:
        return pool
    if pools.pool_count * 2 >= pools.table_size and not lay_table(pools, pools.table_size * 2):
        return NULL
    pool = pool_new(pools, terms)
    if pool == NULL:
        return NULL
    slot_of(pools, terms.database, terms.user)[0] = pool
    pool.next = pools.first
    pools.first = pool
    pools.pool_count += 1
    pool.unused_since_us = now_us
    set_terms(pool, terms)
    set_held(pools, pool)
    return pool


cdef JoinVerdict pool_join(Pools *pools, const PoolTerms *terms, const char *login, bint alone, uint64_t now_us,
                           Pool **pool, Limit **user) noexcept nogil:
    """A client has proved to be `login`: `pool` is where it belongs, `user` where it is counted.

    `alone`: it wants none of the pool's servers, but one of its own.
    """
    cdef JoinVerdict verdict = JOIN_DONE
    pthread_mutex_lock(&pools.lock)
    pool[0] = pool_named(pools, terms, now_us)
    user[0] = limit_named(pools.users, login)
    if pool[0] == NULL or user[0] == NULL:
        verdict = JOIN_NO_MEMORY
    elif pool[0].database_limit.disabled and not terms.comes_again:
        verdict = JOIN_DISABLED
    elif not terms.comes_again and terms.max_db_clients and pool[0].database_limit.clients >= terms.max_db_clients:
        verdict = JOIN_DATABASE_FULL
    elif not terms.comes_again and terms.max_user_clients and user[0].clients >= terms.max_user_clients:
        verdict = JOIN_USER_FULL
    else:
        pool[0].clients += 1
        pool[0].alone += alone
        pool[0].database_limit.clients += 1
        user[0].clients += 1
    if verdict != JOIN_DONE:
        pool[0] = NULL
        user[0] = NULL
    pthread_mutex_unlock(&pools.lock)
    return verdict


cdef void pool_quit(Pools *pools, Pool *pool, Limit *user, bint alone, uint64_t now_us) noexcept nogil:
    """A client that had joined is gone."""
    pthread_mutex_lock(&pools.lock)
    pool.clients -= 1
    pool.alone -= alone
    pool.database_limit.clients -= 1
    user.clients -= 1
    pool.unused_since_us = now_us
    pthread_mutex_unlock(&pools.lock)


cdef void pool_tally(const Pools *pools, const Pool *pool, Tally *sum) noexcept nogil:
    """Add what all workers have counted of it."""
    for i in range(pools.workers):
        tally_add(sum, &pool.tallies[i])


cdef void pool_secret(Pools *pools, Pool *pool, Secret *secret, const uint8_t *client_key) noexcept nogil:
    """A client has logged in with this secret (NULL: without any): what servers may be logged in to with from now on.

    A secret that is new ends the pause after a refusal: it may be what was wrong.
    """
    cdef Secret *old = NULL
    if secret == NULL:
        return
    pthread_mutex_lock(&pools.lock)
    if not secret_same(pool.secret, secret) or (client_key != NULL and not pool.has_client_key):
        if pool.refused:
            pool.retry_at_us = 0
            pool.refused = False
        pool.has_client_key = False
    if pool.secret != secret:
        old = pool.secret
        pool.secret = secret_hold(secret)
    if client_key != NULL:
        pool.has_client_key = True
        memcpy(pool.client_key, client_key, sizeof(pool.client_key))
    pthread_mutex_unlock(&pools.lock)
    secret_drop(old)


cdef void set_terms(Pool *pool, const PoolTerms *terms) noexcept nogil:
    cdef char *name
    if strcmp(pool.server_database, terms.server_database) != 0:
        name = strdup(terms.server_database)
        if name != NULL:
            free(pool.server_database)
            pool.server_database = name
    pool.route = terms.route
    pool.forced_user = terms.forced_user
    pool.fallback = terms.fallback
    pool.size = terms.size
    pool.min_size = terms.min_size
    pool.reserve = terms.reserve
    store_i32(&pool.mode, terms.mode)
    store_i32(&pool.max_pinned, terms.max_pinned)
    pool.server_lifetime_us = terms.server_lifetime_us
    pool.database_limit.most = terms.max_db_connections
    pool.user_limit.most = terms.max_user_connections


cdef void give_up(Pools *pools, PooledServer *server) noexcept nogil:
    """Let nobody take an idle server any more; `next_outdated` gives it to be closed."""
    move(server, PLACE_OUT)
    server.next = pools.unwanted
    pools.unwanted = server


cdef void give_up_idle(Pools *pools, Pool *pool) noexcept nogil:
    for i in range(pools.workers):
        while pool.idle[i].next != &pool.idle[i]:
            give_up(pools, pool.idle[i].next)


cdef void renew(Pools *pools, Pool *pool) noexcept nogil:
    """All servers that are open now make way for new ones.  The caller holds the lock."""
    store_i32(<int32_t *>&pool.generation, <int32_t>(pool.generation + 1))
    give_up_idle(pools, pool)
    try_at_once(pool)


cdef void try_at_once(Pool *pool) noexcept nogil:
    pool.failing = pool.refused = False
    pool.retry_at_us = 0


cdef void set_held(Pools *pools, Pool *pool) noexcept nogil:
    """By what PAUSE, KILL and RESUME have come to.  The caller holds the lock."""
    cdef bint held = pools.paused or pool.database_limit.paused
    if held == pool.held:
        return
    store_i32(&pool.held, held)
    try_at_once(pool)
    if held:
        give_up_idle(pools, pool)


cdef void pool_terms(Pools *pools, Pool *pool, const PoolTerms *terms, bint replace_servers) noexcept nogil:
    """A new plan: its terms for this pool, or NULL where the database is gone.  The caller holds the lock."""
    store_i32(&pool.removed, terms == NULL)
    if replace_servers or terms == NULL:
        renew(pools, pool)
    if terms != NULL:
        set_terms(pool, terms)
    else:
        pool.route = NULL


cdef void keep_addresses(Pools *pools, Pool *pool, const uint32_t *kept, uint32_t count) noexcept nogil:
    """A host name stands for other addresses now: servers at those that are gone must go.  The caller holds the lock.

    Idle ones leave at once, others when they are released.
    """
    cdef PooledServer *server = pool.servers
    cdef bint found
    while server != NULL:
        found = False
        for i in range(count):
            found = found or kept[i] == server.address
        if not found:
            store_i32(<int32_t *>&server.generation, <int32_t>(pool.generation - 1))
            if server.place == PLACE_IDLE:
                give_up(pools, server)
        server = server.all_next
    try_at_once(pool)
