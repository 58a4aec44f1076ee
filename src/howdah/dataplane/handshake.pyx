"""A client's way in.

One of the modules that tell the story.  In this order: `client_startup` (a PROXY header, TLS and other packets until
the StartupMessage), `take_up` (may it try to log in at all?), `proof` (who is it?), `admit` (which pool is it for?),
`settle` (its settings, and what a server says of them), `let_in`.  Called by `worker`, `listener` and `proof`.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strcmp, strlen, strncmp

from howdah.cdefs.atomics cimport add_i32, relaxed_add_u64
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.cdefs.sockets cimport AF_INET, AF_INET6, AF_UNIX, inet_ntop
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.access cimport networks_have
from howdah.dataplane.buffers cimport block_data, hold, unhold
from howdah.dataplane.cancels cimport cancel_pid, new_secret, worker_of_pid
from howdah.dataplane.client cimport client_move, client_watch_deadline, logging_in, login_free, set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_accept_tls,
    conn_feed,
    conn_fill,
    conn_flush,
    conn_problem,
    conn_secure,
    conn_send,
    conn_unwatch,
    conn_watch,
)
from howdah.dataplane.mailbox cimport mail_new, mail_send, tell_client
from howdah.dataplane.parties cimport (
    CLIENT_CANCEL,
    CLIENT_CONSOLE,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    MAIL_CANCEL,
    READ_SIZE,
    SECRET_SIZE,
    SERVER_ACTIVE,
    Client,
    Login,
    Mail,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport (
    JOIN_DATABASE_FULL,
    JOIN_DONE,
    JOIN_USER_FULL,
    TAKE_GOT,
    TAKE_OPEN,
    TAKE_REFUSED,
    JoinVerdict,
    Pool,
    PoolTerms,
    TakeVerdict,
    pool_join,
    pool_secret,
    take,
)
from howdah.dataplane.proof cimport ask_for_proof
from howdah.dataplane.recycle cimport (
    adopt,
    client_leave,
    client_refuse,
    client_refuse_text,
    unlink_and_recycle,
    watch_client,
    watch_server,
)
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, expect
from howdah.dataplane.routes cimport (
    TLS_DISABLE,
    TLS_REQUIRE,
    CPlan,
    Route,
    UserRule,
    find_route,
    find_user,
    listed,
)
from howdah.dataplane.server cimport server_move
from howdah.dataplane.server_login cimport open_server
from howdah.dataplane.session_state cimport (
    Draft,
    compose_change,
    draft_init,
    draft_set,
    settings_drop,
    settings_hold,
    settings_new,
)
from howdah.dataplane.tls cimport tls_give_ticket, tls_speaks_postgresql
from howdah.dataplane.turnstile cimport TURN_ADDRESS, TURN_USER, turnstile_admit
from howdah.dataplane.welcome cimport keep_welcome, write_welcome
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport (
    compose_authentication_data,
    compose_authentication_ok,
    compose_backend_key_data,
    compose_negotiate,
    compose_parameter_status,
    compose_ready,
)
from howdah.wire.proxy_header cimport (
    PROXY_MALFORMED,
    PROXY_NEED_MORE,
    PROXY_OK,
    ProxyHeader,
    ProxyVerdict,
    read_proxy_header,
)
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
    TLS_HANDSHAKE = 0x16  # first byte of a ClientHello's record
    SASL_FINAL = 12

cdef extern from "<strings.h>" nogil:
    int strcasecmp(const char *a, const char *b) noexcept

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_CLIENT_LOGIN = EventKind.CLIENT_LOGIN
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
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]
cdef int TLS_REQUIRED = NUMBERS["tls_required"]
cdef int TLS_FAILED = NUMBERS["tls_failed"]
cdef int TLS_STUFFED = NUMBERS["tls_data_before_handshake"]
cdef int TLS_NOT_OFFERED = NUMBERS["tls_not_offered"]
cdef int TLS_ALPN = NUMBERS["tls_alpn"]
cdef int PROXY_HEADER = NUMBERS["proxy_header"]
cdef int PROXY_DENIED = NUMBERS["proxy_denied"]
cdef int LOGIN_RATE = NUMBERS["login_rate"]
cdef int TOO_MANY_LOGINS = NUMBERS["max_concurrent_logins"]
cdef int TOO_MANY_FOR_DATABASE = NUMBERS["max_db_client_connections"]
cdef int TOO_MANY_FOR_USER = NUMBERS["max_user_client_connections"]

# Drivers read a PostgreSQL version from the front and choose what they ask by it.
cdef bytes console_version = f"18.0 (howdah {__version__})".encode()
cdef const char *CONSOLE_VERSION = console_version


# ---- a client's way in ---------------------------------------------------------------------------------------------

cdef void client_startup(Worker *w, Client *client) noexcept nogil:
    """Bytes have come from a client that has not sent its StartupMessage (whole) yet."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    cdef size_t got = 0
    cdef FillVerdict verdict = conn_fill(&w.slab, &client.conn, w.buffer + have, READ_SIZE, &got)
    if verdict == FILL_AGAIN:
        watch_login(w, client)
        return
    if verdict != FILL_DATA:
        opening_ended(w, client, verdict)
        return
    unhold(&w.slab, &client.held, w.buffer)
    first_bytes(w, client, w.buffer, have + got)


