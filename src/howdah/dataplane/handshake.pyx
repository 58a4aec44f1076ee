"""Logins: of clients at howdah, of howdah at servers.

One of the three modules that tell the story (with `relay` and `recycle`).  A client's way in is, in this order:
`client_startup` (packets until the StartupMessage), `route` (which database and user), `settle` (its settings, and
what a server says of them), `let_in`.  Authentication stands between `route` and `settle`.  A server's way in is
`open_server`, `server_login`, `server_ready`.  Called by `worker`.
"""

from libc.errno cimport EINPROGRESS, ENOMEM, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset, strcmp, strdup, strerror, strlen, strncmp

from howdah.cdefs.atomics cimport add_i32, relaxed_add_u64
from howdah.cdefs.epoll cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from howdah.cdefs.sockets cimport (
    AF_UNIX,
    IPPROTO_TCP,
    SO_ERROR,
    SO_KEEPALIVE,
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
from howdah.dataplane.cancels cimport cancel_pid, new_secret, worker_of_pid
from howdah.dataplane.client cimport client_move, client_watch_deadline, set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_fill,
    conn_flush,
    conn_send,
    conn_unwatch,
    conn_watch,
)
from howdah.dataplane.mailbox cimport mail_new, mail_send, tell_client, tell_server
from howdah.dataplane.parties cimport (
    CLIENT_CANCEL,
    CLIENT_CONSOLE,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    MAIL_CANCEL,
    MAIL_REFUSED,
    READ_SIZE,
    SECRET_SIZE,
    SERVER_ACTIVE,
    SERVER_CONNECTING,
    SERVER_LOGIN,
    Client,
    Mail,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport (
    TAKE_GOT,
    TAKE_OPEN,
    TAKE_REFUSED,
    Pool,
    PoolTerms,
    TakeVerdict,
    WaitingClient,
    open_failed,
    opened,
    pool_join,
    take,
    unreserve,
)
from howdah.dataplane.recycle cimport (
    adopt,
    client_leave,
    client_refuse,
    client_refuse_text,
    recycle,
    server_lost,
    unlink_and_recycle,
    watch_client,
    watch_server,
)
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, expect
from howdah.dataplane.routes cimport CPlan, Endpoint, Route, UserRule, find_route, find_user, listed
from howdah.dataplane.server cimport remember_key, remember_parameter, server_move, server_new
from howdah.dataplane.session_state cimport (
    Draft,
    compose_change,
    draft_init,
    draft_set,
    settings_drop,
    settings_hold,
    settings_new,
)
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.dataplane.welcome cimport keep_welcome, write_welcome
from howdah.wire cimport tags
from howdah.wire.bytes cimport Reader, Writer, read_u32, reader, writer
from howdah.wire.compose cimport (
    compose_authentication_ok,
    compose_backend_key_data,
    compose_negotiate,
    compose_parameter_status,
    compose_ready,
    compose_startup,
)
from howdah.wire.frame cimport FRAME_NEED_HEADER, FRAME_PART, FRAME_WHOLE, Frame, FrameVerdict, next_frame
from howdah.wire.replies cimport ErrorFields, read_error, read_key_data, read_parameter_status
from howdah.wire.startup cimport (
    STARTUP_BAD_CANCEL,
    STARTUP_CANCEL,
    STARTUP_GSSENC,
    STARTUP_MALFORMED,
    STARTUP_MESSAGE,
    STARTUP_NEED_MORE,
    STARTUP_NO_USER,
    STARTUP_SSL,
    STARTUP_TOO_LONG,
    STARTUP_TOO_SHORT,
    Startup,
    StartupVerdict,
    next_option,
    next_parameter,
    read_startup,
)

from howdah import __version__
from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    PROTOCOL_3_2 = 196610
    LARGEST_STARTUP = 10000
    LARGEST_WELCOME = 16384
    LARGEST_CHANGE = 98304  # the query that applies a client's settings
    AUTHENTICATION_OK = 0

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_CLIENT_LOGIN = EventKind.CLIENT_LOGIN
cdef uint8_t EVENT_SERVER_LOGIN = EventKind.SERVER_LOGIN
cdef uint8_t EVENT_SERVER_REFUSED = EventKind.SERVER_REFUSED
cdef uint8_t EVENT_CONSOLE_OPEN = EventKind.CONSOLE_OPEN
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int CLIENT_RESET = NUMBERS["client_reset"]
cdef int TOO_SHORT = NUMBERS["startup_too_short"]
cdef int TOO_LONG = NUMBERS["startup_too_long"]
cdef int MALFORMED = NUMBERS["startup_malformed"]
cdef int NO_USER = NUMBERS["startup_no_user"]
cdef int BAD_VERSION = NUMBERS["protocol_version"]
cdef int REPLICATION = NUMBERS["replication_unsupported"]
cdef int NO_DATABASE = NUMBERS["no_such_database"]
cdef int CONSOLE_DENIED = NUMBERS["console_denied"]
cdef int TOO_MANY = NUMBERS["max_client_conn"]
cdef int BAD_PARAMETERS = NUMBERS["startup_parameters"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int UNREACHABLE = NUMBERS["server_unreachable"]
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]
cdef int AUTH_UNSUPPORTED = NUMBERS["server_auth_unsupported"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]

# Drivers read a PostgreSQL version from the front and choose what they ask by it.
cdef bytes console_version = f"18.0 (howdah {__version__})".encode()
cdef const char *CONSOLE_VERSION = console_version


# ---- a client's way in ---------------------------------------------------------------------------------------------

cdef void client_startup(Worker *w, Client *client) noexcept nogil:
    """Bytes have come from a client that has not sent its StartupMessage (whole) yet."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    cdef size_t got = 0
    cdef FillVerdict verdict = conn_fill(&client.conn, w.buffer + have, LARGEST_STARTUP, &got)
    if verdict == FILL_AGAIN:
        return
    if verdict != FILL_DATA:
        client_leave(w, client, CLIENT_EOF if verdict == FILL_EOF else CLIENT_RESET, strerror(client.conn.error))
        return
    unhold(&w.slab, &client.held, w.buffer)
    opening_packets(w, client, w.buffer, have + got)


cdef void opening_packets(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """SSLRequest and GSSENCRequest, each at most once, then a CancelRequest or a StartupMessage."""
    cdef Startup packet
    cdef StartupVerdict verdict
    while True:
        verdict = read_startup(data, size, &packet)
        if verdict == STARTUP_SSL and not client.asked_ssl:
            client.asked_ssl = True
        elif verdict == STARTUP_GSSENC and not client.asked_gssenc:
            client.asked_gssenc = True
        else:
            break
        if conn_send(&w.slab, &client.conn, b"N", 1) == SEND_ERROR:
            client_leave(w, client, CLIENT_RESET, strerror(client.conn.error))
            return
        data += packet.size
        size -= packet.size
    if verdict == STARTUP_MESSAGE:
        route(w, client, &packet, data, size)
    elif verdict == STARTUP_NEED_MORE:
        if not hold(&w.slab, &client.held, data, size):
            client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif verdict == STARTUP_CANCEL:
        pass_cancel(w, client, &packet)
    else:
        refuse_startup(w, client, verdict, &packet)


cdef void refuse_startup(Worker *w, Client *client, StartupVerdict verdict, const Startup *packet) noexcept nogil:
    cdef char[32] version
    cdef int reason = MALFORMED
    version[0] = 0
    if verdict == STARTUP_BAD_CANCEL:
        client_leave(w, client, MALFORMED, b"")  # a cancel request is never answered
        return
    if verdict == STARTUP_TOO_SHORT:
        reason = TOO_SHORT
    elif verdict == STARTUP_TOO_LONG:
        reason = TOO_LONG
    elif verdict == STARTUP_NO_USER:
        reason = NO_USER
    elif verdict != STARTUP_MALFORMED:
        reason = BAD_VERSION
        snprintf(version, sizeof(version), b"%u.%u", packet.code >> 16, packet.code & 0xFFFF)
    client_refuse(w, client, reason, version)


cdef void pass_cancel(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """Hand a CancelRequest to the worker of the client it is about; this connection is closed when it is done."""
    cdef int owner = worker_of_pid(packet.pid)
    cdef Mail *mail = NULL
    if 0 <= owner < w.shared.worker_count and packet.secret_size <= SECRET_SIZE:
        mail = mail_new(MAIL_CANCEL)
    if mail == NULL:
        client_leave(w, client, NONE, b"")
        return
    client_move(client, CLIENT_CANCEL)
    client_watch_deadline(client)
    mail.client = client
    mail.client_id = client.id
    mail.from_worker = w.index
    mail.pid = packet.pid
    mail.size = packet.secret_size
    memcpy(mail.secret, packet.secret, packet.secret_size)
    mail_send(&w.shared.workers[owner], mail)


cdef bint truth(const char *text) noexcept nogil:
    """Does `replication` ask for anything?  (false, off, no and 0 do not.)"""
    return not (text == NULL or text[0] == 0 or strcmp(text, "false") == 0 or strcmp(text, "off") == 0
                or strcmp(text, "no") == 0 or strcmp(text, "0") == 0)


cdef void route(Worker *w, Client *client, Startup *packet, const uint8_t *data, size_t size) noexcept nogil:
    """The StartupMessage is there: which pool is it for?"""
    cdef Route *found
    client.version = packet.code
    if truth(packet.replication):
        client_refuse(w, client, REPLICATION, b"")
        return
    if strcmp(packet.database, "pgbouncer") == 0:
        open_console(w, client, packet)
        return
    client.counted = True
    if add_i32(&w.shared.client_count, 1) > w.plan.max_client_conn:
        client_refuse(w, client, TOO_MANY, b"")
        return
    found = find_route(w.plan, packet.database)
    if found == NULL:
        client_refuse(w, client, NO_DATABASE, packet.database)
        return
    client.pool = join_pool(w, found, packet.database, packet.user)
    if client.pool == NULL:
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return
    settle(w, client, packet, data, size)


cdef void terms_of(const CPlan *plan, const Route *found, const UserRule *rule, PoolTerms *terms) noexcept nogil:
    """The numbers for a pool: the user's own, else the database's.  The names are the caller's to fill in."""
    terms.route = <void *>found
    terms.forced_user = found.force_user != NULL
    terms.size = found.pool_size
    terms.min_size = found.min_pool_size
    terms.reserve = found.reserve_pool_size
    terms.mode = found.mode
    terms.max_db_connections = found.max_db_connections
    terms.max_user_connections = plan.max_user_connections
    terms.server_lifetime_us = found.server_lifetime_us
    if rule != NULL:
        if rule.pool_size >= 0:
            terms.size = rule.pool_size
        if rule.reserve_pool_size >= 0:
            terms.reserve = rule.reserve_pool_size
        if rule.mode >= 0:
            terms.mode = <uint8_t>rule.mode
        if rule.max_user_connections >= 0:
            terms.max_user_connections = rule.max_user_connections


cdef void pool_terms_of(CPlan *plan, Route *found, const char *database, const char *user,
                        PoolTerms *terms) noexcept nogil:
    """Everything the plan says of the pool of `database` and `user`."""
    cdef const char *server_user = found.force_user if found.force_user != NULL else user
    terms_of(plan, found, find_user(plan, server_user), terms)
    terms.database = database
    terms.user = server_user
    terms.server_user = server_user
    terms.server_database = found.dbname if found.dbname != NULL else database


cdef Pool *join_pool(Worker *w, Route *found, const char *database, const char *user) noexcept nogil:
    cdef PoolTerms terms
    pool_terms_of(w.plan, found, database, user, &terms)
    return pool_join(&w.shared.pools, &terms)


cdef bint draft_settings(Worker *w, Draft *draft, Startup *packet, char *scratch) noexcept nogil:
    """The settings in a StartupMessage; `scratch` has room for as many bytes as the packet has."""
    cdef const char *at = packet.parameters
    cdef const char *end = at + packet.parameters_size
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef const char *option = NULL
    draft_init(draft)
    while next_parameter(&at, end, &name, &value):
        if (strcmp(name, "user") == 0 or strcmp(name, "database") == 0 or strcmp(name, "replication") == 0
                or strncmp(name, "_pq_.", 5) == 0 or listed(w.plan.ignored_parameters, name)):
            continue
        if strcmp(name, "options") != 0:
            if not draft_set(draft, name, value):
                return False
            continue
        option = value
        while next_option(&option, &scratch, &name, &value):
            if not listed(w.plan.ignored_parameters, name) and not draft_set(draft, name, value):
                return False
        if option != NULL:
            return False
    return True


cdef void settle(Worker *w, Client *client, Startup *packet, const uint8_t *data, size_t size) noexcept nogil:
    """The client's settings are taken up; where they are new to the pool, a server is asked what they come to."""
    cdef char[LARGEST_STARTUP] scratch
    cdef Draft draft
    cdef uint8_t[LARGEST_STARTUP] early
    cdef Writer w_early
    if not draft_settings(w, &draft, packet, scratch):
        client_refuse(w, client, BAD_PARAMETERS, b"")
        return
    client.settings = settings_new(&draft)
    if client.settings == NULL:
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return
    client.first_settings = settings_hold(client.settings)
    if packet.code > PROTOCOL_3_2 or packet.unknown_options:
        w_early = writer(early, sizeof(early))
        compose_negotiate(&w_early, min(packet.code, <uint32_t>PROTOCOL_3_2), packet.parameters,
                          packet.parameters_size, packet.unknown_options)
        conn_send(&w.slab, &client.conn, early, w_early.used)
        client.version = min(packet.code, <uint32_t>PROTOCOL_3_2)
    if not hold(&w.slab, &client.held, data + packet.size, size - packet.size):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return
    if not let_in(w, client):
        wait_for_welcome(w, client)


cdef bint let_in(Worker *w, Client *client) noexcept nogil:
    """Answer the login; False: what the pool's servers say to these settings is not known yet."""
    cdef uint8_t[LARGEST_WELCOME] data
    cdef Writer message = writer(data, sizeof(data))
    compose_authentication_ok(&message)
    if not write_welcome(&w.shared.pools, client.pool, client.settings, &message):
        return False
    make_key(w, client, &message)
    compose_ready(&message, tags.IDLE)
    relaxed_add_u64(&client.pool.tallies[w.index].logins, 1)
    client_move(client, CLIENT_IDLE)
    client.request_us = w.now_us
    if not message.ok or conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_leave(w, client, CLIENT_RESET, strerror(client.conn.error))
        return True
    if w.plan.log_connections:
        tell_client(w, EVENT_CLIENT_LOGIN, client, NONE, NULL, 0)
    watch_client(w, client)
    client_watch_deadline(client)
    if client.held != NULL or w.draining:
        set_ready(client)
    return True


cdef void make_key(Worker *w, Client *client, Writer *message) noexcept nogil:
    """A cancel key: four bytes of secret, or thirty-two where the protocol version has room for them."""
    cdef uint32_t size = SECRET_SIZE if client.version >= PROTOCOL_3_2 else 4
    if not random_bytes(w, client.secret):
        return
    client.cancel_pid = cancel_pid(w.index, client.slot)
    compose_backend_key_data(message, client.cancel_pid, client.secret, size)


cdef bint random_bytes(Worker *w, uint8_t *secret) noexcept nogil:
    """SECRET_SIZE bytes of the system's randomness, of which a worker fetches many at once and uses each once."""
    if w.randomness_left == 0:
        if not new_secret(w.randomness, sizeof(w.randomness)):
            return False
        w.randomness_left = sizeof(w.randomness)
    w.randomness_left -= SECRET_SIZE
    memcpy(secret, w.randomness + w.randomness_left, SECRET_SIZE)
    memset(w.randomness + w.randomness_left, 0, SECRET_SIZE)
    return True


cdef void wait_for_welcome(Worker *w, Client *client) noexcept nogil:
    cdef TakeVerdict verdict
    cdef Pool *pool = client.pool
    client_move(client, CLIENT_LOGIN_WAITING)
    verdict = take(&w.shared.pools, pool, &client.line, w.now_us)
    if verdict == TAKE_REFUSED:
        client_refused_by_pool(w, client)
        return
    client.owed = True
    if verdict == TAKE_GOT:
        if client.line.moved_from != w.index:
            conn_unwatch(w.shared.workers[client.line.moved_from].epoll_fd,
                         &(<Server *>client.line.granted.owner).conn)
        set_ready(client)
        return
    client_watch_deadline(client)
    if verdict == TAKE_OPEN:
        open_server(w, pool)


cdef void login_granted(Worker *w, Client *client) noexcept nogil:
    """A server has been granted to a client in CLIENT_LOGIN_WAITING: apply the settings and see what it says."""
    cdef Server *server = <Server *>client.line.granted.owner
    client.line.granted = NULL
    client.owed = False
    adopt(w, server)
    client_move(client, CLIENT_LOGIN_ACTIVE)
    server_move(server, SERVER_ACTIVE)
    client.server = server
    server.client = client
    client_watch_deadline(client)
    if server.settings == client.settings:
        login_answered(w, client)
    else:
        apply_settings(w, client, server)


cdef bint apply_settings(Worker *w, Client *client, Server *server) noexcept nogil:
    """Send the query that brings the server to its client's settings; False: the client is gone."""
    cdef uint8_t[LARGEST_CHANGE] data
    cdef Writer message = writer(data, sizeof(data))
    compose_change(&message, server.settings, client.settings)
    if (not message.ok or not expect(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW)
            or (conn_send(&w.slab, &server.conn, data, message.used) == SEND_ERROR and server.conn.error == ENOMEM)):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return False
    watch_server(w, server)
    settings_drop(server.settings)
    server.settings = settings_hold(client.settings)
    return True


cdef void login_answered(Worker *w, Client *client) noexcept nogil:
    """The server has taken the client's settings: its ParameterStatus values are the client's."""
    cdef Server *server = client.server
    keep_welcome(&w.shared.pools, client.pool, client.settings, server.parameters, server.parameters_size, False)
    unlink_and_recycle(w, server)
    if not let_in(w, client):
        wait_for_welcome(w, client)  # a server of another version has made it void meanwhile


cdef void client_refused_by_pool(Worker *w, Client *client) noexcept nogil:
    """The pool's servers cannot log in: the client gets PostgreSQL's own words."""
    cdef char[6] sqlstate
    cdef char[256] text
    pthread_mutex_lock(&w.shared.pools.lock)
    memcpy(sqlstate, client.pool.failure_sqlstate, sizeof(sqlstate))
    memcpy(text, client.pool.failure, sizeof(text))
    pthread_mutex_unlock(&w.shared.pools.lock)
    client_refuse_text(w, client, LOGIN_FAILED, sqlstate, text)


cdef void open_console(Worker *w, Client *client, Startup *packet) noexcept nogil:
    """Database "pgbouncer": the control plane answers, this connection only carries the bytes."""
    cdef uint8_t[512] data
    cdef Writer message = writer(data, sizeof(data))
    if w.plan.console_users[0] and not listed(w.plan.console_users, packet.user):
        client_refuse(w, client, CONSOLE_DENIED, packet.user)
        return
    compose_authentication_ok(&message)
    compose_parameter_status(&message, "server_version", CONSOLE_VERSION)
    compose_parameter_status(&message, "client_encoding", "UTF8")
    compose_parameter_status(&message, "server_encoding", "UTF8")
    compose_parameter_status(&message, "DateStyle", "ISO, MDY")
    compose_parameter_status(&message, "TimeZone", "UTC")
    compose_parameter_status(&message, "standard_conforming_strings", "on")
    compose_parameter_status(&message, "integer_datetimes", "on")
    compose_parameter_status(&message, "is_superuser", "on")
    make_key(w, client, &message)
    compose_ready(&message, tags.IDLE)
    client_move(client, CLIENT_CONSOLE)
    tell_client(w, EVENT_CONSOLE_OPEN, client, NONE, packet.parameters, packet.parameters_size)
    if conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_leave(w, client, CLIENT_RESET, strerror(client.conn.error))
        return
    watch_client(w, client)


# ---- a server's way in ---------------------------------------------------------------------------------------------

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


cdef const Endpoint *next_endpoint(Pool *pool) noexcept nogil:
    """The database's addresses in turn."""
    cdef Route *found = <Route *>pool.route
    pool.next_endpoint += 1
    return &found.endpoints[pool.next_endpoint % found.endpoint_count]


cdef void open_server(Worker *w, Pool *pool) noexcept nogil:
    """Open one more server; room for it has been reserved in the pool."""
    cdef const Endpoint *endpoint = NULL
    cdef char[200] problem
    cdef Server *server = server_new(w)
    if server == NULL:
        unreserve(&w.shared.pools, pool)
        return
    snprintf(problem, sizeof(problem), b"the database has been removed")
    pthread_mutex_lock(&w.shared.pools.lock)  # what the plan holds may be gone behind it
    if pool.route != NULL and (<Route *>pool.route).endpoint_count:
        endpoint = next_endpoint(pool)
        server.endpoint = strdup(endpoint.text)
        server.sockaddr_size = endpoint.size
        memcpy(server.sockaddr, endpoint.sockaddr, min(<size_t>endpoint.size, sizeof(server.sockaddr)))
    elif pool.route != NULL:
        snprintf(problem, sizeof(problem), b"%s", (<Route *>pool.route).resolve_error)
    pthread_mutex_unlock(&w.shared.pools.lock)
    opened(&w.shared.pools, pool, &server.pooled, w.index, w.now_us)
    if endpoint == NULL:
        server_login_failed(w, server, UNREACHABLE, False, b"08001", problem)
    else:
        start_connecting(w, server)


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
    cdef WaitingClient *waiting = open_failed(&w.shared.pools, server.pooled.pool, refused, sqlstate, message, w.now_us)
    cdef Client *client
    while waiting != NULL:
        client = <Client *>waiting.owner
        waiting = waiting.next
        client.mail.kind = MAIL_REFUSED
        mail_send(&w.shared.workers[client.line.worker], &client.mail)
    tell_server(w, EVENT_SERVER_REFUSED, server, reason, message, strlen(message))
    server_lost(w, server, NONE, b"")


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
    verdict = conn_fill(&server.conn, w.buffer + have, READ_SIZE, &got)
    if verdict == FILL_AGAIN:
        return
    if verdict == FILL_EOF:
        server_login_failed(w, server, UNREACHABLE, False, b"08001",
                            b"PostgreSQL closed the connection in the middle of the login")
        return
    if verdict != FILL_DATA:
        unreachable(w, server, server.conn.error)
        return
    unhold(&w.slab, &server.held, w.buffer)
    login_messages(w, server, w.buffer, have + got)


cdef void connected(Worker *w, Server *server) noexcept nogil:
    """Connected or not; then say who we are."""
    cdef uint8_t[LARGEST_STARTUP] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Pool *pool = server.pooled.pool
    cdef Route *found
    cdef int error = 0
    cdef socklen_t size = sizeof(error)
    getsockopt(server.conn.fd, SOL_SOCKET, SO_ERROR, &error, &size)
    if error:
        unreachable(w, server, error)
        return
    pthread_mutex_lock(&w.shared.pools.lock)  # a new plan may be on its way
    found = <Route *>pool.route
    if found != NULL:
        compose_startup(&message, pool.server_user, pool.server_database, found.startup, found.startup_size)
    pthread_mutex_unlock(&w.shared.pools.lock)
    if found == NULL:
        server_login_failed(w, server, UNREACHABLE, False, b"08001", b"the database has been removed")
        return
    if not message.ok:
        server_login_failed(w, server, LOGIN_FAILED, True, b"08P01", b"the names of user and database are too long")
        return
    server_move(server, SERVER_LOGIN)
    if conn_send(&w.slab, &server.conn, data, message.used) == SEND_ERROR:
        unreachable(w, server, server.conn.error)
        return
    conn_watch(w.epoll_fd, &server.conn, EPOLLIN | (EPOLLOUT if server.conn.out.size else 0))


cdef void login_messages(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    cdef size_t pos = 0
    cdef bint ready = False
    cdef Frame frame
    cdef FrameVerdict verdict
    while pos < size:
        verdict = next_frame(data + pos, size - pos, &frame)
        if verdict == FRAME_NEED_HEADER or (verdict == FRAME_PART and frame.size <= READ_SIZE):
            break
        if verdict != FRAME_WHOLE:
            server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", b"a message of impossible length at login")
            return
        pos += frame.size
        if frame.tag == tags.READY_FOR_QUERY:
            ready = True
            break  # what is behind it is for the relay
        if not login_message(w, server, frame.tag, data + pos - frame.size + 5, frame.size - 5):
            return
    if not hold(&w.slab, &server.held, data + pos, size - pos):
        server_login_failed(w, server, OUT_OF_MEMORY, False, b"53200", b"out of memory")
    elif ready:
        server_ready(w, server)


cdef bint login_message(Worker *w, Server *server, uint8_t tag, const uint8_t *body, size_t size) noexcept nogil:
    """One message of the server's side of the login; False: the server is gone."""
    cdef ErrorFields error
    cdef Reader r
    cdef uint32_t method
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef const uint8_t *secret = NULL
    cdef uint32_t pid = 0
    cdef uint32_t secret_size = 0
    cdef char[64] text
    if tag == tags.AUTHENTICATION:
        r = reader(body, size)
        method = read_u32(&r)
        if r.ok and method == AUTHENTICATION_OK:
            return True
        snprintf(text, sizeof(text), b"method %u", method)
        server_login_failed(w, server, AUTH_UNSUPPORTED, True, b"28000", text)
        return False
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
        # Class 28 is about the user, 3D about the database: trying again soon is of no use, for anybody.
        server_login_failed(w, server, LOGIN_FAILED, strncmp(error.sqlstate, "28", 2) == 0
                            or strncmp(error.sqlstate, "3D", 2) == 0 or strncmp(error.sqlstate, "42", 2) == 0,
                            error.sqlstate, error.message)
        return False
    snprintf(text, sizeof(text), b"message type %d at login", <int>tag)
    server_login_failed(w, server, SERVER_PROTOCOL, False, b"08P01", text)
    return False


cdef void server_ready(Worker *w, Server *server) noexcept nogil:
    """Logged in: its parameters are what clients will be told; then to the first who waits."""
    cdef Draft none
    draft_init(&none)
    timer_disarm(&server.timer)
    server.settings = settings_new(&none)
    if server.settings != NULL:
        keep_welcome(&w.shared.pools, server.pooled.pool, server.settings, server.parameters,
                     server.parameters_size, True)
    tell_server(w, EVENT_SERVER_LOGIN, server, NONE, NULL, 0)
    w.open_wanted = True  # where this was the first, others need not hold back any more
    recycle(w, server)
