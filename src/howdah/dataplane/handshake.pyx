"""A client's way in, from the moment it has proved who it is.

One of the modules that tell the story.  In this order: `admit` (which pool is it for?), `settle` (its settings, and
what a server says of them), `let_in`.  Called by `proof` and `worker`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset, strcmp, strlen, strncmp

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.cdefs.sockets cimport AF_INET6, AF_UNIX
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.cancels cimport KEY_SIZE, SECRET_SIZE, key_fill, key_give, new_secret
from howdah.dataplane.assignment cimport take_living
from howdah.dataplane.client cimport (
    client_move,
    client_watch_deadline,
    login_free,
    login_packet,
    print_address,
    set_ready,
)
from howdah.dataplane.conn cimport SEND_ERROR, conn_send
from howdah.dataplane.connecting cimport open_server
from howdah.dataplane.mailbox cimport tell_client, tell_reserve
from howdah.dataplane.parties cimport (
    CLIENT_CONSOLE,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    LEAVING,
    SERVER_ACTIVE,
    Client,
    Login,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport (
    JOIN_DATABASE_FULL,
    JOIN_DISABLED,
    JOIN_DONE,
    JOIN_USER_FULL,
    TAKE_GOT,
    TAKE_OPEN,
    TAKE_REFUSED,
    JoinVerdict,
    Pool,
    PoolTerms,
    TakeVerdict,
)
from howdah.dataplane.pool_terms cimport pool_join, pool_secret
from howdah.dataplane.recycle cimport (
    adopt,
    client_lost,
    client_refuse,
    client_refuse_text,
    unlink_and_recycle,
    watch_client,
)
from howdah.dataplane.routes cimport (
    CPlan,
    Route,
    UserRule,
    find_route,
    find_session_rules,
    find_time_limits,
    find_user,
    listed,
)
from howdah.dataplane.server cimport server_move
from howdah.dataplane.settling cimport is_settled, settle_now
from howdah.dataplane.session_state cimport (
    Draft,
    draft_init,
    draft_set,
    settings_hold,
    settings_new,
)
from howdah.dataplane.tls cimport tls_describe, tls_server_name
from howdah.dataplane.stats cimport Tally, observe
from howdah.dataplane.welcome cimport keep_welcome, write_welcome
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport (
    compose_authentication_data,
    compose_authentication_ok,
    compose_backend_key_data,
    compose_negotiate,
    compose_notice_text,
    compose_parameter_status,
    compose_ready,
)
from howdah.wire.startup cimport PROTOCOL_3_2, Startup, next_option, next_parameter, replication_name

from howdah import __version__
from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    LARGEST_STARTUP = 10000
    LARGEST_WELCOME = 16384
    SASL_FINAL = 12

cdef extern from "<strings.h>" nogil:
    int strcasecmp(const char *a, const char *b) noexcept

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_CLIENT_ATTEMPT = EventKind.CLIENT_ATTEMPT
cdef uint8_t EVENT_CLIENT_LOGIN = EventKind.CLIENT_LOGIN
cdef uint8_t EVENT_CONSOLE_OPEN = EventKind.CONSOLE_OPEN
cdef int NONE = NUMBERS["none"]
cdef int NO_DATABASE = NUMBERS["no_such_database"]
cdef int DATABASE_DISABLED = NUMBERS["database_disabled"]
cdef int SHUTTING_DOWN = NUMBERS["shutting_down"]
cdef int CONSOLE_DENIED = NUMBERS["console_denied"]
cdef int BAD_PARAMETERS = NUMBERS["startup_parameters"]
cdef int TOO_MANY_SETTINGS = NUMBERS["too_many_settings"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]
cdef int TOO_MANY_FOR_DATABASE = NUMBERS["max_db_client_connections"]
cdef int TOO_MANY_FOR_USER = NUMBERS["max_user_client_connections"]

# Drivers read a PostgreSQL version from the front and choose what they ask by it.
cdef bytes console_version = f"18.0 (howdah {__version__})".encode()
cdef const char *CONSOLE_VERSION = console_version


cdef void admit(Worker *w, Client *client) noexcept nogil:
    """The client is who it says it is: which pool is it for?"""
    cdef Login *login = client.login
    cdef Route *found
    cdef Startup packet
    login_packet(login, &packet)
    if strcmp(packet.database, "pgbouncer") == 0:
        open_console(w, client, &packet)
        return
    if client.late:
        client_refuse(w, client, SHUTTING_DOWN, b"")
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
    terms.max_pinned = found.max_pinned
    terms.max_db_connections = found.max_db_connections
    terms.max_user_connections = plan.max_user_connections
    terms.server_lifetime_us = found.server_lifetime_us
    terms.comes_again = False
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
        if rule.max_pinned >= 0:
            terms.max_pinned = rule.max_pinned
    terms.max_pinned = terms.size * terms.max_pinned // 100 if terms.size and terms.max_pinned < 100 else -1


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
    verdict = pool_join(&w.shared.pools, &terms, packet.user, client.replication != 0, w.now_us, &client.pool,
                        &client.user)
    if verdict == JOIN_DONE:
        find_time_limits(w.plan, found, packet.user, &client.limits)
        find_session_rules(w.plan, found, packet.user, &client.rules)
        return True
    if verdict == JOIN_DISABLED:
        client_refuse(w, client, DATABASE_DISABLED, packet.database)
    elif verdict == JOIN_DATABASE_FULL:
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
    if not w.plan.application_name_add_host or client.replication:
        return True  # a standby's name stands in synchronous_standby_names
    for i in range(draft.count):
        if strcasecmp(draft.names[i], "application_name") == 0:
            own = draft.values[i]
    print_address(client, host, sizeof(host))
    if client.peer.family == AF_UNIX:
        snprintf(name, room, b"%.200s - unix", own)
    else:
        snprintf(name, room, b"%.200s - [%s]:%d" if client.peer.family == AF_INET6 else b"%.200s - %s:%d", own, host,
                 <int>client.peer.port)
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
    if client.replication:
        client_move(client, CLIENT_LOGIN_WAITING)
        set_ready(client)  # `replication.replication_login` goes on
    elif not let_in(w, client):
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
    give_notice(w, &message)
    compose_ready(&message, tags.IDLE)
    count_login(w, client)
    client_move(client, CLIENT_IDLE)
    login_free(client)
    client.request_us = w.now_us
    if not message.ok or conn_send(&w.slab, &client.conn, data, message.used) == SEND_ERROR:
        client_lost(w, client)
        return True
    tell_login(w, client)
    watch_client(w, client)
    client_watch_deadline(client)
    if client.held != NULL or w.draining or w.leaving == LEAVING:
        set_ready(client)
    return True


cdef void count_login(Worker *w, Client *client) noexcept nogil:
    cdef Tally *tally = &client.pool.tallies[w.index]
    relaxed_add_u64(&tally.logins, 1)
    observe(&tally.login, w.now_us - client.connected_us)
    if client.login.tls_us:
        observe(&tally.tls, client.login.tls_us)


cdef void tell_attempt(Worker *w, Client *client) noexcept nogil:
    """PgBouncer logs who wants in, whatever becomes of it."""
    if w.plan.log_connections and w.plan.drop_in:
        tell_of(w, EVENT_CLIENT_ATTEMPT, client)


cdef void give_notice(const Worker *w, Writer *message) noexcept nogil:
    """What the operator has to say to whoever has logged in."""
    if w.plan.login_notify_message[0]:
        compose_notice_text(message, w.plan.login_notify_message)


cdef void tell_login(Worker *w, Client *client) noexcept nogil:
    """We log who is in."""
    if w.plan.log_connections and not w.plan.drop_in:
        tell_of(w, EVENT_CLIENT_LOGIN, client)


cdef void tell_of(Worker *w, uint8_t kind, Client *client) noexcept nogil:
    """With the TLS in use, the server name asked for, and the kind of replication, as three strings."""
    cdef char[400] detail
    cdef const char *name = b""
    cdef size_t size
    detail[0] = 0
    if client.conn.tls != NULL:
        tls_describe(client.conn.tls, detail, 100)
        if tls_server_name(client.conn.tls) != NULL:
            name = tls_server_name(client.conn.tls)
    size = strlen(detail) + 1
    snprintf(detail + size, 256, b"%s", name)
    size += strlen(detail + size) + 1
    snprintf(detail + size, 16, b"%s", replication_name(client.replication))
    size += strlen(detail + size) + 1
    tell_client(w, kind, client, NONE, detail, size)


cdef void make_key(Worker *w, Client *client, Writer *message) noexcept nogil:
    """A cancel key: four bytes of secret, or thirty-two where the protocol version has room for them."""
    cdef uint32_t size = SECRET_SIZE if client.version >= PROTOCOL_3_2 else 4
    cdef uint8_t[KEY_SIZE] random
    while not client.key.given:
        if not random_bytes(w, random, KEY_SIZE):
            return
        key_fill(&client.key, random, size, w.plan.peer_id)
        key_give(&w.shared.keys, &client.key)
    compose_backend_key_data(message, client.key.pid, client.key.secret, size)


cdef bint random_bytes(Worker *w, uint8_t *random, size_t size) noexcept nogil:
    """A few bytes of the system's randomness, of which a worker fetches many at once and uses each once."""
    if w.randomness_left < size:
        if not new_secret(w.randomness, sizeof(w.randomness)):
            return False
        w.randomness_left = sizeof(w.randomness)
    w.randomness_left -= size
    memcpy(random, w.randomness + w.randomness_left, size)
    memset(w.randomness + w.randomness_left, 0, size)
    return True


