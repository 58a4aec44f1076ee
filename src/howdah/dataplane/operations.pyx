"""What operators do to pools that run: PAUSE, RESUME, DISABLE, RECONNECT, KILL.

The first half is about the pools, under their lock, and is called by `engine` on the control plane's thread: it says
what holds from now on, which `pool` goes by wherever a server is taken, given back or opened.  The second half is what
each worker does to be there at once instead of by and by, and is called by `worker` when the mail about it comes.

State that an operator has set lives with the database's name (`Limit`), so that it is there before the first pool, and
survives a new plan; a plan without the database ends it.
"""

from libc.stdint cimport int32_t

from howdah.cdefs.atomics cimport add_i32, load_i32, store_i32
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.canceller cimport cancel_start
from howdah.dataplane.hub cimport hubs_retry
from howdah.dataplane.parties cimport (
    CLIENT_CLOSING,
    ENTRY_CONNECT_QUERY,
    SERVER_CONNECTING,
    SERVER_LOGIN,
    Client,
    Killing,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport LIMIT_SLOTS, PLACE_OPENING, Limit, Pool, PooledServer, Pools, in_use, superseded
from howdah.dataplane.pool_terms cimport limit_named, renew, set_held
from howdah.dataplane.recycle cimport client_refuse, server_lost
from howdah.dataplane.routes cimport CPlan, find_route

from howdah.reasons import NUMBERS

cdef int PAUSED = NUMBERS["paused"]
cdef int DATABASE_KILLED = NUMBERS["database_killed"]
cdef int CLIENT_KILLED = NUMBERS["client_killed"]


# ---- the pools -----------------------------------------------------------------------------------------------------

cdef bint concerns(const Pool *pool, const Limit *database) noexcept nogil:
    """NULL: all databases."""
    return database == NULL or pool.database_limit == database


cdef bint find_database(Pools *pools, const char *name, Limit **database) noexcept nogil:
    """NULL for NULL.  False: out of memory."""
    database[0] = limit_named(pools.databases, name) if name != NULL else NULL
    return name == NULL or database[0] != NULL


cdef bint set_paused(Pools *pools, const char *database, bint paused) noexcept nogil:
    """Hold a database's pools, or all; or let them go, where nothing else holds them.  False: out of memory."""
    cdef Limit *limit = NULL
    cdef Pool *pool
    cdef bint found
    pthread_mutex_lock(&pools.lock)
    found = find_database(pools, database, &limit)
    if found and limit != NULL:
        limit.paused = paused
    elif found:
        pools.paused = paused
    pool = pools.first if found else NULL
    while pool != NULL:
        set_held(pools, pool)
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return found


cdef bint set_disabled(Pools *pools, const char *database, bint disabled) noexcept nogil:
    """Let nobody join a database any more, or again.  False: out of memory."""
    cdef Limit *limit = NULL
    cdef bint found
    pthread_mutex_lock(&pools.lock)
    found = find_database(pools, database, &limit)
    if found:
        limit.disabled = disabled
    pthread_mutex_unlock(&pools.lock)
    return found


cdef Limit *limit_of(Pools *pools, const char *database) noexcept nogil:
    """What stands for the database; NULL for NULL."""
    cdef Limit *limit = NULL
    pthread_mutex_lock(&pools.lock)
    find_database(pools, database, &limit)
    pthread_mutex_unlock(&pools.lock)
    return limit


cdef void renew_servers(Pools *pools, const char *database) noexcept nogil:
    """Each server of a database (NULL: all) makes way for a new one when it is released."""
    cdef Limit *limit = NULL
    cdef Pool *pool
    pthread_mutex_lock(&pools.lock)
    pool = pools.first if find_database(pools, database, &limit) else NULL
    while pool != NULL:
        if concerns(pool, limit):
            renew(pools, pool)
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)


cdef void keep_states(Pools *pools, CPlan *plan) noexcept nogil:
    """A new plan: databases that it does not know are neither paused nor disabled.  The caller holds the lock."""
    cdef Limit *limit
    cdef Pool *pool = pools.first
    for i in range(LIMIT_SLOTS):
        limit = pools.databases[i]
        while limit != NULL:
            if (limit.paused or limit.disabled) and find_route(plan, limit.name) == NULL:
                limit.paused = limit.disabled = False
            limit = limit.next
    while pool != NULL:
        set_held(pools, pool)
        pool = pool.next


