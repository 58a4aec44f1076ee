"""Our way in at a server.

One of the modules that tell the story.  In this order: `open_server` (a socket to the next address), `connected`,
`tls_answered` and the handshake where TLS is wanted, `say_who_we_are`, `asked_for_proof` (with what the entry, the user
list or the client's own login gives), `server_ready`.  With server_tls_sslmode `allow` and `prefer` a second attempt is
made the other way; above, there is no way around TLS.  Called by `worker`, `handshake` and `relay`.
"""

from libc.errno cimport EINPROGRESS, EPROTO, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strcmp, strdup, strerror, strlen, strncmp

from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.epoll cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from howdah.cdefs.openssl cimport (
    SSL_get0_peer_certificate,
    SSL_get_SSL_CTX,
    SSL_SESSION,
    SSL_SESSION_free,
    SSL_SESSION_up_ref,
)
from howdah.cdefs.sockets cimport (
    AF_UNIX,
    IPPROTO_TCP,
    SO_ERROR,
    SO_KEEPALIVE,
    SO_RCVBUF,
    SO_SNDBUF,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_NODELAY,
    TCP_USER_TIMEOUT,
    connect,
    getsockopt,
    setsockopt,
    sockaddr,
    socket,
    socklen_t,
)
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.buffers cimport hold, unhold
from howdah.dataplane.canceller cimport cancel_start
from howdah.dataplane.certificates cimport LARGEST_END_POINT, end_point
from howdah.dataplane.client cimport set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_begin_tls,
    conn_close,
    conn_fill,
    conn_flush,
    conn_problem,
    conn_secure,
    conn_send,
    conn_watch,
)
from howdah.dataplane.credentials cimport Secret, secret_hold, secret_md5
from howdah.dataplane.mailbox cimport mail_send, own_address, tell_server
from howdah.dataplane.parties cimport (
    ENTRY_CONNECT_QUERY,
    ENTRY_HANDSHAKE,
    ENTRY_MESSAGES,
    ENTRY_TLS_ANSWER,
    MAIL_REFUSED,
    PIN_REPLICATION,
    READ_SIZE,
    SERVER_ACTIVE,
    SERVER_CONNECTING,
    SERVER_LISTENING,
    SERVER_LOGIN,
    Client,
    Entry,
    Hub,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport (
    Pool,
    WaitingClient,
    open_failed,
    opened,
    room_for_hub_not_used,
    room_not_used,
    unreserve,
)
from howdah.dataplane.recycle cimport client_refuse, client_refuse_text, recycle, server_lost, watch_server
from howdah.dataplane.routes cimport (
    TLS_ALLOW,
    TLS_PREFER,
    TLS_VERIFY_FULL,
    CPlan,
    Endpoint,
    Route,
    UserRule,
    find_user,
)
from howdah.dataplane.server cimport entry_free, remember_key, remember_parameter, server_move, server_new
from howdah.dataplane.session_state cimport Draft, Settings, draft_init, settings_data, settings_hold, settings_new
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.dataplane.tls cimport Tls, tls_connect, tls_describe, tls_expect, tls_resume, tls_speaks_postgresql
from howdah.dataplane.welcome cimport keep_welcome
from howdah.wire cimport tags
from howdah.wire.bytes cimport (
    Reader,
    Writer,
    left,
    read_bytes,
    read_u32,
    reader,
    write_bytes,
    write_string,
    writer,
)
from howdah.wire.compose cimport (
    compose_password,
    compose_query,
    compose_sasl_initial,
    compose_sasl_response,
    compose_ssl_request,
    compose_startup,
)
from howdah.wire.frame cimport FRAME_NEED_HEADER, FRAME_PART, FRAME_WHOLE, Frame, FrameVerdict, next_frame
from howdah.wire.password cimport MD5_TEXT, md5_of_challenge, read_sasl_mechanisms
from howdah.wire.replies cimport ErrorFields, read_error, read_key_data, read_parameter_status
from howdah.wire.scram cimport (
    SCRAM_LARGEST_MESSAGE,
    SCRAM_OK,
    SCRAM_WRONG,
    ScramVerdict,
    scram_client_final,
    scram_client_first,
    scram_client_verify,
)
from howdah.wire.startup cimport REPLICATION_LOGICAL, REPLICATION_NONE, replication_name

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    LARGEST_STARTUP = 10000
    LARGEST_PROOF = 66000
    QUERY_OVERHEAD = 6  # tag, length and the NUL at the end
    # AuthenticationXXX
    AUTHENTICATION_OK = 0
    CLEARTEXT = 3
    MD5 = 5
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_SERVER_CONNECTED = EventKind.SERVER_CONNECTED
cdef uint8_t EVENT_SERVER_LOGIN = EventKind.SERVER_LOGIN
cdef uint8_t EVENT_SERVER_QUERY_FAILED = EventKind.SERVER_QUERY_FAILED
cdef uint8_t EVENT_SERVER_REFUSED = EventKind.SERVER_REFUSED
cdef int NONE = NUMBERS["none"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int UNREACHABLE = NUMBERS["server_unreachable"]
cdef int CONNECT_TIMEOUT = NUMBERS["server_connect_timeout"]
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]
cdef int AUTH_UNSUPPORTED = NUMBERS["server_auth_unsupported"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int TLS_REFUSED = NUMBERS["server_tls_refused"]
cdef int TLS_FAILED = NUMBERS["server_tls_failed"]
cdef int NO_PASSWORD = NUMBERS["server_no_password"]
cdef int CONNECT_QUERY_FAILED = NUMBERS["connect_query_failed"]
cdef int FALSE_PROOF = NUMBERS["server_proof"]


# ---- the socket ----------------------------------------------------------------------------------------------------

cdef void set_option(int fd, int level, int option, int value) noexcept nogil:
    if value:
        setsockopt(fd, level, option, &value, sizeof(value))


cdef void tune(const CPlan *plan, int fd) noexcept nogil:
    """TCP options as configured."""
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1)
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, plan.tcp_keepalive)
    if plan.tcp_keepalive:
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, plan.tcp_keepidle)
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, plan.tcp_keepintvl)
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, plan.tcp_keepcnt)
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, plan.tcp_user_timeout)
    set_option(fd, SOL_SOCKET, SO_SNDBUF, plan.tcp_socket_buffer)
    set_option(fd, SOL_SOCKET, SO_RCVBUF, plan.tcp_socket_buffer)