cdef void watch_login(Worker *w, Client *client) noexcept nogil:
    """Wait for more from a client that is not in yet."""
    if not conn_watch(w.login_fd, &client.conn, EPOLLIN | EPOLLRDHUP | (EPOLLOUT if client.conn.out.size else 0)):
        client_leave(w, client, OUT_OF_MEMORY, b"")


cdef void opening_ended(Worker *w, Client *client, FillVerdict verdict) noexcept nogil:
    """The connection is over before there was a StartupMessage."""
    if verdict == FILL_EOF:
        client_leave(w, client, CLIENT_EOF, b"")
    else:
        client_leave(w, client, TLS_FAILED if client.conn.tls != NULL else CLIENT_RESET, conn_problem(&client.conn))


cdef void first_bytes(Worker *w, Client *client, uint8_t *data, size_t size) noexcept nogil:
    """A PROXY header where one is due, then TLS at once or the opening packets."""
    cdef ProxyHeader header
    cdef ProxyVerdict verdict
    cdef const char *problem = b""
    if client.proxied:
        verdict = read_proxy_header(data, size, &header, &problem)
        if not networks_have(w.plan.proxies, client.peer.family, client.peer.address):
            client_leave(w, client, PROXY_DENIED, b"")
            return
        if verdict == PROXY_MALFORMED:
            client_leave(w, client, PROXY_HEADER, problem)
            return
        if verdict == PROXY_NEED_MORE:
            keep_opening(w, client, data, size)
            return
        client.proxied = False
        if verdict == PROXY_OK:
            client.peer.family = header.family
            client.peer.port = header.source_port
            memcpy(client.peer.address, header.source, sizeof(header.source))
        data += header.size
        size -= header.size
    if size and data[0] == TLS_HANDSHAKE and client.conn.tls == NULL and not client.asked_ssl:
        begin_direct_tls(w, client, data, size)
    else:
        opening_packets(w, client, data, size)


