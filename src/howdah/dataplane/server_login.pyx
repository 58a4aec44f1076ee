"""Our way in at a server, from a connected socket on.

One of the modules that tell the story.  In this order: `connecting.open_server` (a socket to the next address),
`connected`, `tls_answered` and the handshake where TLS is wanted, `say_who_we_are`, `server_proof.asked_for_proof`,
`server_ready`.  Called by `worker`.
"""

from libc.errno cimport EPROTO
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport strcmp, strlen, strncmp

from howdah.cdefs.epoll cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from howdah.cdefs.openssl cimport SSL_SESSION, SSL_get_SSL_CTX, SSL_SESSION_free, SSL_SESSION_up_ref
from howdah.cdefs.sockets cimport SO_ERROR, SOL_SOCKET, getsockopt, socklen_t
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.buffers cimport hold, unhold
from howdah.dataplane.canceller cimport cancel_start
from howdah.dataplane.client cimport set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_begin_tls,
    conn_fill,
    conn_flush,
    conn_problem,
    conn_secure,
    conn_watch,
)
from howdah.dataplane.connecting cimport other_way, send_login, server_login_failed, unreachable
from howdah.dataplane.mailbox cimport own_address, tell_server
from howdah.dataplane.parties cimport (
    ENTRY_CONNECT_QUERY,
    ENTRY_HANDSHAKE,
    ENTRY_MESSAGES,
    ENTRY_TLS_ANSWER,
    PIN_REPLICATION,
    READ_SIZE,
    SERVER_ACTIVE,
    SERVER_CONNECTING,
    SERVER_LISTENING,
    SERVER_LOGIN,
    Entry,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.recycle cimport recycle, watch_server
from howdah.dataplane.routes cimport TLS_PREFER, TLS_VERIFY_FULL, Route
from howdah.dataplane.server cimport entry_free, remember_key, remember_parameter, server_move
from howdah.dataplane.server_proof cimport asked_for_proof, take_secret
from howdah.dataplane.session_state cimport Draft, Settings, draft_init, settings_data, settings_hold, settings_new
from howdah.dataplane.timers cimport timer_disarm
from howdah.dataplane.tls cimport Tls, tls_connect, tls_describe, tls_expect, tls_resume, tls_speaks_postgresql
from howdah.dataplane.welcome cimport keep_welcome
from howdah.wire cimport tags
from howdah.wire.bytes cimport Reader, Writer, read_u32, reader, write_bytes, write_string, writer
from howdah.wire.compose cimport compose_query, compose_ssl_request, compose_startup
from howdah.wire.frame cimport FRAME_NEED_HEADER, FRAME_PART, FRAME_WHOLE, Frame, FrameVerdict, next_frame
from howdah.wire.replies cimport ErrorFields, read_error, read_key_data, read_parameter_status
from howdah.wire.startup cimport REPLICATION_LOGICAL, REPLICATION_NONE, replication_name

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    LARGEST_STARTUP = 10000
    QUERY_OVERHEAD = 6  # tag, length and the NUL at the end

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_SERVER_CONNECTED = EventKind.SERVER_CONNECTED
cdef uint8_t EVENT_SERVER_LOGIN = EventKind.SERVER_LOGIN
cdef uint8_t EVENT_SERVER_QUERY_FAILED = EventKind.SERVER_QUERY_FAILED
cdef int NONE = NUMBERS["none"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int UNREACHABLE = NUMBERS["server_unreachable"]
cdef int CONNECT_TIMEOUT = NUMBERS["server_connect_timeout"]
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int TLS_REFUSED = NUMBERS["server_tls_refused"]
cdef int TLS_FAILED = NUMBERS["server_tls_failed"]
cdef int CONNECT_QUERY_FAILED = NUMBERS["connect_query_failed"]


cdef void server_login_late(Worker *w, Server *server) noexcept nogil:
    """server_connect_timeout is over."""
    if server.entry.step == ENTRY_CONNECT_QUERY:
        cancel_start(w, server)  # it would run on, with nobody to hear of it
    server_login_failed(w, server, CONNECT_TIMEOUT, False, b"08001",
                        b"PostgreSQL did not answer within server_connect_timeout")


cdef void server_login(Worker *w, Server *server, unsigned int events) noexcept nogil:
    """Something happened on the socket of a server that is connecting or logging in."""
    cdef size_t have = server.held.end if server.held != NULL else 0
    cdef size_t got = 0
    cdef FillVerdict verdict
    if server.state == SERVER_CONNECTING:
        if events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
            connected(w, server)
        return
    if events & EPOLLOUT:
        conn_flush(&w.slab, &server.conn)
        watch_server(w, server)
    verdict = conn_fill(&w.slab, &server.conn, w.buffer + have, READ_SIZE, &got)
    if server.entry.step == ENTRY_HANDSHAKE and conn_secure(&server.conn) and not handshake_done(w, server):
        return
    if verdict == FILL_DATA:
        unhold(&w.slab, &server.held, w.buffer)
        if server.entry.step == ENTRY_TLS_ANSWER:
            tls_answered(w, server, w.buffer, have + got)
        else:
            login_messages(w, server, w.buffer, have + got)
    elif verdict != FILL_AGAIN:
        login_cut(w, server, verdict)


cdef bint handshake_done(Worker *w, Server *server) noexcept nogil:
    """False: the server is lost."""
    if w.plan.server_tls_direct and not tls_speaks_postgresql(server.conn.tls):
        server_login_failed(w, server, TLS_FAILED, True, b"08006",
                            b"direct TLS, and the server does not know the ALPN protocol postgresql")
        return False
    return say_who_we_are(w, server)


cdef void login_cut(Worker *w, Server *server, FillVerdict verdict) noexcept nogil:
    """The connection is over in the middle of the login."""
    cdef char[250] text
    cdef bint hopeless
    cdef const char *problem = b"PostgreSQL closed the connection in the middle of the handshake"
    if server.entry.step == ENTRY_HANDSHAKE or (server.conn.tls != NULL and verdict != FILL_EOF):
        if not other_way(w, server):
            if verdict != FILL_EOF:
                problem = conn_problem(&server.conn)
            snprintf(text, sizeof(text), b"%s: %s", server.endpoint, problem)
            # A certificate that does not do will not do in a moment either; a connection that broke may.
            hopeless = verdict != FILL_EOF and server.conn.error == EPROTO
            server_login_failed(w, server, TLS_FAILED, hopeless, b"08006", text)
    elif verdict == FILL_EOF:
        server_login_failed(w, server, UNREACHABLE, False, b"08001",
                            b"PostgreSQL closed the connection in the middle of the login")
    else:
        unreachable(w, server, server.conn.error)


cdef void connected(Worker *w, Server *server) noexcept nogil:
    """Connected or not; then TLS, or who we are."""
    cdef uint8_t[16] data
    cdef Writer message = writer(data, sizeof(data))
    cdef char[80] own
    cdef int error = 0
    cdef socklen_t size = sizeof(error)
    getsockopt(server.conn.fd, SOL_SOCKET, SO_ERROR, &error, &size)
    if error:
        unreachable(w, server, error)
        return
    server_move(server, SERVER_LOGIN)
    if w.plan.drop_in:
        own_address(server.conn.fd, own, sizeof(own))
        tell_server(w, EVENT_SERVER_CONNECTED, server, NONE, own, strlen(own))
    if not server.entry.tls:
        say_who_we_are(w, server)
    elif w.plan.server_tls_direct:
        shake_hands(w, server)
    else:
        server.entry.step = ENTRY_TLS_ANSWER
        compose_ssl_request(&message)
        send_login(w, server, data, message.used)


# ---- TLS -----------------------------------------------------------------------------------------------------------

cdef void tls_answered(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """One byte: S for yes, N for no.  More than one byte somebody else may have put there."""
    cdef char[200] text
    if size == 1 and data[0] == c"S":
        shake_hands(w, server)
    elif size == 1 and data[0] == c"N" and w.plan.server_tls <= TLS_PREFER:
        server.entry.tls = False
        say_who_we_are(w, server)
    elif data[0] == c"N":
        snprintf(text, sizeof(text), b"%s", server.endpoint)
        server_login_failed(w, server, TLS_REFUSED, True, b"08006", text)
    elif data[0] == c"S":
        server_login_failed(w, server, TLS_FAILED, False, b"08006", b"received unencrypted data after SSL response")
    else:
        server_login_failed(w, server, TLS_FAILED, False, b"08006", b"the answer to SSLRequest is neither S nor N")


cdef void shake_hands(Worker *w, Server *server) noexcept nogil:
    """Begin the handshake; `server_login` goes on when it is done."""
    cdef Pool *pool = server.pooled.pool
    cdef SSL_SESSION *session
    cdef char[250] text
    server.entry.step = ENTRY_HANDSHAKE
    server.conn.tls = tls_connect(w.plan.server_context) if w.plan.server_context != NULL else NULL
    if server.conn.tls == NULL or not tls_expect(server.conn.tls, server.host, w.plan.server_tls == TLS_VERIFY_FULL):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"out of memory")
        return
    pthread_mutex_lock(&w.shared.pools.lock)
    session = pool.tls_session
    if session != NULL:
        SSL_SESSION_up_ref(session)
    pthread_mutex_unlock(&w.shared.pools.lock)
    if session != NULL:
        tls_resume(server.conn.tls, session)
        SSL_SESSION_free(session)
    if conn_begin_tls(&w.slab, &server.conn) == SEND_ERROR:
        snprintf(text, sizeof(text), b"%s: %s", server.endpoint, conn_problem(&server.conn))
        server_login_failed(w, server, TLS_FAILED, False, b"08006", text)
        return
    conn_watch(w.epoll_fd, &server.conn, EPOLLIN | (EPOLLOUT if server.conn.out.size else 0))


cdef void keep_session(Worker *w, Server *server) noexcept nogil:
    """The session the server gave us is for the pool's next server: the same one, checked under the terms in force."""
    cdef Pool *pool = server.pooled.pool
    cdef Tls *tls = server.conn.tls
    cdef Route *found
    if tls.session == NULL or SSL_get_SSL_CTX(tls.ssl) != w.plan.server_context:
        return
    pthread_mutex_lock(&w.shared.pools.lock)
    found = <Route *>pool.route
    if found != NULL and found.endpoint_count == 1:
        SSL_SESSION_free(pool.tls_session)
        pool.tls_session = tls.session
        tls.session = NULL
    pthread_mutex_unlock(&w.shared.pools.lock)


# ---- the messages --------------------------------------------------------------------------------------------------

cdef bint say_who_we_are(Worker *w, Server *server) noexcept nogil:
    """Send the startup packet, and take up what it may need to be proved with.  False: the server is lost."""
    cdef uint8_t[LARGEST_STARTUP] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Pool *pool = server.pooled.pool
    cdef Entry *entry = server.entry
    cdef Route *found
    entry.step = ENTRY_MESSAGES
    pthread_mutex_lock(&w.shared.pools.lock)  # a new plan may be on its way
    found = <Route *>pool.route
    if found != NULL:
        if server.hub != NULL:
            compose_listening(&message, pool, found)
        elif server.replication == REPLICATION_NONE:
            compose_startup(&message, pool.server_user, pool.server_database, found.startup, found.startup_size)
        else:
            compose_replication(&message, server, found)
        take_secret(w, entry, pool, found)
    pthread_mutex_unlock(&w.shared.pools.lock)
    if found == NULL:
        server_login_failed(w, server, UNREACHABLE, False, b"08001", b"the database has been removed")
    elif not message.ok:
        server_login_failed(w, server, LOGIN_FAILED, True, b"08P01", b"the names of user and database are too long")
    else:
        return send_login(w, server, data, message.used)
    return False


cdef void compose_replication(Writer *message, const Server *server, const Route *found) noexcept nogil:
    """The startup packet for a client's own server: its settings are there from the beginning, since a server of
    physical replication takes no SET."""
    cdef uint8_t[LARGEST_STARTUP] data
    cdef Writer extra = writer(data, sizeof(data))
    cdef const Settings *settings = server.client.settings
    cdef const Pool *pool = server.pooled.pool
    write_bytes(&extra, found.startup, found.startup_size)
    write_bytes(&extra, settings_data(settings), settings.size)
    write_string(&extra, "replication")
    write_string(&extra, "database" if server.replication == REPLICATION_LOGICAL else "true")
    compose_startup(message, pool.server_user, pool.server_database, <const char *>data, <uint32_t>extra.used)
    message.ok = message.ok and extra.ok


cdef void compose_listening(Writer *message, const Pool *pool, const Route *found) noexcept nogil:
    """The startup packet for a hub's server, to which text comes and goes as it stands in the database."""
    cdef uint8_t[LARGEST_STARTUP] data
    cdef Writer extra = writer(data, sizeof(data))
    write_bytes(&extra, found.startup, found.startup_size)
    write_string(&extra, "client_encoding")
    write_string(&extra, "SQL_ASCII")
    write_string(&extra, "application_name")
    write_string(&extra, "howdah listening")
    compose_startup(message, pool.server_user, pool.server_database, <const char *>data, <uint32_t>extra.used)
    message.ok = message.ok and extra.ok


cdef void login_messages(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    cdef size_t pos = 0
    cdef size_t part
    cdef bint ready = False
    cdef Frame frame
    cdef FrameVerdict verdict
    while pos < size:
        if server.remain:
            part = min(<size_t>server.remain, size - pos)
            server.remain -= <uint32_t>part
            pos += part
            continue
        verdict = next_frame(data + pos, size - pos, &frame)
        if verdict == FRAME_PART and frame.size > READ_SIZE and server.entry.step == ENTRY_CONNECT_QUERY:
            server.remain = frame.size
            continue  # a large row of its result
        if verdict == FRAME_NEED_HEADER or (verdict == FRAME_PART and frame.size <= READ_SIZE):
            break
        if verdict != FRAME_WHOLE:
            server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", b"a message of impossible length at login")
            return
        pos += frame.size
        if frame.tag == tags.READY_FOR_QUERY:
            ready = True
            server.status = data[pos - 1]
            break  # what is behind it is for the relay
        if not login_message(w, server, frame.tag, data + pos - frame.size + 5, frame.size - 5):
            return
    if not hold(&w.slab, &server.held, data + pos, size - pos):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"out of memory")
    elif ready and (server.entry.step == ENTRY_CONNECT_QUERY or not run_connect_query(w, server)):
        server_ready(w, server)


cdef bint run_connect_query(Worker *w, Server *server) noexcept nogil:
    """Send the database's `connect_query`, whose answer is the last part of the login; False: there is none.

    Replication is spared it: not every session of that kind takes SQL.
    """
    cdef Pool *pool = server.pooled.pool
    cdef Route *found
    cdef uint8_t *data = NULL
    cdef size_t size = 0
    cdef Writer message
    pthread_mutex_lock(&w.shared.pools.lock)  # a new plan may be on its way
    found = <Route *>pool.route
    if found != NULL and found.connect_query[0] and not server.pooled.dedicated:
        size = strlen(found.connect_query) + QUERY_OVERHEAD
        data = <uint8_t *>malloc(size)
        message = writer(data, size if data != NULL else 0)
        compose_query(&message, found.connect_query)
    pthread_mutex_unlock(&w.shared.pools.lock)
    if size == 0:
        return False
    server.entry.step = ENTRY_CONNECT_QUERY
    if data == NULL:
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"out of memory")
    else:
        send_login(w, server, data, message.used)
    free(data)
    return True


cdef bint connect_query_message(Worker *w, Server *server, uint8_t tag, const uint8_t *body,
                                size_t size) noexcept nogil:
    """What comes of `connect_query`: only what it reports and its errors matter.  False: the server is gone."""
    cdef ErrorFields error
    cdef const char *name = NULL
    cdef const char *value = NULL
    if tag == tags.PARAMETER_STATUS and read_parameter_status(body, size, &name, &value):
        remember_parameter(server, name, value)
    elif tag == tags.ERROR_RESPONSE and read_error(body, size, &error):
        if strcmp(error.severity, "FATAL") == 0:
            server_login_failed(w, server, LOGIN_FAILED, False, b"08006", error.message)
            return False
        tell_server(w, EVENT_SERVER_QUERY_FAILED, server, CONNECT_QUERY_FAILED, error.message, strlen(error.message))
    return True


cdef bint login_message(Worker *w, Server *server, uint8_t tag, const uint8_t *body, size_t size) noexcept nogil:
    """One message of the server's side of the login; False: the server is gone."""
    cdef ErrorFields error
    cdef Reader r
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef const uint8_t *secret = NULL
    cdef uint32_t pid = 0
    cdef uint32_t secret_size = 0
    cdef char[64] text
    if server.entry.step == ENTRY_CONNECT_QUERY:
        return connect_query_message(w, server, tag, body, size)
    if tag == tags.AUTHENTICATION:
        r = reader(body, size)
        return asked_for_proof(w, server, read_u32(&r), &r)
    if tag == tags.PARAMETER_STATUS:
        if read_parameter_status(body, size, &name, &value):
            remember_parameter(server, name, value)
        return True
    if tag == tags.BACKEND_KEY_DATA:
        if read_key_data(body, size, &pid, &secret, &secret_size):
            remember_key(server, pid, secret, secret_size)
        return True
    if tag == tags.NOTICE_RESPONSE or tag == tags.NEGOTIATE_PROTOCOL_VERSION:
        return True
    if tag == tags.ERROR_RESPONSE and read_error(body, size, &error):
        if not is_sqlstate(error.sqlstate):
            error.sqlstate = b"08006"
        if error.message[0] == 0:
            error.message = b"PostgreSQL refused the login without saying why"
        if strcmp(error.sqlstate, "28000") == 0 and other_way(w, server):
            return False  # pg_hba.conf may want it the other way
        # Class 28 is about the user, 3D about the database: trying again soon is of no use, for anybody.
        server_login_failed(w, server, LOGIN_FAILED, strncmp(error.sqlstate, "28", 2) == 0
                            or strncmp(error.sqlstate, "3D", 2) == 0 or strncmp(error.sqlstate, "42", 2) == 0,
                            error.sqlstate, error.message)
        return False
    snprintf(text, sizeof(text), b"message type %d at login", <int>tag)
    server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", text)
    return False


cdef bint is_sqlstate(const char *text) noexcept nogil:
    for i in range(5):
        if not (c"0" <= text[i] <= c"9" or c"A" <= text[i] <= c"Z"):
            return False
    return text[5] == 0


cdef void server_ready(Worker *w, Server *server) noexcept nogil:
    """Logged in: its parameters are what clients will be told; then to the first who waits."""
    cdef Draft none
    draft_init(&none)
    timer_disarm(&server.timer)
    if server.conn.tls != NULL:
        keep_session(w, server)
        tls_describe(server.conn.tls, server.tls, sizeof(server.tls))
    entry_free(server)
    if server.hub != NULL:
        listening_ready(w, server)
        return
    if server.pooled.dedicated:
        dedicated_ready(w, server)
        return
    server.settings = settings_new(&none)
    if server.settings != NULL:
        keep_welcome(&w.shared.pools, server.pooled.pool, server.settings, server.parameters,
                     server.parameters_size, True)
    tell_server(w, EVENT_SERVER_LOGIN, server, NONE, NULL, 0)
    w.open_wanted = True  # where this was the first, others need not hold back any more
    recycle(w, server)


cdef void dedicated_ready(Worker *w, Server *server) noexcept nogil:
    """Logged in for one client: `replication` tells it so in a moment."""
    cdef char[32] detail
    server.settings = settings_hold(server.client.settings)
    server.pins = PIN_REPLICATION
    server_move(server, SERVER_ACTIVE)
    snprintf(detail, sizeof(detail), b"%s replication", replication_name(server.replication))
    tell_server(w, EVENT_SERVER_LOGIN, server, NONE, detail, strlen(detail))
    set_ready(server.client)


cdef void listening_ready(Worker *w, Server *server) noexcept nogil:
    """Logged in for a hub."""
    server_move(server, SERVER_LISTENING)
    tell_server(w, EVENT_SERVER_LOGIN, server, NONE, b"listening", 9)
    server.hub.busy = False
    w.hub_wanted = True