cdef const Endpoint *next_endpoint(Pool *pool, bint failed) noexcept nogil:
    """The database's addresses in turn, or, with load_balance_hosts = disable, the one before until it fails."""
    cdef Route *found = <Route *>pool.route
    if failed or not found.in_order:
        pool.next_endpoint += 1
    return &found.endpoints[pool.next_endpoint % found.endpoint_count]


cdef void open_server(Worker *w, Pool *pool) noexcept nogil:
    """Open one more server; room for it has been reserved in the pool."""
    cdef Server *server = server_new(w)
    if server == NULL:
        unreserve(&w.shared.pools, pool)
        return
    opened(&w.shared.pools, pool, &server.pooled, w.index, w.now_us)
    begin_opening(w, server)


cdef void open_dedicated(Worker *w, Client *client) noexcept nogil:
    """Open the server that this client alone will use; it has the room for it."""
    cdef Server *server = server_new(w)
    if server == NULL:
        room_not_used(&w.shared.pools, &client.line)
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return
    client.line.room = False
    client.server = server
    server.client = client
    server.replication = client.replication
    server.pooled.dedicated = True
    opened(&w.shared.pools, client.pool, &server.pooled, w.index, w.now_us)
    begin_opening(w, server)


cdef void open_listening(Worker *w, Hub *hub) noexcept nogil:
    """Open the server of this hub; room for it has been taken."""
    cdef Server *server = server_new(w)
    if server == NULL:
        room_for_hub_not_used(&w.shared.pools, hub.pool)
        return
    hub.server = server
    server.hub = hub
    server.pooled.dedicated = True
    opened(&w.shared.pools, hub.pool, &server.pooled, w.index, w.now_us)
    begin_opening(w, server)


