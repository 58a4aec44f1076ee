"""A server connection: its life, its states, and what PostgreSQL told about the session.

`server_move` is the only writer of `state`; LEGAL says which moves there are.  Called by `handshake`, `relay`,
`recycle` and `engine`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, strcmp, strlen

from howdah.cdefs.atomics cimport add_u64, store_i32
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.threads cimport c_assert, pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.buffers cimport block_drop
from howdah.dataplane.conn cimport CONN_SERVER, conn_init
from howdah.dataplane.credentials cimport secret_drop
from howdah.dataplane.parties cimport (
    SERVER_ACTIVE,
    SERVER_CLOSING,
    SERVER_CONNECTING,
    SERVER_FREE,
    SERVER_HELD,
    SERVER_IDLE,
    SERVER_LISTENING,
    SERVER_LOGIN,
    SERVER_RECYCLING,
    SERVER_STATES,
    Entry,
    Server,
    ServerState,
    Shared,
    Worker,
)
from howdah.dataplane.reply_queue cimport all_replied, ends_with_ready, replies_free, replies_init
from howdah.dataplane.session_state cimport settings_drop
from howdah.dataplane.statements cimport shelf_clear, shelf_init
from howdah.dataplane.timers cimport timer_disarm
from howdah.wire.startup cimport REPLICATION_NONE, next_parameter
from howdah.wire.tags cimport IDLE

cdef uint32_t[SERVER_STATES] LEGAL
LEGAL[<int>SERVER_FREE] = 1 << SERVER_CONNECTING
LEGAL[<int>SERVER_CONNECTING] = 1 << SERVER_LOGIN | 1 << SERVER_CLOSING | 1 << SERVER_FREE
LEGAL[<int>SERVER_LOGIN] = (
    1 << SERVER_CONNECTING | 1 << SERVER_RECYCLING | 1 << SERVER_ACTIVE | 1 << SERVER_LISTENING
    | 1 << SERVER_CLOSING | 1 << SERVER_FREE)
LEGAL[<int>SERVER_IDLE] = (
    1 << SERVER_ACTIVE | 1 << SERVER_RECYCLING | 1 << SERVER_CLOSING | 1 << SERVER_FREE)
LEGAL[<int>SERVER_ACTIVE] = 1 << SERVER_RECYCLING | 1 << SERVER_CLOSING | 1 << SERVER_FREE
LEGAL[<int>SERVER_RECYCLING] = (
    1 << SERVER_IDLE | 1 << SERVER_HELD | 1 << SERVER_CLOSING | 1 << SERVER_FREE)
LEGAL[<int>SERVER_HELD] = 1 << SERVER_RECYCLING | 1 << SERVER_CLOSING | 1 << SERVER_FREE
LEGAL[<int>SERVER_LISTENING] = 1 << SERVER_CLOSING | 1 << SERVER_FREE
LEGAL[<int>SERVER_CLOSING] = 1 << SERVER_FREE


cdef bint new_servers(Shared *shared) noexcept nogil:
    """Never given back before the end: a late event may still look at one."""
    cdef Server **chunks
    cdef Server *servers = <Server *>calloc(SERVERS_AT_ONCE, sizeof(Server))
    if servers == NULL:
        return False
    chunks = <Server **>realloc(shared.server_chunks, (shared.server_chunk_count + 1) * sizeof(Server *))
    if chunks == NULL:
        free(servers)
        return False
    shared.server_chunks = chunks
    chunks[shared.server_chunk_count] = servers
    shared.server_chunk_count += 1
    for i in range(SERVERS_AT_ONCE):
        servers[i].pooled.worker = -1
        servers[i].next_free = shared.free_servers
        shared.free_servers = &servers[i]
    return True


cdef Server *server_new(Worker *w) noexcept nogil:
    """A server in SERVER_CONNECTING, without a socket yet; NULL: out of memory."""
    cdef Server *server = NULL
    cdef Shared *shared = w.shared
    pthread_mutex_lock(&shared.server_lock)
    if shared.free_servers != NULL or new_servers(shared):
        server = shared.free_servers
        shared.free_servers = server.next_free
        shared.servers_out += 1
    pthread_mutex_unlock(&shared.server_lock)
    if server == NULL:
        return NULL
    conn_init(&server.conn, -1, CONN_SERVER)
    replies_init(&server.replies)
    server.pooled.owner = server
    server.pooled.dedicated = False
    server.timer.owner = server
    server.client = NULL
    server.held = NULL
    server.remain = 0
    server.remain_drop = server.fatal_sent = server.half_sent = False
    server.evictions_lost = 0
    server.settings_unsure = server.unsettled = server.question_failed = server.ending = False
    server.reset_wanted = server.under_check = False
    server.settings_refused = server.telling = server.asking = server.answer_lost = server.soiled = False
    server.front_failed = server.overflowed = server.channels_overflowed = False
    server.settling = 0
    server.hidden_by = server.numbers_by = 0
    server.answer = NULL
    shelf_init(&server.shelf)
    server.unnamed_owner = 0
    server.status = IDLE
    server.pins = server.pins_counted = server.pins_to_tell = 0
    server.has_share = False
    server.pin_records = NULL
    server.forbidden = 0
    server.replication = REPLICATION_NONE
    server.hub = NULL
    server.channels = 0
    server.attempts = 0
    server.cancels = server.cancels_asked = server.cancels_waiting = 0
    server.first_asker = server.last_asker = NULL
    server.backend_pid = 0
    server.backend_secret = NULL
    server.backend_secret_size = 0
    server.entry = NULL
    server.settings = NULL
    server.parameters = NULL
    server.parameters_size = 0
    server.endpoint = server.host = NULL
    server.tls[0] = 0
    server.id = add_u64(&shared.last_id, 1)
    server.connected_us = server.request_us = w.now_us
    server_move(server, SERVER_CONNECTING)
    return server


cdef void entry_free(Server *server) noexcept nogil:
    """Our login is over, one way or the other."""
    cdef Entry *entry = server.entry
    if entry == NULL:
        return
    server.entry = NULL
    secret_drop(entry.secret)
    OPENSSL_cleanse(entry, sizeof(Entry))
    free(entry)


cdef void server_free(Worker *w, Server *server) noexcept nogil:
    """Back to the free structs; the socket is closed and nothing refers to the server any more."""
    cdef Shared *shared = w.shared
    timer_disarm(&server.timer)
    block_drop(&w.slab, &server.held)
    block_drop(&w.slab, &server.answer)
    replies_free(&server.replies, &w.slab)
    shelf_clear(&server.shelf)
    settings_drop(server.settings)
    free(server.backend_secret)
    free(server.parameters)
    free(server.pin_records)
    free(<void *>server.endpoint)
    free(<void *>server.host)
    entry_free(server)
    server.settings = NULL
    server.backend_secret = NULL
    server.parameters = NULL
    server.pin_records = NULL
    server.endpoint = server.host = NULL
    server_move(server, SERVER_FREE)
    store_i32(&server.pooled.worker, -1)
    pthread_mutex_lock(&shared.server_lock)
    server.next_free = shared.free_servers
    shared.free_servers = server
    shared.servers_out -= 1
    pthread_mutex_unlock(&shared.server_lock)


cdef void server_move(Server *server, ServerState to) noexcept nogil:
    c_assert(LEGAL[server.state] >> to & 1)
    store_i32(&server.state, to)


cdef bint at_rest(const Server *server) noexcept nogil:
    """Outside of a transaction, and nothing owed?"""
    return server.status == IDLE and all_replied(&server.replies) and ends_with_ready(&server.replies)


cdef void leave_hub(Worker *w, Server *server) noexcept nogil:
    """It listens for nobody any more; `hub` sees to what is next."""
    if server.hub != NULL:
        server.hub.server = NULL
        server.hub = NULL
        w.hub_wanted = True


cdef const char *server_parameter(const Server *server, const char *name) noexcept nogil:
    """What PostgreSQL has told of this parameter; NULL: nothing."""
    cdef const char *at = server.parameters
    cdef const char *end = at + server.parameters_size
    cdef const char *found = NULL
    cdef const char *value = NULL
    while next_parameter(&at, end, &found, &value):
        if strcmp(found, name) == 0:
            return value
    return NULL


cdef bint remember_parameter(Server *server, const char *name, const char *value) noexcept nogil:
    """Keep the latest ParameterStatus of each name."""
    cdef size_t name_size = strlen(name) + 1
    cdef size_t value_size = strlen(value) + 1
    cdef char *at = server.parameters
    cdef char *end = at + server.parameters_size if at != NULL else NULL
    cdef char *made
    cdef size_t size
    cdef size_t kept = 0
    if strcmp(name, "in_hot_standby") == 0:
        store_i32(&server.pooled.pool.standby, strcmp(value, "on") == 0)
    made = <char *>malloc(server.parameters_size + name_size + value_size)
    if made == NULL:
        return False
    while at < end:
        size = strlen(at) + 1
        size += strlen(at + size) + 1
        if strcmp(at, name) != 0:
            memcpy(made + kept, at, size)
            kept += size
        at += size
    memcpy(made + kept, name, name_size)
    memcpy(made + kept + name_size, value, value_size)
    free(server.parameters)
    server.parameters = made
    server.parameters_size = <uint32_t>(kept + name_size + value_size)
    return True


cdef bint remember_key(Server *server, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil:
    """Keep what a cancel request for this session needs."""
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    if copy == NULL:
        return False
    memcpy(copy, secret, size)
    free(server.backend_secret)
    server.backend_pid = pid
    server.backend_secret = copy
    server.backend_secret_size = size
    return True


cdef void free_servers(Shared *shared) noexcept nogil:
    """Give the structs back; the workers are gone."""
    for i in range(shared.server_chunk_count):
        free(shared.server_chunks[i])
    free(shared.server_chunks)
