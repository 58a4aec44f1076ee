"""A client: its life, its states, and the one deadline that its state implies.

`client_move` is the only writer of `state`; LEGAL says which moves there are.  Called by `listener`, `handshake`,
`relay`, `recycle` and `worker`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from howdah.cdefs.atomics cimport add_i32, add_u64, store_i32
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.sockets cimport AF_INET, AF_INET6, AF_UNIX, inet_ntop
from howdah.cdefs.threads cimport c_assert
from howdah.dataplane.buffers cimport block_data, block_drop
from howdah.dataplane.cancels cimport key_take_back
from howdah.dataplane.conn cimport CONN_CLIENT, conn_init, conn_unwatch
from howdah.dataplane.credentials cimport secret_drop
from howdah.dataplane.parties cimport (
    CHUNK,
    CLIENT_ACTIVE,
    CLIENT_ASKED,
    CLIENT_CANCEL,
    CLIENT_CLOSING,
    CLIENT_CONSOLE,
    CLIENT_DELAYED,
    CLIENT_FREE,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    CLIENT_PROOF,
    CLIENT_STARTUP,
    CLIENT_STATES,
    CLIENT_WAITING,
    UNNAMED_NONE,
    Client,
    ClientState,
    Login,
    Server,
    Worker,
)
from howdah.dataplane.reply_queue cimport all_replied, ends_with_ready
from howdah.dataplane.session_state cimport settings_drop
from howdah.dataplane.statements cimport names_clear, names_init
from howdah.dataplane.timers cimport timer_arm_sooner, timer_disarm
from howdah.dataplane.tls cimport TLS_ROOM
from howdah.wire.startup cimport REPLICATION_NONE, Startup, read_startup
from howdah.wire.tags cimport IDLE

from howdah.reasons import NUMBERS

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    GOODBYE_LIMIT_US = 5 * 1000000  # for work that nobody waits for any more; then it is cancelled
    CLOSING_LIMIT_US = 2 * 1000000

cdef int LOGIN_TIMEOUT = NUMBERS["client_login_timeout"]
cdef int WAIT_TIMEOUT = NUMBERS["query_wait_timeout"]
cdef int IDLE_TIMEOUT = NUMBERS["client_idle_timeout"]
cdef int WAIT_NOTIFY = NUMBERS["query_wait_notify"]
cdef int PIN_TIMEOUT = NUMBERS["pin_timeout"]
cdef int QUERY_TIMEOUT = NUMBERS["query_timeout"]
cdef int TRANSACTION_TIMEOUT = NUMBERS["transaction_timeout"]
cdef int IDLE_TRANSACTION_TIMEOUT = NUMBERS["idle_transaction_timeout"]
cdef int CANCEL_WAIT_TIMEOUT = NUMBERS["cancel_wait_timeout"]
cdef int PASSWORD_FAILED = NUMBERS["password_failed"]
cdef int NONE = NUMBERS["none"]

# LEGAL[from] is the set of states a client may go to, one bit each.
cdef uint32_t[CLIENT_STATES] LEGAL
LEGAL[<int>CLIENT_FREE] = 1 << CLIENT_STARTUP
LEGAL[<int>CLIENT_STARTUP] = (
    1 << CLIENT_PROOF | 1 << CLIENT_ASKED | 1 << CLIENT_LOGIN_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_CONSOLE
    | 1 << CLIENT_CANCEL | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE)
LEGAL[<int>CLIENT_PROOF] = (
    1 << CLIENT_ASKED | 1 << CLIENT_DELAYED | 1 << CLIENT_LOGIN_WAITING | 1 << CLIENT_IDLE | 1 << CLIENT_CONSOLE
    | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE)
LEGAL[<int>CLIENT_ASKED] = LEGAL[<int>CLIENT_PROOF] & ~(1 << CLIENT_ASKED) | 1 << CLIENT_PROOF
LEGAL[<int>CLIENT_DELAYED] = 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_LOGIN_WAITING] = (
    1 << CLIENT_LOGIN_ACTIVE | 1 << CLIENT_ACTIVE | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE)
LEGAL[<int>CLIENT_LOGIN_ACTIVE] = 1 << CLIENT_IDLE | 1 << CLIENT_LOGIN_WAITING | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_IDLE] = 1 << CLIENT_WAITING | 1 << CLIENT_ACTIVE | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_WAITING] = 1 << CLIENT_ACTIVE | 1 << CLIENT_IDLE | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_ACTIVE] = 1 << CLIENT_IDLE | 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_CONSOLE] = 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_CANCEL] = 1 << CLIENT_CLOSING | 1 << CLIENT_FREE
LEGAL[<int>CLIENT_CLOSING] = 1 << CLIENT_FREE

cdef uint32_t LOGGING_IN = 1 << CLIENT_STARTUP | 1 << CLIENT_PROOF | 1 << CLIENT_ASKED | 1 << CLIENT_DELAYED


cdef bint new_chunk(Worker *w) noexcept nogil:
    """Room for CHUNK more clients; never given back, so that a late event finds a client struct still."""
    cdef Client **chunks
    cdef Client *chunk = <Client *>calloc(CHUNK, sizeof(Client))
    if chunk == NULL:
        return False
    chunks = <Client **>realloc(w.chunks, (w.chunk_count + 1) * sizeof(Client *))
    if chunks == NULL:
        free(chunk)
        return False
    w.chunks = chunks
    chunks[w.chunk_count] = chunk
    for i in range(CHUNK - 1, -1, -1):
        chunk[i].slot = w.chunk_count * CHUNK + <uint32_t>i
        chunk[i].next = w.free_clients
        w.free_clients = &chunk[i]
    w.chunk_count += 1
    return True


cdef Client *client_new(Worker *w, int fd) noexcept nogil:
    """A client in CLIENT_STARTUP for a socket just accepted; NULL: out of memory."""
    cdef Client *client
    if w.free_clients == NULL and not new_chunk(w):
        return NULL
    client = w.free_clients
    w.free_clients = client.next
    conn_init(&client.conn, fd, CONN_CLIENT)
    client.worker = w
    client.prev = NULL
    client.next = w.clients
    if w.clients != NULL:
        w.clients.prev = client
    w.clients = client
    w.client_count += 1
    add_i32(&w.shared.connected, 1)
    client.line.worker = w.index
    client.line.owner = client
    client.line.in_line = client.line.alone = client.line.room = False
    client.line.granted = NULL
    client.timer.owner = client
    client.mail.embedded = True
    client.mail.client = client
    client.held = NULL
    client.remain = 0
    client.remain_drop = client.is_ready = client.counted = client.owed = False
    client.asked_ssl = client.asked_gssenc = client.goodbye = client.stalled = client.notified = False
    client.left_effects = 0
    client.sql_prepares = client.group_ends = client.group_describes = client.group_trusts = False
    client.curing = client.cured = False
    client.effects = client.unnamed_effects = 0
    client.numbers = client.resets = client.undone = False
    client.told = NULL
    client.unnamed = UNNAMED_NONE
    client.unnamed_executes = False
    client.unnamed_parse = client.unnamed_settings = client.begin = client.group = client.noted = NULL
    client.ear = NULL
    client.suspects = NULL
    names_init(&client.names)
    client.proxied = client.direct_tls = False
    client.late = w.closed
    client.server = NULL
    client.login = NULL
    client.pool = NULL
    client.user = NULL
    client.settings = client.first_settings = NULL
    client.version = 0
    client.replication = REPLICATION_NONE
    client.key.given = False
    client.key.worker = w.index
    client.key.slot = client.slot
    client.id = add_u64(&w.shared.last_id, 1)
    client.connected_us = client.request_us = client.query_us = w.now_us
    client_move(client, CLIENT_STARTUP)
    return client


cdef void login_packet(Login *login, Startup *packet) noexcept nogil:
    """The StartupMessage that this login began with."""
    read_startup(block_data(login.kept), login.packet_size, packet)
    if login.database[0]:
        packet.database = login.database


cdef void login_free(Client *client) noexcept nogil:
    """The login is over, one way or the other."""
    cdef Login *login = client.login
    cdef Worker *w = client.worker
    if login == NULL:
        return
    client.login = NULL
    add_i32(&w.shared.login_count, -1)
    block_drop(&w.slab, &login.kept)
    secret_drop(login.secret)
    OPENSSL_cleanse(login, sizeof(Login))
    free(login)


cdef void client_free(Worker *w, Client *client) noexcept nogil:
    """Back to the free structs; the socket is closed and nothing refers to the client any more."""
    timer_disarm(&client.timer)
    login_free(client)
    block_drop(&w.slab, &client.held)
    block_drop(&w.slab, &client.unnamed_parse)
    block_drop(&w.slab, &client.unnamed_settings)
    block_drop(&w.slab, &client.noted)
    block_drop(&w.slab, &client.suspects)
    settings_drop(client.told)
    block_drop(&w.slab, &client.begin)
    block_drop(&w.slab, &client.group)
    names_clear(&client.names)
    settings_drop(client.settings)
    settings_drop(client.first_settings)
    client.settings = client.first_settings = NULL
    key_take_back(&w.shared.keys, &client.key)
    if w.looked_at == client:
        w.looked_at = client.next
    if client.prev == NULL:
        w.clients = client.next
    else:
        client.prev.next = client.next
    if client.next != NULL:
        client.next.prev = client.prev
    w.client_count -= 1
    add_i32(&w.shared.connected, -1)
    client_move(client, CLIENT_FREE)
    client.next = w.free_clients
    w.free_clients = client


cdef void client_move(Client *client, ClientState to) noexcept nogil:
    c_assert(LEGAL[client.state] >> to & 1)
    if logging_in(client) and not LOGGING_IN >> to & 1:
        conn_unwatch(client.worker.login_fd, &client.conn)  # it is watched among the others from now on
        store_i32(&client.worker.logging_in, client.worker.logging_in - 1)
    elif client.state == CLIENT_FREE:
        store_i32(&client.worker.logging_in, client.worker.logging_in + 1)
    store_i32(&client.state, to)


cdef bint logging_in(const Client *client) noexcept nogil:
    """Is it one of those that `Worker.login_fd` watches?"""
    return LOGGING_IN >> client.state & 1


cdef void no_later(Deadline *deadline, uint64_t since_us, uint64_t limit_us, int reason) noexcept nogil:
    """`limit_us` after `since_us`, unless something is due before that; a limit of 0 is none."""
    if limit_us and (deadline.at_us == 0 or since_us + limit_us < deadline.at_us):
        deadline.at_us = since_us + limit_us
        deadline.reason = reason


cdef Deadline client_deadline(const Client *client) noexcept nogil:
    """When the client's state must end, or with WAIT_NOTIFY be told of, and why."""
    cdef Deadline deadline
    deadline.at_us = 0
    deadline.reason = NONE
    if client.state == CLIENT_DELAYED:
        no_later(&deadline, client.connected_us, client.query_us - client.connected_us, PASSWORD_FAILED)
    elif logging_in(client) or client.state == CLIENT_LOGIN_ACTIVE:
        no_later(&deadline, client.connected_us, client.worker.plan.client_login_timeout_us, LOGIN_TIMEOUT)
    elif client.state == CLIENT_WAITING or client.state == CLIENT_LOGIN_WAITING:
        no_later(&deadline, client.line.since_us, client.limits.query_wait_us, WAIT_TIMEOUT)
        if client.state == CLIENT_WAITING and not client.notified:
            no_later(&deadline, client.line.since_us, client.worker.plan.query_wait_notify_us, WAIT_NOTIFY)
    elif client.state == CLIENT_IDLE and client.begin != NULL:
        no_later(&deadline, client.request_us, client.limits.idle_transaction_us, IDLE_TRANSACTION_TIMEOUT)
        no_later(&deadline, client.request_us, client.limits.transaction_us, TRANSACTION_TIMEOUT)
    elif client.state == CLIENT_IDLE:
        no_later(&deadline, client.request_us, client.limits.idle_us, IDLE_TIMEOUT)
    elif client.state == CLIENT_ACTIVE:
        active_deadline(client, &deadline)
    elif client.state == CLIENT_CANCEL:
        no_later(&deadline, client.connected_us, client.worker.plan.cancel_wait_timeout_us, CANCEL_WAIT_TIMEOUT)
    elif client.state == CLIENT_CLOSING:
        no_later(&deadline, client.query_us, CLOSING_LIMIT_US, NONE)
    return deadline