cdef void begin_opening(Worker *w, Server *server) noexcept nogil:
    """To the next of the database's addresses."""
    cdef Pool *pool = server.pooled.pool
    cdef const Endpoint *endpoint = NULL
    cdef char[200] problem
    server.attempts += 1
    snprintf(problem, sizeof(problem), b"the database has been removed")
    pthread_mutex_lock(&w.shared.pools.lock)  # what the plan holds may be gone behind it
    if pool.route != NULL and (<Route *>pool.route).endpoint_count:
        endpoint = next_endpoint(pool, pool.failing or server.attempts > 1)
        server.endpoint = strdup(endpoint.text)
        server.pooled.address = endpoint.hash
        server.host = strdup(endpoint.host)
        server.sockaddr_size = endpoint.size
        memcpy(server.sockaddr, endpoint.sockaddr, min(<size_t>endpoint.size, sizeof(server.sockaddr)))
    elif pool.route != NULL:
        snprintf(problem, sizeof(problem), b"%s", (<Route *>pool.route).resolve_error)
    pthread_mutex_unlock(&w.shared.pools.lock)
    if endpoint == NULL:
        server_login_failed(w, server, UNREACHABLE, False, b"08001", problem)
    elif not begin_entry(w, server, w.plan.server_tls >= TLS_PREFER):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"out of memory")
    else:
        start_connecting(w, server)


cdef bint begin_entry(Worker *w, Server *server, bint tls) noexcept nogil:
    """What is needed for the login, with or without TLS; Unix sockets never have it.  False: out of memory."""
    server.entry = <Entry *>calloc(1, sizeof(Entry))
    if server.entry == NULL:
        return False
    server.entry.tls = tls and (<sockaddr *>server.sockaddr).sa_family != AF_UNIX and w.plan.server_context != NULL
    return True


cdef bint other_way(Worker *w, Server *server) noexcept nogil:
    """Once more without TLS where it was only preferred, or with it where it was only allowed; False: no more ways."""
    cdef Entry *entry = server.entry
    cdef bint tls = not entry.tls
    if entry.last_try or w.plan.server_tls not in (TLS_ALLOW, TLS_PREFER):
        return False
    entry_free(server)
    if not begin_entry(w, server, tls) or server.entry.tls != tls:
        return False
    server.entry.last_try = True
    conn_close(&w.slab, &server.conn)
    timer_disarm(&server.timer)
    server_move(server, SERVER_CONNECTING)
    start_connecting(w, server)
    return True


cdef void start_connecting(Worker *w, Server *server) noexcept nogil:
    cdef sockaddr *address = <sockaddr *>server.sockaddr
    cdef int fd = socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        unreachable(w, server, errno)
        return
    server.conn.fd = fd
    if address.sa_family != AF_UNIX:
        tune(w.plan, fd)
    if connect(fd, address, server.sockaddr_size) != 0 and errno != EINPROGRESS:
        unreachable(w, server, errno)
        return
    if w.plan.server_connect_timeout_us:
        timer_arm(&w.wheel, &server.timer, w.now_us + w.plan.server_connect_timeout_us)
    if not conn_watch(w.epoll_fd, &server.conn, EPOLLOUT):
        unreachable(w, server, errno)


cdef void unreachable(Worker *w, Server *server, int error) noexcept nogil:
    cdef char[200] text
    snprintf(text, sizeof(text), b"%s: %s", server.endpoint, strerror(error))
    server_login_failed(w, server, UNREACHABLE, False, b"08001", text)


cdef void server_login_failed(Worker *w, Server *server, int reason, bint refused, const char *sqlstate,
                              const char *message) noexcept nogil:
    """No server from this attempt.  Where it is the user or database that PostgreSQL refuses, all who wait are told."""
    cdef WaitingClient *waiting
    cdef Client *client
    if server.pooled.dedicated:
        dedicated_failed(w, server, reason, sqlstate, message)
        return
    waiting = open_failed(&w.shared.pools, server.pooled.pool, reason, refused, sqlstate, message, w.now_us)
    while waiting != NULL:
        client = <Client *>waiting.owner
        waiting = waiting.next
        client.mail.kind = MAIL_REFUSED
        mail_send(&w.shared.workers[client.line.worker], &client.mail)
    tell_server(w, EVENT_SERVER_REFUSED, server, reason, message, strlen(message))
    server_lost(w, server, NONE, b"")