cdef void wait_for_welcome(Worker *w, Client *client) noexcept nogil:
    cdef TakeVerdict verdict
    cdef Pool *pool = client.pool
    client_move(client, CLIENT_LOGIN_WAITING)
    verdict = take_living(w, client)
    if verdict == TAKE_REFUSED:
        client_refused_by_pool(w, client)
        return
    client.owed = True
    if verdict == TAKE_GOT:
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
    tell_reserve(w, client)
    adopt(w, server)
    client_move(client, CLIENT_LOGIN_ACTIVE)
    server_move(server, SERVER_ACTIVE)
    client.server = server
    server.client = client
    client_watch_deadline(client)
    if is_settled(client, server):
        login_answered(w, client)
    elif not settle_now(w, client, server):
        client_refuse(w, client, TOO_MANY_SETTINGS, b"")


cdef void login_answered(Worker *w, Client *client) noexcept nogil:
    """The server has taken the client's settings: its ParameterStatus values are the client's."""
    cdef Server *server = client.server
    keep_welcome(&w.shared.pools, client.pool, client.settings, server.parameters, server.parameters_size, False)
    unlink_and_recycle(w, server)
    if not let_in(w, client):
        wait_for_welcome(w, client)  # a server of another version has made it void meanwhile


cdef void client_refused_by_pool(Worker *w, Client *client) noexcept nogil:
    """The pool's servers cannot log in: the client gets PostgreSQL's own words, or ours where it is our doing."""
    cdef int reason
    cdef char[6] sqlstate
    cdef char[256] text
    pthread_mutex_lock(&w.shared.pools.lock)
    reason = client.pool.failure_reason
    memcpy(sqlstate, client.pool.failure_sqlstate, sizeof(sqlstate))
    memcpy(text, client.pool.failure, sizeof(text))
    pthread_mutex_unlock(&w.shared.pools.lock)
    if reason == LOGIN_FAILED:
        client_refuse_text(w, client, LOGIN_FAILED, sqlstate, text)
    else:
        client_refuse(w, client, reason, text)


cdef void open_console(Worker *w, Client *client, Startup *packet) noexcept nogil:
    """Database "pgbouncer": the control plane answers, this connection only carries the bytes."""
    cdef uint8_t[512] data
    cdef Writer message = writer(data, sizeof(data))
    if not (client.login.own or w.plan.console_for_all or listed(w.plan.console_users, packet.user)):
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
        client_lost(w, client)
        return
    watch_client(w, client)
    if client.held != NULL:
        set_ready(client)