cdef void active_deadline(const Client *client, Deadline *deadline) noexcept nogil:
    """Of a client that is linked: its server works for it, or it is idle, inside a transaction or (a pin) outside."""
    cdef const Server *server = client.server
    if client.goodbye:
        no_later(deadline, client.query_us, GOODBYE_LIMIT_US, NONE)
        return
    if all_replied(&server.replies) and server.status != IDLE:
        no_later(deadline, client.query_us, client.limits.idle_transaction_us, IDLE_TRANSACTION_TIMEOUT)
    if client.replication:
        return  # a stream, a base backup, the first copy of a table: as long as it takes
    if not all_replied(&server.replies):
        no_later(deadline, client.query_us, client.limits.query_us, QUERY_TIMEOUT)
    elif server.status == IDLE and ends_with_ready(&server.replies):
        if server.pins_counted:
            no_later(deadline, client.query_us, client.limits.pin_us, PIN_TIMEOUT)
        return
    no_later(deadline, client.request_us, client.limits.transaction_us, TRANSACTION_TIMEOUT)


cdef void client_watch_deadline(Client *client) noexcept nogil:
    """See that the timer fires when the state's deadline comes; it may fire sooner and is then armed again."""
    cdef Deadline deadline = client_deadline(client)
    if deadline.at_us:
        timer_arm_sooner(&client.worker.wheel, &client.timer, deadline.at_us)