cdef void dedicated_failed(Worker *w, Server *server, int reason, const char *sqlstate,
                           const char *message) noexcept nogil:
    """Nobody but its own client is told, and at once: replication clients know how to try again; and so do hubs."""
    cdef Client *client = server.client
    tell_server(w, EVENT_SERVER_REFUSED, server, reason, message, strlen(message))
    if (reason == UNREACHABLE or reason == CONNECT_TIMEOUT) and elsewhere(w, server):
        return
    server.client = NULL
    if client != NULL:
        client.server = NULL
    server_lost(w, server, NONE, b"")
    if client == NULL:
        return
    if reason == LOGIN_FAILED:
        client_refuse_text(w, client, LOGIN_FAILED, sqlstate, message)
    else:
        client_refuse(w, client, reason, message)


cdef bint elsewhere(Worker *w, Server *server) noexcept nogil:
    """Go on at the next address, as libpq does; False: each has been tried."""
    cdef Pool *pool = server.pooled.pool
    cdef uint32_t addresses = 0
    pthread_mutex_lock(&w.shared.pools.lock)
    if pool.route != NULL:
        addresses = (<Route *>pool.route).endpoint_count
    pthread_mutex_unlock(&w.shared.pools.lock)
    if server.attempts >= addresses:
        return False
    entry_free(server)
    conn_close(&w.slab, &server.conn)
    timer_disarm(&server.timer)
    free(<void *>server.endpoint)
    free(<void *>server.host)
    server.endpoint = server.host = NULL
    if server.state == SERVER_LOGIN:
        server_move(server, SERVER_CONNECTING)
    begin_opening(w, server)
    return True
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


