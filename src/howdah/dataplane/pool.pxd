"""The servers of one (database, user): who has them, who waits for one, whether one more may be opened."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from howdah.cdefs.openssl cimport SSL_SESSION
from howdah.cdefs.threads cimport pthread_mutex_t
from howdah.dataplane.credentials cimport Secret
from howdah.dataplane.stats cimport Tally

cpdef enum:
    LIMIT_SLOTS = 1024

cpdef enum Place:
    PLACE_OPENING  # connecting or logging in
    PLACE_IDLE  # in the idle list, linked to nobody
    PLACE_OUT  # linked to a client, on its way to one, or being cleaned
    PLACE_CLOSING  # PostgreSQL has been told to go and still holds the connection

cpdef enum TakeVerdict:
    TAKE_GOT  # `granted` is yours
    TAKE_WAIT  # in line; a grant comes to the worker's mailbox
    TAKE_OPEN  # the same, and the caller must open a server for which room has been reserved
    TAKE_CHECK  # the same, and the caller must see whether a server that has been idle for long still answers
    TAKE_REFUSED  # the pool's servers cannot log in: see `failure`

cpdef enum ReleaseVerdict:
    RELEASE_IDLE  # in the idle list
    RELEASE_GRANTED  # goes to the client given back
    RELEASE_CLOSE  # too old, too many or no longer wanted: the caller closes it

cpdef enum JoinVerdict:
    JOIN_DONE
    JOIN_DATABASE_FULL  # max_db_client_connections
    JOIN_USER_FULL  # max_user_client_connections
    JOIN_DISABLED
    JOIN_NO_MEMORY

cpdef enum LeaveVerdict:
    LEAVE_DONE
    LEAVE_GRANTED  # it was granted a server in the meantime, which is still to be given back

# What is counted over several pools: of a database, or of a user.  Made and kept by `Pools`.
cdef struct Limit:
    Limit *next  # in its slot
    char *name  # never changes
    int count  # of servers
    int most  # 0: no limit
    int clients
    int leaving  # servers evicted to make room under it, not yet gone
    bint paused  # of a database: PAUSE or KILL says that its pools are held
    bint disabled  # of a database: nobody joins any more
    Tally *past  # of a database: what pools that are gone had counted; NULL: none are

# Lives inside a server.  The links and `place` change under the lock only; `worker` and `place` may be read without.
cdef struct PooledServer:
    PooledServer *next  # in the idle list
    PooledServer *prev
    PooledServer *all_next  # in the pool
    PooledServer *all_prev
    Pool *pool
    void *owner
    int32_t worker
    int32_t place
    uint32_t generation
    uint32_t address  # a hash of where it is
    uint64_t opened_us
    uint64_t idle_since_us
    bint used  # has been linked since it was opened
    const void *session  # what it was left with when it was released: to be compared only
    bint dedicated  # one client's own: in no idle list, and no pool's size limits it
    bint checking  # is out to be checked, and somebody may wait for it
    Limit *made_room_for  # the limit it was evicted for

# Lives inside a client.  Changes under the lock only, but for `granted`, which belongs to the client's worker once
# it has the grant.
cdef struct WaitingClient:
    WaitingClient *next
    WaitingClient *prev
    Pool *pool
    void *owner
    int worker
    bint in_line
    uint64_t since_us
    bint reserved  # a server of the reserve was opened because this one had waited so long
    const void *session  # what it wants: a server that was left with that is preferred
    PooledServer *granted
    int moved_from  # the worker that watches `granted` (or the one to check) still, after TAKE_GOT and TAKE_CHECK
    bint alone  # wants a server of its own: stands in `Pools.first_alone`
    bint room  # has the room for it, which is reserved until `opened` or `room_not_used`

# Made by `pool_join`; kept until the end, or until nobody has used it for long: see `pruning`.  All fields under the
# lock, but for what is said beside them.
cdef struct Pool:
    Pool *next
    char *database  # these three never change
    char *user
    char *server_user
    char *server_database
    void *route  # the plan's, swapped with each plan; NULL: removed
    Limit *database_limit
    Limit *user_limit
    int size
    int min_size
    int reserve
    int32_t mode  # this one and `removed` may be read without the lock
    uint64_t server_lifetime_us
    uint32_t generation  # grows when servers opened before must go
    bint forced_user
    int32_t removed
    int32_t held  # paused: opens no servers and keeps none; may be read without the lock
    bint fallback  # of the "*" entry
    int32_t sequences  # some client of it goes by what its session remembers of sequences; as the next one
    int32_t max_pinned  # servers that clients may keep; -1: no limit; may be read without the lock
    int32_t pinned  # ... and do, or are about to; may be read and written without
    int32_t standby  # its last server said that it is one; may be read and written without the lock
    uint64_t unused_since_us
    Secret *secret  # with which the last client logged in; held
    bint has_client_key  # that client proved by SCRAM that it knows this key
    uint8_t[32] client_key
    SSL_SESSION *tls_session  # to resume with; ours
    PooledServer *idle  # a list head for each worker, the most recently used first
    PooledServer *servers
    int idle_count
    int opening
    int out
    int checking  # of those that are out
    int closing
    int dedicated  # servers of one client each, from reserved to gone; in none of the four above
    int clients
    int alone  # clients among these that want or have a server of their own
    int alone_waiting  # ... and wait for it
    int hubs  # that may open their servers here: see `keep_for_hub`
    WaitingClient *first
    WaitingClient *last
    int waiting
    bint proven  # a server has logged in since the last failure
    bint failing  # the last attempt to open a server failed
    bint refused  # ... because PostgreSQL said no to this user or database
    uint64_t retry_at_us
    uint64_t backoff_us
    int failure_reason  # in howdah.reasons
    char[6] failure_sqlstate
    char[256] failure
    uint32_t next_endpoint
    void *welcomes  # kept here for `handshake`
    Tally *tallies  # one for each worker

# Shared by all workers.
cdef struct Pools:
    pthread_mutex_t lock
    int workers
    Pool *first
    Pool **table  # by hash of database and user
    uint32_t table_size
    uint32_t pool_count
    Limit *databases[LIMIT_SLOTS]
    Limit *users[LIMIT_SLOTS]
    PooledServer *unwanted  # idle ones of terms that no longer hold, linked by `next`; nobody gets them any more
    int32_t waiting  # in all lines; may be read without the lock
    WaitingClient *first_alone  # those who want a server of their own, over all pools
    WaitingClient *last_alone
    uint64_t reserve_timeout_us
    uint64_t login_retry_us
    uint64_t idle_timeout_us
    bint round_robin
    bint checks  # servers that have been idle for `check_delay_us` are checked
    uint64_t check_delay_us
    uint64_t fallback_timeout_us
    uint64_t unused_timeout_us
    bint emptying  # no server is kept for later
    bint paused  # PAUSE or KILL of all databases
    Tally *past  # what pools of databases that only "*" stands for had counted, of those that are gone; NULL: none are

# What the plan says of a pool.
cdef struct PoolTerms:
    void *route
    const char *database
    const char *user
    const char *server_user
    const char *server_database
    bint forced_user
    bint fallback
    int size
    int min_size
    int reserve
    uint8_t mode
    int max_db_connections
    int max_user_connections
    uint64_t server_lifetime_us
    int max_pinned
    int max_db_clients  # 0: no limit; likewise the next
    int max_user_clients
    bint comes_again  # who joins was in before: neither these two nor DISABLE keep it out

cdef int in_use(const Pool *pool) noexcept nogil
cdef void move(PooledServer *server, int place) noexcept nogil
cdef bint doubtful(const Pools *pools, const PooledServer *server, uint64_t now_us) noexcept nogil
cdef PooledServer *least_recent(Pools *pools, Pool *pool) noexcept nogil
cdef bint superseded(const PooledServer *server) noexcept nogil
cdef bint outdated(const PooledServer *server, uint64_t now_us) noexcept nogil
cdef void opened(Pools *pools, Pool *pool, PooledServer *server, int worker, uint64_t now_us) noexcept nogil
cdef void unreserve(Pools *pools, Pool *pool) noexcept nogil
cdef void set_closing(Pools *pools, PooledServer *server) noexcept nogil
cdef void gone(Pools *pools, PooledServer *server) noexcept nogil
cdef bint room_for_one(Pools *pools, const Pool *pool, uint64_t now_us) noexcept nogil
cdef bint wants_one(const Pool *pool, bint fill) noexcept nogil
cdef bint may_try(const Pool *pool, uint64_t now_us) noexcept nogil
cdef bint at_limit(const Limit *limit) noexcept nogil
cdef bint reserve_one(Pools *pools, Pool *pool, uint64_t now_us) noexcept nogil
cdef void stand_last(Pools *pools, WaitingClient **first, WaitingClient **last, WaitingClient *client) noexcept nogil
cdef void count_waiting(Pools *pools, int by) noexcept nogil
cdef TakeVerdict take(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us,
                      PooledServer **doubtful_one) noexcept nogil
cdef void stop_waiting_for(Pools *pools, PooledServer *server) noexcept nogil
cdef PooledServer *next_to_check(Pools *pools) noexcept nogil
cdef void remove_from_line(Pools *pools, WaitingClient *client) noexcept nogil
cdef LeaveVerdict leave_line(Pools *pools, WaitingClient *client) noexcept nogil
cdef ReleaseVerdict release(Pools *pools, PooledServer *server, uint64_t now_us, WaitingClient **next) noexcept nogil
cdef bint claim(Pools *pools, PooledServer *server, int worker) noexcept nogil
