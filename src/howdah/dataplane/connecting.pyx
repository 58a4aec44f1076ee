"""A server from its first moment until the socket is connected, and what becomes of an attempt that fails.

The database's addresses are tried in turn.  With server_tls_sslmode `allow` and `prefer` a second attempt is made the
other way (`other_way`); above, there is no way around TLS.  Called by `worker`, `handshake`, `replication`, `hub`,
`server_login` and `server_proof`.
"""

from libc.errno cimport EINPROGRESS, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strdup, strerror, strlen

from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT
from howdah.cdefs.sockets cimport (
    AF_INET,
    AF_UNIX,
    IPPROTO_TCP,
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
    close,
    connect,
    getsockopt,
    setsockopt,
    sockaddr,
    socket,
    socklen_t,
)
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.conn cimport SEND_ERROR, conn_close, conn_send, conn_watch
from howdah.dataplane.mailbox cimport mail_send, tell_server
from howdah.dataplane.parties cimport MAIL_REFUSED, SERVER_CONNECTING, SERVER_LOGIN, Client, Entry, Hub, Server, Worker
from howdah.dataplane.pool cimport Pool, WaitingClient, opened, unreserve
from howdah.dataplane.recycle cimport client_refuse, client_refuse_text, server_lost
from howdah.dataplane.rooms cimport room_for_hub_not_used, room_not_used
from howdah.dataplane.routes cimport TLS_ALLOW, TLS_PREFER, CPlan, Endpoint, Route
from howdah.dataplane.server cimport entry_free, server_move, server_new
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.dataplane.upkeep cimport open_failed

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t EVENT_SERVER_REFUSED = EventKind.SERVER_REFUSED
cdef int NONE = NUMBERS["none"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int UNREACHABLE = NUMBERS["server_unreachable"]
cdef int CONNECT_TIMEOUT = NUMBERS["server_connect_timeout"]
cdef int LOGIN_FAILED = NUMBERS["server_login_failed"]


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


cdef int system_value(int option) noexcept nogil:
    """What a new socket has for this option of TCP; 0: it does not say."""
    cdef int value = 0
    cdef socklen_t size = sizeof(value)
    cdef int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
    if fd >= 0:
        getsockopt(fd, IPPROTO_TCP, option, &value, &size)
        close(fd)
    return value


cdef void tune_anew(const CPlan *plan, int fd) noexcept nogil:
    """The same for a socket that may have other options already: what is not set any more is the system's again."""
    cdef int keepalive = plan.tcp_keepalive
    tune(plan, fd)
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, sizeof(keepalive))
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &plan.tcp_user_timeout, sizeof(int))
    if not plan.tcp_keepidle:
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, system_value(TCP_KEEPIDLE))
    if not plan.tcp_keepintvl:
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, system_value(TCP_KEEPINTVL))
    if not plan.tcp_keepcnt:
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, system_value(TCP_KEEPCNT))


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


cdef bint send_login(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Send a message of the login and wait for the answer; False: the server is lost."""
    if conn_send(&w.slab, &server.conn, data, size) == SEND_ERROR:
        unreachable(w, server, server.conn.error)
        return False
    conn_watch(w.epoll_fd, &server.conn, EPOLLIN | (EPOLLOUT if server.conn.out.size else 0))
    return True