cdef bint send_login(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Send a message of the login and wait for the answer; False: the server is lost."""
    if conn_send(&w.slab, &server.conn, data, size) == SEND_ERROR:
        unreachable(w, server, server.conn.error)
        return False
    conn_watch(w.epoll_fd, &server.conn, EPOLLIN | (EPOLLOUT if server.conn.out.size else 0))
    return True


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


cdef void take_secret(Worker *w, Entry *entry, Pool *pool, const Route *found) noexcept nogil:
    """The entry's password, else the user list's, else that of the client who logged in last.

    Where only SCRAM keys are known, they are of use if a client has proved by SCRAM that it knows the password.
    """
    cdef UserRule *rule = find_user(w.plan, pool.server_user)
    if found.secret != NULL:
        entry.secret = secret_hold(found.secret)
    elif rule != NULL and rule.secret != NULL and not rule.secret.scram:
        entry.secret = secret_hold(rule.secret)
    else:
        entry.secret = secret_hold(pool.secret)
        entry.has_client_key = pool.has_client_key
        memcpy(entry.client_key, pool.client_key, sizeof(entry.client_key))


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


cdef bint asked_for_proof(Worker *w, Server *server, uint32_t method, Reader *r) noexcept nogil:
    """AuthenticationXXX; False: the server is gone."""
    cdef char[64] text
    if r.ok and method == AUTHENTICATION_OK:
        # Having been asked to prove that it knows the password, a server must not be able to leave that out.
        if server.entry.scram.flag and not server.entry.proven:
            server_login_failed(w, server, FALSE_PROOF, True, b"08006",
                                b"the server ended the SCRAM exchange without proving that it knows the password")
            return False
        return True
    if r.ok and method == CLEARTEXT:
        return give_password(w, server)
    if r.ok and method == MD5 and left(r) == 4:
        return give_md5(w, server, read_bytes(r, 4))
    if r.ok and method == SASL:
        return begin_scram(w, server, r)
    if r.ok and method == SASL_CONTINUE and server.entry.scram.flag:
        return give_scram(w, server, r)
    if r.ok and method == SASL_FINAL and server.entry.scram.flag:
        if scram_client_verify(&server.entry.scram, r.at, left(r)) == SCRAM_OK:
            server.entry.proven = True
            return True
        server_login_failed(w, server, FALSE_PROOF, True, b"08006", b"the server's SCRAM signature is wrong")
        return False
    snprintf(text, sizeof(text), b"authentication method %u", method)
    server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", text)
    return False


cdef bint no_password(Worker *w, Server *server, const char *what) noexcept nogil:
    cdef char[250] text
    snprintf(text, sizeof(text), b"no %s for user \"%.63s\"", what, server.pooled.pool.server_user)
    server_login_failed(w, server, NO_PASSWORD, True, b"28000", text)
    return False


cdef bint give_password(Worker *w, Server *server) noexcept nogil:
    """AuthenticationCleartextPassword."""
    cdef uint8_t[LARGEST_PROOF] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Secret *secret = server.entry.secret
    cdef bint sent
    if secret == NULL or secret.password == NULL:
        return no_password(w, server, b"password")
    compose_password(&message, secret.password, secret.password_size)
    sent = send_login(w, server, data, message.used)
    OPENSSL_cleanse(data, message.used)
    return sent


cdef bint give_md5(Worker *w, Server *server, const uint8_t *salt) noexcept nogil:
    """AuthenticationMD5Password."""
    cdef uint8_t[64] data
    cdef Writer message = writer(data, sizeof(data))
    cdef char[MD5_TEXT] secret
    cdef char[MD5_TEXT] answer
    if not secret_md5(server.entry.secret, server.pooled.pool.server_user, secret):
        return no_password(w, server, b"password or MD5 secret")
    md5_of_challenge(secret, salt, answer)
    compose_password(&message, answer, MD5_TEXT - 1)
    return send_login(w, server, data, message.used)


cdef bint begin_scram(Worker *w, Server *server, Reader *r) noexcept nogil:
    """AuthenticationSASL: SCRAM, with channel binding where both sides have it."""
    cdef uint8_t[SCRAM_LARGEST_MESSAGE] text
    cdef uint8_t[SCRAM_LARGEST_MESSAGE + 64] data
    cdef Writer first = writer(text, sizeof(text))
    cdef Writer message = writer(data, sizeof(data))
    cdef Entry *entry = server.entry
    cdef uint8_t[LARGEST_END_POINT] hash
    cdef bint scram = False
    cdef bint plus = False
    if entry.scram.flag or not read_sasl_mechanisms(r.at, left(r), &scram, &plus) or not (scram or plus):
        server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", b"SASL mechanisms other than SCRAM-SHA-256")
        return False
    if entry.secret == NULL or (entry.secret.password == NULL and not (entry.secret.scram and entry.has_client_key)):
        return no_password(w, server, b"password or SCRAM keys")
    entry.plus = plus and server_end_point(server, hash) > 0
    if not entry.plus and not scram:
        server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", b"SCRAM-SHA-256-PLUS alone")
        return False
    if not scram_client_first(&entry.scram, entry.plus, conn_secure(&server.conn) and not plus, &first):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"no random numbers")
        return False
    compose_sasl_initial(&message, "SCRAM-SHA-256-PLUS" if entry.plus else "SCRAM-SHA-256", text, first.used)
    return send_login(w, server, data, message.used)


cdef size_t server_end_point(const Server *server, uint8_t *hash) noexcept nogil:
    if not conn_secure(&server.conn):
        return 0
    return end_point(SSL_get0_peer_certificate(server.conn.tls.ssl), hash)


cdef bint give_scram(Worker *w, Server *server, const Reader *r) noexcept nogil:
    """AuthenticationSASLContinue: salt and nonce are there, the proof is due."""
    cdef uint8_t[SCRAM_LARGEST_MESSAGE] text
    cdef uint8_t[SCRAM_LARGEST_MESSAGE + 64] data
    cdef Writer final = writer(text, sizeof(text))
    cdef Writer message = writer(data, sizeof(data))
    cdef Entry *entry = server.entry
    cdef uint8_t[LARGEST_END_POINT] hash
    cdef size_t hash_size = server_end_point(server, hash) if entry.plus else 0
    cdef ScramVerdict verdict = scram_client_final(
        &entry.scram, r.at, left(r), entry.secret.prepared, entry.secret.prepared_size, &entry.secret.keys,
        entry.client_key, hash, hash_size, &final)
    if verdict == SCRAM_OK:
        compose_sasl_response(&message, text, final.used)
        return send_login(w, server, data, message.used)
    if entry.secret.prepared == NULL and verdict == SCRAM_WRONG:
        return no_password(w, server, b"SCRAM keys with the server's own salt and iterations")
    server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", b"a malformed SCRAM challenge")
    return False


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
