"""The pools: idle servers (last in, first out), waiting clients (first come, first served), and exact limits.

One lock guards all of it, so that limits shared by several pools are exact too; no system call is made under it.
A server counts from the moment room is reserved for it until PostgreSQL has let it go, so the database never sees one
more than allowed.  Times come from the clocks of different workers' turns, one of which may be a little behind
another: they are compared as `now >= since + limit`, never subtracted.

Holds no socket and calls no one: it gives verdicts, on which `handshake`, `relay`, `recycle` and `worker` act.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strcmp, strdup, strlen

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.cdefs.openssl cimport SSL_SESSION_free
from howdah.cdefs.threads cimport (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from howdah.dataplane.credentials cimport Secret, secret_drop, secret_hold, secret_same
from howdah.dataplane.stats cimport Tally, tally_add

cdef enum:
    MOST_COMPARED = 32  # idle servers, for one with the right session
    FIRST_BACKOFF_US = 100000  # after a failed attempt; doubles up to server_login_retry


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


# ---- pools and limits ---------------------------------------------------------------------------------------------

cdef uint32_t pool_hash(const char *database, const char *user) noexcept nogil:
    cdef uint32_t h = 2166136261u
    while database[0]:
        h = (h ^ <uint8_t>database[0]) * 16777619u
        database += 1
    h = h * 16777619u
    while user[0]:
        h = (h ^ <uint8_t>user[0]) * 16777619u
        user += 1
    return h


cdef Pool **slot_of(Pools *pools, const char *database, const char *user) noexcept nogil:
    """Where the pool is in the table, or the free slot where it would be."""
    cdef uint32_t mask = pools.table_size - 1
    cdef uint32_t at = pool_hash(database, user) & mask
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
    cdef Limit **limits = &slots[pool_hash(name, "") % LIMIT_SLOTS]
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
    elif pool[0].database_limit.disabled:
        verdict = JOIN_DISABLED
    elif terms.max_db_clients and pool[0].database_limit.clients >= terms.max_db_clients:
        verdict = JOIN_DATABASE_FULL
    elif terms.max_user_clients and user[0].clients >= terms.max_user_clients:
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


# ---- servers: the idle list and the count --------------------------------------------------------------------------

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


# ---- taking and releasing ------------------------------------------------------------------------------------------

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


cdef void join_line(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us) noexcept nogil:
    client.since_us = now_us
    client.reserved = False
    client.in_line = True
    client.next = NULL
    client.prev = pool.last
    if pool.last == NULL:
        pool.first = client
    else:
        pool.last.next = client
    pool.last = client
    pool.waiting += 1
    count_waiting(pools, 1)


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


# ---- servers of one client alone (replication) ---------------------------------------------------------------------

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
        client.in_line = True
        client.next = NULL
        client.prev = pools.last_alone
        if pools.last_alone == NULL:
            pools.first_alone = client
        else:
            pools.last_alone.next = client
        pools.last_alone = client
        pool.alone_waiting += 1
        count_waiting(pools, 1)
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


# ---- servers of no client (listening) ------------------------------------------------------------------------------

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


# ---- when servers cannot be opened, and housekeeping ---------------------------------------------------------------

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
    """Take the next idle server that has been idle or has lived too long out of its list; NULL: none (left)."""
    cdef PooledServer *found = NULL
    cdef PooledServer *server
    cdef Pool *pool
    cdef bint spare
    pthread_mutex_lock(&pools.lock)
    if pools.unwanted != NULL:
        found = pools.unwanted
        pools.unwanted = found.next
        found.next = NULL
    pool = pools.first
    while pool != NULL and found == NULL:
        spare = pool.idle_count + pool.opening + pool.out > pool.min_size
        for i in range(pools.workers):
            server = pool.idle[i].prev
            while server != &pool.idle[i]:
                if outdated(server, now_us) or pool.removed or (
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
