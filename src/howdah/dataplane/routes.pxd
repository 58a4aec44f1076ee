"""The plan as C structs: what a login maps to, and the numbers in force."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from howdah.cdefs.openssl cimport SSL_CTX
from howdah.dataplane.access cimport Access, Networks
from howdah.dataplane.credentials cimport Secret

# plan.TlsMode
cpdef enum TlsUse:
    TLS_DISABLE
    TLS_ALLOW
    TLS_PREFER
    TLS_REQUIRE
    TLS_VERIFY_CA
    TLS_VERIFY_FULL

cpdef enum SessionCheck:
    CHECK_SUSPICIOUS = 0
    CHECK_ALWAYS = 1
    CHECK_OFF = 2

cpdef enum SequencesMode:
    SEQUENCES_LEARN = 0
    SEQUENCES_PIN = 1
    SEQUENCES_IGNORE = 2

cpdef enum RouteMode:
    SESSION_MODE = 0
    TRANSACTION_MODE = 1
    STATEMENT_MODE = 2

cdef struct Endpoint:
    const char *sockaddr
    uint32_t size
    const char *text
    uint32_t hash  # of the text
    const char *host  # as configured

# One entry of [databases].
cdef struct Route:
    const char *name
    const char *dbname  # NULL: the name asked for
    const char *host
    uint16_t port
    Endpoint *endpoints
    uint32_t endpoint_count
    bint in_order  # the next endpoint only when the one before fails, rather than each in turn
    const char *resolve_error
    const char *force_user  # NULL: the client's
    int pool_size
    int min_pool_size
    int reserve_pool_size
    uint8_t mode
    int max_db_connections
    uint64_t server_lifetime_us
    const char *startup  # name and value strings for the server's startup packet
    uint32_t startup_size
    Secret *secret  # of force_user; NULL: none given
    bint lookup  # auth_query may know users that the plan does not
    int max_db_client_connections
    uint64_t query_wait_timeout_us
    const char *connect_query  # "": none
    uint16_t pin_warn  # sets of `parties.Pin`
    uint16_t pin_deny
    uint64_t pin_timeout_us
    int max_pinned  # per cent of the pool's size; 100: no limit
    bint session_lint

# One entry of [peers].
cdef struct PeerRoute:
    int peer_id
    const char *host
    Endpoint *endpoints
    uint32_t endpoint_count
    const char *resolve_error
    int pool_size

# Overrides for one user; -1 keeps what the route or the settings say.
cdef struct UserRule:
    const char *name
    int pool_size
    int reserve_pool_size
    int mode
    int max_user_connections
    int max_user_client_connections
    Secret *secret
    int64_t query_timeout_us
    int64_t query_wait_timeout_us
    int64_t transaction_timeout_us
    int64_t idle_transaction_timeout_us
    int64_t client_idle_timeout_us
    int pin_warn  # -1 for both or none of these two
    int pin_deny
    int64_t pin_timeout_us
    int max_pinned

# How long things may take that one client does; 0: no limit.
cdef struct TimeLimits:
    uint64_t query_us
    uint64_t query_wait_us
    uint64_t transaction_us
    uint64_t idle_transaction_us
    uint64_t idle_us
    uint64_t pin_us  # idle with a server that is kept

# What a client may do to its session.
cdef struct SessionRules:
    uint16_t pin_warn  # sets of `parties.Pin`: it is told, or it may not
    uint16_t pin_deny
    bint lint  # texts that rely on the session are counted

# Made by `plan_new` from the Python plan, freed by `plan_free` when no worker and no pool uses it any more.
# Immutable in between, so any thread may read it.
cdef struct CPlan:
    uint64_t version
    int max_client_conn
    int max_user_connections
    uint32_t max_packet_size
    uint64_t client_idle_timeout_us
    uint64_t idle_transaction_timeout_us
    uint64_t client_login_timeout_us
    uint64_t server_idle_timeout_us
    uint64_t server_connect_timeout_us
    uint64_t server_login_retry_us
    uint64_t reserve_pool_timeout_us
    bint tcp_keepalive
    int tcp_keepidle
    int tcp_keepintvl
    int tcp_keepcnt
    int tcp_user_timeout
    int tcp_socket_buffer
    bint tcp_defer_accept
    const char *server_reset_query
    bint log_connections
    bint log_disconnections
    const char *ignored_parameters  # strings, then an empty one
    const char *console_users  # the same
    bint console_for_all
    int max_user_client_connections
    uint32_t scram_iterations
    uint64_t auth_cache_us
    bint password_passthrough
    bint mostly_scram  # the known secrets are SCRAM's: so seem those of users there are not
    bint application_name_add_host
    double login_rate_per_address
    double login_rate_per_user
    uint64_t login_failure_delay_us
    int max_concurrent_logins
    uint64_t fallback_timeout_us
    uint64_t pool_idle_timeout_us
    const char *login_notify_message  # "": none
    uint64_t query_timeout_us
    uint64_t transaction_timeout_us
    uint64_t query_wait_notify_us
    uint64_t cancel_wait_timeout_us
    int max_prepared_statements  # of a server; 0: they are not followed
    bint deferred_begin
    uint8_t session_check  # a CheckMode
    uint8_t session_sequences  # a SequenceMode
    bint disable_pqexec
    bint server_fast_close
    bint server_round_robin
    bint server_reset_query_always
    const char *server_check_query  # NULL: no check
    uint64_t server_check_delay_us
    bint drop_in  # told in PgBouncer's words
    int peer_id  # 0: of no group
    PeerRoute *peers
    uint32_t peer_count
    Networks *proxies
    Access *access
    uint8_t client_tls  # a TlsUse
    uint8_t server_tls
    bint server_tls_direct
    SSL_CTX *client_context  # NULL: no TLS
    SSL_CTX *server_context
    Route *routes
    uint32_t route_count
    Route *cluster  # an entry for physical replication, where all lead to the same server as the same user
    Route *fallback  # the entry "*", or NULL
    uint32_t *route_index  # open addressing by name; 0: free, else number of the route plus one
    uint32_t route_slots
    UserRule *users
    uint32_t user_count
    uint32_t *user_index
    uint32_t user_slots
    void **memory  # everything the plan points to
    size_t memory_count

cdef CPlan *plan_new(object plan) except NULL
cdef void plan_free(CPlan *plan) noexcept nogil
cdef Route *find_route(CPlan *plan, const char *database) noexcept nogil
cdef PeerRoute *find_peer(const CPlan *plan, int peer_id) noexcept nogil
cdef UserRule *find_user(CPlan *plan, const char *user) noexcept nogil
cdef void find_time_limits(CPlan *plan, const Route *route, const char *user, TimeLimits *limits) noexcept nogil
cdef void find_session_rules(CPlan *plan, const Route *route, const char *user, SessionRules *rules) noexcept nogil
cdef bint listed(const char *names, const char *name) noexcept nogil