cdef int servers_left(Pools *pools, const char *database, bint superseded_ones) noexcept nogil:
    """How many servers a database (NULL: all) has, from room reserved to PostgreSQL's having let go; or how many of
    them are to make way for new ones."""
    cdef Limit *limit = NULL
    cdef PooledServer *server
    cdef Pool *pool
    cdef int count = 0
    pthread_mutex_lock(&pools.lock)
    pool = pools.first if find_database(pools, database, &limit) else NULL
    while pool != NULL:
        if concerns(pool, limit) and not superseded_ones:
            count += in_use(pool) + pool.dedicated
        elif concerns(pool, limit):
            server = pool.servers
            while server != NULL:
                count += superseded(server)
                server = server.all_next
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return count


cdef int clients_left(Pools *pools) noexcept nogil:
    """How many clients there are in all databases, none of them the console's."""
    cdef Pool *pool
    cdef int count = 0
    pthread_mutex_lock(&pools.lock)
    pool = pools.first
    while pool != NULL:
        count += pool.clients
        pool = pool.next
    pthread_mutex_unlock(&pools.lock)
    return count


# ---- a worker ------------------------------------------------------------------------------------------------------

cdef void pools_changed(Worker *w) noexcept nogil:
    """Pools have been held, let go or renewed: what this worker can do about it at once."""
    close_opening(w)
    hubs_retry(w)
    w.housekeeping_us = w.now_us
    w.open_wanted = True


cdef void close_opening(Worker *w) noexcept nogil:
    """Nobody waits for PostgreSQL to let in what would only be closed."""
    cdef Server *server = next_opening(w)
    while server != NULL:
        if server.entry != NULL and server.entry.step == ENTRY_CONNECT_QUERY:
            cancel_start(w, server)
        server_lost(w, server, PAUSED, b"")
        server = next_opening(w)


cdef Server *next_opening(Worker *w) noexcept nogil:
    """A server of a held pool that this worker is opening.  It stays so behind the lock: only its worker moves it."""
    cdef Pool *pool
    cdef PooledServer *pooled
    cdef Server *found = NULL
    pthread_mutex_lock(&w.shared.pools.lock)
    pool = w.shared.pools.first
    while pool != NULL and found == NULL:
        pooled = pool.servers if pool.held else NULL
        while pooled != NULL and found == NULL:
            if is_opening(w, pooled):
                found = <Server *>pooled.owner
            pooled = pooled.all_next
        pool = pool.next
    pthread_mutex_unlock(&w.shared.pools.lock)
    return found


cdef bint is_opening(const Worker *w, PooledServer *pooled) noexcept nogil:
    """(One that is dedicated has a client or a hub that sees to it.)"""
    cdef int32_t state
    if pooled.place != PLACE_OPENING or pooled.dedicated or load_i32(&pooled.worker) != w.index:
        return False
    state = load_i32(&(<Server *>pooled.owner).state)
    return state == SERVER_CONNECTING or state == SERVER_LOGIN


cdef void kill_clients(Worker *w, const Limit *database) noexcept nogil:
    """All clients of a database (NULL: of all) go, whatever they are at."""
    cdef Client *client = w.clients
    cdef Client *next_client
    while client != NULL:
        next_client = client.next
        if client.pool != NULL and client.state != CLIENT_CLOSING and concerns(client.pool, database):
            client_refuse(w, client, DATABASE_KILLED, b"")
        client = next_client


cdef void kill_client(Worker *w, Killing *killing) noexcept nogil:
    """The one named, if it is ours; behind the last line `killing` may be gone."""
    cdef Client *client = w.clients
    while client != NULL and client.id != killing.id:
        client = client.next
    if client != NULL and client.state != CLIENT_CLOSING:
        store_i32(&killing.found, True)
        client_refuse(w, client, CLIENT_KILLED, b"")
    add_i32(&killing.left, -1)