cdef void keep_opening(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    if hold(&w.slab, &client.held, data, size):
        watch_login(w, client)
    else:
        client_refuse(w, client, OUT_OF_MEMORY, b"")


cdef void begin_direct_tls(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """The client begins with its handshake (sslnegotiation=direct), the first bytes of which are here."""
    cdef size_t got = 0
    cdef FillVerdict verdict
    if w.plan.client_context == NULL or client.peer.family == AF_UNIX:
        client_leave(w, client, TLS_NOT_OFFERED, b"")
        return
    client.direct_tls = client.asked_ssl = client.asked_gssenc = True
    if not conn_accept_tls(&client.conn, w.plan.client_context):
        client_leave(w, client, OUT_OF_MEMORY, b"")
        return
    verdict = conn_feed(&w.slab, &client.conn, data, size, w.buffer, 2 * READ_SIZE, &got)
    if verdict == FILL_DATA:
        opening_packets(w, client, w.buffer, got)
    elif verdict == FILL_AGAIN:
        watch_login(w, client)
    else:
        opening_ended(w, client, verdict)


cdef void opening_packets(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """SSLRequest and GSSENCRequest, each at most once, then a CancelRequest or a StartupMessage."""
    cdef Startup packet
    cdef StartupVerdict verdict
    cdef bint to_tls
    if client.direct_tls and not tls_speaks_postgresql(client.conn.tls):
        client_leave(w, client, TLS_ALPN, b"")
        return
    while True:
        verdict = read_startup(data, size, &packet)
        to_tls = False
        if verdict == STARTUP_SSL and not client.asked_ssl:
            client.asked_ssl = True
            to_tls = w.plan.client_context != NULL and client.peer.family != AF_UNIX
        elif verdict == STARTUP_GSSENC and not client.asked_gssenc:
            client.asked_gssenc = True
        else:
            break
        if conn_send(&w.slab, &client.conn, b"S" if to_tls else b"N", 1) == SEND_ERROR:
            client_leave(w, client, CLIENT_RESET, conn_problem(&client.conn))
            return
        data += packet.size
        size -= packet.size
        if to_tls:
            begin_tls(w, client, size)
            return
    if verdict == STARTUP_MESSAGE:
        take_up(w, client, &packet, data, size)
    elif verdict == STARTUP_NEED_MORE:
        keep_opening(w, client, data, size)
    elif verdict == STARTUP_CANCEL:
        pass_cancel(w, client, &packet)
    else:
        refuse_startup(w, client, verdict, &packet)


cdef void begin_tls(Worker *w, Client *client, size_t behind) noexcept nogil:
    """The client has been told to go on with TLS.  What it sent before that, somebody else may have put there."""
    if behind:
        client_refuse(w, client, TLS_STUFFED, b"")
    elif not conn_accept_tls(&client.conn, w.plan.client_context):
        client_leave(w, client, OUT_OF_MEMORY, b"")
    else:
        watch_login(w, client)


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
    watch_client(w, client)
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


cdef void take_up(Worker *w, Client *client, const Startup *packet, const uint8_t *data, size_t size) noexcept nogil:
    """The StartupMessage is there: may this client try to log in?"""
    client.version = packet.code
    if not begin_login(w, client, packet, data, size):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif truth(packet.replication):
        client_refuse(w, client, REPLICATION, b"")
    elif w.plan.client_tls >= TLS_REQUIRE and client.peer.family != AF_UNIX and not conn_secure(&client.conn):
        client_refuse(w, client, TLS_REQUIRED, b"")
    elif 0 < w.plan.max_concurrent_logins < w.shared.login_count:
        client_refuse(w, client, TOO_MANY_LOGINS, b"")
    elif not count_client(w, client, packet):
        client_refuse(w, client, TOO_MANY, b"")
    elif in_time(w, client, packet):
        ask_for_proof(w, client, packet)


cdef bint begin_login(Worker *w, Client *client, const Startup *packet, const uint8_t *data, size_t size) noexcept nogil:
    """Keep the packet for as long as the login takes, and what came behind it for later.  False: out of memory."""
    cdef Login *login = <Login *>calloc(1, sizeof(Login))
    if login == NULL:
        return False
    add_i32(&w.shared.login_count, 1)
    client.login = login
    login.packet_size = packet.size
    return (hold(&w.slab, &login.kept, data, packet.size)
            and hold(&w.slab, &client.held, data + packet.size, size - packet.size))


cdef bint count_client(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """Under max_client_conn; the console's do not count."""
    if strcmp(packet.database, "pgbouncer") == 0:
        return True
    client.counted = True
    return add_i32(&w.shared.client_count, 1) <= w.plan.max_client_conn


cdef bint in_time(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """Are this address's and this user's logins few enough?  False: the client has been refused."""
    cdef uint8_t[16] address
    cdef size_t size = address_key(client, address)
    cdef char[100] who
    cdef char[64] host
    if size and not turnstile_admit(&w.shared.turnstile, TURN_ADDRESS, address, size, w.plan.login_rate_per_address,
                                    w.now_us):
        print_address(client, host, sizeof(host))
        snprintf(who, sizeof(who), b"address %s (login_rate_per_address)", host)
    elif not turnstile_admit(&w.shared.turnstile, TURN_USER, packet.user, strlen(packet.user),
                             w.plan.login_rate_per_user, w.now_us):
        snprintf(who, sizeof(who), b"user \"%.48s\" (login_rate_per_user)", packet.user)
    else:
        return True
    client_refuse(w, client, LOGIN_RATE, who)
    return False


cdef size_t address_key(const Client *client, uint8_t *to) noexcept nogil:
    """What addresses are counted by: all of an IPv4 one, the network of an IPv6 one.  0: a Unix socket."""
    cdef size_t size = 4 if client.peer.family == AF_INET else 8 if client.peer.family == AF_INET6 else 0
    memcpy(to, client.peer.address, size)
    return size


cdef void print_address(const Client *client, char *to, size_t size) noexcept nogil:
    if client.peer.family == AF_UNIX or inet_ntop(client.peer.family, client.peer.address, to, <uint32_t>size) == NULL:
        snprintf(to, size, b"[local]")


cdef void admit(Worker *w, Client *client) noexcept nogil:
    """The client is who it says it is: which pool is it for?"""
    cdef Login *login = client.login
    cdef Route *found
    cdef Startup packet
    read_startup(block_data(login.kept), login.packet_size, &packet)
    if strcmp(packet.database, "pgbouncer") == 0:
        open_console(w, client, &packet)
        return
    found = find_route(w.plan, packet.database)
    if found == NULL:
        client_refuse(w, client, NO_DATABASE, packet.database)
        return
    if not join_pool(w, client, found, &packet):
        return
    if found.force_user == NULL:
        pool_secret(&w.shared.pools, client.pool, login.secret, login.client_key if login.has_client_key else NULL)
    settle(w, client, &packet)


cdef void terms_of(const CPlan *plan, const Route *found, const UserRule *rule, PoolTerms *terms) noexcept nogil:
    """The numbers for a pool: the user's own, else the database's.  The names are the caller's to fill in."""
    terms.route = <void *>found
    terms.forced_user = found.force_user != NULL
    terms.fallback = found == plan.fallback
    terms.size = found.pool_size
    terms.min_size = found.min_pool_size
    terms.reserve = found.reserve_pool_size
    terms.mode = found.mode
    terms.max_db_connections = found.max_db_connections
    terms.max_user_connections = plan.max_user_connections
    terms.server_lifetime_us = found.server_lifetime_us
    terms.max_db_clients = found.max_db_client_connections
    terms.max_user_clients = plan.max_user_client_connections
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


cdef bint join_pool(Worker *w, Client *client, Route *found, const Startup *packet) noexcept nogil:
    """False: the client has been refused."""
    cdef PoolTerms terms
    cdef JoinVerdict verdict
    cdef UserRule *rule = find_user(w.plan, packet.user)
    pool_terms_of(w.plan, found, packet.database, packet.user, &terms)
    if rule != NULL and rule.max_user_client_connections >= 0:
        terms.max_user_clients = rule.max_user_client_connections  # of the user at hand, whoever is forced
    verdict = pool_join(&w.shared.pools, &terms, packet.user, w.now_us, &client.pool, &client.user)
    if verdict == JOIN_DONE:
        return True
    if verdict == JOIN_DATABASE_FULL:
        client_refuse(w, client, TOO_MANY_FOR_DATABASE, packet.database)
    elif verdict == JOIN_USER_FULL:
        client_refuse(w, client, TOO_MANY_FOR_USER, packet.user)
    else:
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    return False


cdef bint add_host(Worker *w, Client *client, Draft *draft, char *name, size_t room) noexcept nogil:
    """application_name_add_host: who connects is shown behind the name, which `name` has room for."""
    cdef const char *own = b"app"
    cdef char[64] host
    if not w.plan.application_name_add_host:
        return True
    for i in range(draft.count):
        if strcasecmp(draft.names[i], "application_name") == 0:
            own = draft.values[i]
    print_address(client, host, sizeof(host))
    if client.peer.family == AF_UNIX:
        snprintf(name, room, b"%.200s - unix", own)
    else:
        snprintf(name, room, b"%.200s - %s:%d", own, host, <int>client.peer.port)
    return draft_set(draft, "application_name", name)


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


cdef void settle(Worker *w, Client *client, Startup *packet) noexcept nogil:
    """The client's settings are taken up; where they are new to the pool, a server is asked what they come to."""
    cdef char[LARGEST_STARTUP] scratch
    cdef Draft draft
    cdef char[300] name
    cdef uint8_t[LARGEST_STARTUP] early
    cdef Writer w_early
    if not draft_settings(w, &draft, packet, scratch) or not add_host(w, client, &draft, name, sizeof(name)):
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
    if not let_in(w, client):
        wait_for_welcome(w, client)


cdef bint let_in(Worker *w, Client *client) noexcept nogil:
    """Answer the login; False: what the pool's servers say to these settings is not known yet."""
    cdef uint8_t[LARGEST_WELCOME] data
    cdef Writer message = writer(data, sizeof(data))
    if client.login.final_size:
        compose_authentication_data(&message, SASL_FINAL, client.login.final, client.login.final_size)
    compose_authentication_ok(&message)
    if not write_welcome(&w.shared.pools, client.pool, client.settings, &message):
        return False
    make_key(w, client, &message)
    compose_ready(&message, tags.IDLE)
    relaxed_add_u64(&client.pool.tallies[w.index].logins, 1)
    client_move(client, CLIENT_IDLE)
    login_free(client)
    client.request_us = w.now_us
    if client.conn.tls != NULL:
        tls_give_ticket(client.conn.tls)
    if not message.ok or conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_leave(w, client, CLIENT_RESET, conn_problem(&client.conn))
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
    watch_client(w, client)
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
    if not client.login.own and w.plan.console_users[0] and not listed(w.plan.console_users, packet.user):
        client_refuse(w, client, CONSOLE_DENIED, packet.user)
        return
    if client.login.final_size:
        compose_authentication_data(&message, SASL_FINAL, client.login.final, client.login.final_size)
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
    login_free(client)
    if conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_leave(w, client, CLIENT_RESET, conn_problem(&client.conn))
        return
    watch_client(w, client)
    if client.held != NULL:
        set_ready(client)