cdef void set_ready(Client *client) noexcept nogil:
    """The worker shall go on with this client before it sleeps: it has bytes held back or a grant to use."""
    cdef Worker *w = client.worker
    if client.is_ready:
        return
    client.is_ready = True
    client.next_ready = NULL
    if w.last_ready == NULL:
        w.first_ready = client
    else:
        w.last_ready.next_ready = client
    w.last_ready = client


cdef Client *next_ready(Worker *w) noexcept nogil:
    cdef Client *client = w.first_ready
    if client != NULL:
        w.first_ready = client.next_ready
        if w.first_ready == NULL:
            w.last_ready = NULL
        client.is_ready = False
    return client


cdef Client *client_at(Worker *w, unsigned int slot) noexcept nogil:
    """The struct in that slot, in use or not; NULL: no such slot."""
    if slot >= w.chunk_count * CHUNK:
        return NULL
    return &w.chunks[slot // CHUNK][slot % CHUNK]


cdef size_t read_room(const Client *client, size_t most) noexcept nogil:
    """How much to read at once of a client that is not in yet, so that what must be kept of it is little."""
    return most + TLS_ROOM if client.conn.tls != NULL else most


cdef size_t address_key(const Client *client, uint8_t *to) noexcept nogil:
    """What addresses are counted by: all of an IPv4 one, the network of an IPv6 one.  0: a Unix socket."""
    cdef size_t size = 4 if client.peer.family == AF_INET else 8 if client.peer.family == AF_INET6 else 0
    memcpy(to, client.peer.address, size)
    return size


cdef void print_address(const Client *client, char *to, size_t size) noexcept nogil:
    if client.peer.family == AF_UNIX or inet_ntop(client.peer.family, client.peer.address, to, <uint32_t>size) == NULL:
        snprintf(to, size, b"[local]")
