"""A client's first packets.

The first of the modules that tell the story.  `client_startup` takes a PROXY header where one is due, TLS, and other
packets until the StartupMessage (or a CancelRequest) is there; `take_up` says whether this client may try to log in at
all, and hands it to `proof`.  Called by `worker` and `listener`.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy, strcmp, strlen

from howdah.cdefs.atomics cimport add_i32, load_i32
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.cdefs.sockets cimport AF_INET, AF_INET6, AF_UNIX
from howdah.dataplane.access cimport networks_have
from howdah.dataplane.buffers cimport hold, unhold
from howdah.dataplane.cancels cimport SECRET_SIZE, KeyOwner, key_owner, peer_of_key
from howdah.dataplane.client cimport address_key, client_move, client_watch_deadline, print_address, read_room
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_accept_tls,
    conn_feed,
    conn_fill,
    conn_secure,
    conn_send,
    conn_watch,
)
from howdah.dataplane.forwarding cimport forward_refusal, forwarder_of
from howdah.dataplane.handshake cimport tell_attempt
from howdah.dataplane.mailbox cimport mail_new, mail_send, note_new, note_send
from howdah.dataplane.parties cimport (
    CLIENT_CANCEL,
    MAIL_CANCEL,
    MAIL_FORWARD,
    READ_SIZE,
    Client,
    Login,
    Mail,
    MailKind,
    Worker,
)
from howdah.dataplane.proof cimport ask_for_proof
from howdah.dataplane.recycle cimport client_leave, client_lost, client_refuse, watch_client
from howdah.dataplane.routes cimport TLS_REQUIRE, find_route
from howdah.dataplane.tls cimport tls_speaks_postgresql
from howdah.dataplane.turnstile cimport TURN_ADDRESS, TURN_USER, turnstile_admit
from howdah.wire.bytes cimport Writer, write_bytes, write_u32, writer
from howdah.wire.proxy_header cimport (
    PROXY_MALFORMED,
    PROXY_NEED_MORE,
    PROXY_OK,
    ProxyHeader,
    ProxyVerdict,
    read_proxy_header,
)
from howdah.wire.startup cimport (
    REPLICATION_BAD,
    REPLICATION_NONE,
    REPLICATION_PHYSICAL,
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
    Replication,
    Startup,
    StartupVerdict,
    read_startup,
    replication_wanted,
)

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    TLS_HANDSHAKE = 0x16  # first byte of a ClientHello's record
    FEW_LOGINS = 16
    LARGEST_STARTUP = 10000
    CONSOLE_RESERVE = 10  # clients of the console beyond max_client_conn: an operator must get in when it is reached

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t CANCEL_ELSEWHERE = EventKind.CANCEL_ELSEWHERE
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int TOO_SHORT = NUMBERS["startup_too_short"]
cdef int TOO_LONG = NUMBERS["startup_too_long"]
cdef int MALFORMED = NUMBERS["startup_malformed"]
cdef int NO_USER = NUMBERS["startup_no_user"]
cdef int BAD_VERSION = NUMBERS["protocol_version"]
cdef int REPLICATION_VALUE = NUMBERS["replication_value"]
cdef int CONSOLE_REPLICATION = NUMBERS["console_replication"]
cdef int TOO_MANY = NUMBERS["max_client_conn"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int TLS_REQUIRED = NUMBERS["tls_required"]
cdef int TLS_STUFFED = NUMBERS["tls_data_before_handshake"]
cdef int TLS_NOT_OFFERED = NUMBERS["tls_not_offered"]
cdef int TLS_ALPN = NUMBERS["tls_alpn"]
cdef int PROXY_HEADER = NUMBERS["proxy_header"]
cdef int PROXY_DENIED = NUMBERS["proxy_denied"]
cdef int LOGIN_RATE = NUMBERS["login_rate"]
cdef int TOO_MANY_LOGINS = NUMBERS["max_concurrent_logins"]


cdef void client_startup(Worker *w, Client *client) noexcept nogil:
    """Bytes have come from a client that has not sent its StartupMessage (whole) yet."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    cdef size_t got = 0
    cdef size_t room = read_room(client, LARGEST_STARTUP)
    cdef FillVerdict verdict = conn_fill(&w.slab, &client.conn, w.buffer + have, room, &got)
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
        client_lost(w, client)


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
            take_address(client, &header)
        data += header.size
        size -= header.size
    if size and data[0] == TLS_HANDSHAKE and client.conn.tls == NULL and not client.asked_ssl:
        begin_direct_tls(w, client, data, size)
    else:
        opening_packets(w, client, data, size)


cdef void take_address(Client *client, const ProxyHeader *header) noexcept nogil:
    """The client is where the header says.  An IPv4 address written as IPv6 (::ffff:a.b.c.d) is one of IPv4."""
    client.peer.family = header.family
    client.peer.port = header.source_port
    memcpy(client.peer.address, header.source, sizeof(header.source))
    if header.family == AF_INET6 and memcmp(header.source, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
        client.peer.family = AF_INET
        memcpy(client.peer.address, header.source + 12, 4)


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
    if not accept_tls(w, client):
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
            client_lost(w, client)
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
    elif not accept_tls(w, client):
        client_leave(w, client, OUT_OF_MEMORY, b"")
    else:
        watch_login(w, client)


cdef bint accept_tls(Worker *w, Client *client) noexcept nogil:
    """A ticket takes a twelfth of a TLS login's time, and most drivers make no use of one: none is given in a storm."""
    client.request_us = w.now_us
    return conn_accept_tls(&client.conn, w.plan.client_context, w.logging_in < FEW_LOGINS)


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
    """Hand a CancelRequest to the worker of the client it is about, or of the peer that has this client.

    The connection is closed when it is done.
    """
    cdef KeyOwner owner = key_owner(&w.shared.keys, packet.pid, packet.secret, packet.secret_size)
    cdef int peer = peer_of_key(packet.pid)
    cdef char[16] name
    cdef int reason = NONE
    name[0] = 0
    if owner.worker >= 0:
        send_cancel(w, client, packet, MAIL_CANCEL, owner.worker)
        return
    if 0 < w.plan.peer_id != peer:
        reason = forward_refusal(w.plan, packet.pid, packet.secret, packet.secret_size)
        if reason == NONE:
            send_cancel(w, client, packet, MAIL_FORWARD, forwarder_of(w, peer))
            return
        snprintf(name, sizeof(name), b"%d", peer)
    if load_i32(&w.shared.has_predecessor):  # which may have the client still
        tell_predecessor(w, packet)
        reason = NONE
    client_leave(w, client, reason, name)


cdef void tell_predecessor(Worker *w, const Startup *packet) noexcept nogil:
    """Nobody here has this key: the control plane asks the process that we are taking over from."""
    cdef uint8_t[4 + SECRET_SIZE] detail
    cdef Writer key = writer(detail, sizeof(detail))
    write_u32(&key, packet.pid)
    write_bytes(&key, packet.secret, packet.secret_size)
    if key.ok:
        note_send(w.shared, note_new(w, CANCEL_ELSEWHERE, NONE, b"", b"", detail, key.used))


cdef void send_cancel(Worker *w, Client *client, const Startup *packet, MailKind kind, int to) noexcept nogil:
    cdef Mail *mail = mail_new(kind)
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
    mail_send(&w.shared.workers[to], mail)


cdef void take_up(Worker *w, Client *client, Startup *packet, const uint8_t *data, size_t size) noexcept nogil:
    """The StartupMessage is there: may this client try to log in?"""
    client.version = packet.code
    if not begin_login(w, client, packet, data, size):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif not take_up_replication(w, client, packet):
        return
    elif w.plan.client_tls >= TLS_REQUIRE and client.peer.family != AF_UNIX and not conn_secure(&client.conn):
        client_refuse(w, client, TLS_REQUIRED, b"")
    elif 0 < w.plan.max_concurrent_logins < load_i32(&w.shared.login_count):
        client_refuse(w, client, TOO_MANY_LOGINS, b"")
    elif not count_client(w, client, packet):
        client_refuse(w, client, TOO_MANY, b"")
    elif in_time(w, client, packet):
        tell_attempt(w, client)
        ask_for_proof(w, client, packet)


cdef bint begin_login(Worker *w, Client *client, const Startup *packet, const uint8_t *data,
                      size_t size) noexcept nogil:
    """Keep the packet for as long as the login takes, and what came behind it for later.  False: out of memory."""
    cdef Login *login = <Login *>calloc(1, sizeof(Login))
    if login == NULL:
        return False
    add_i32(&w.shared.login_count, 1)
    client.login = login
    login.packet_size = packet.size
    if conn_secure(&client.conn):
        login.tls_us = w.now_us - client.request_us
    return (hold(&w.slab, &login.kept, data, packet.size)
            and hold(&w.slab, &client.held, data + packet.size, size - packet.size))


cdef bint take_up_replication(Worker *w, Client *client, Startup *packet) noexcept nogil:
    """What does `replication` ask for?  False: the client has been refused.

    Physical replication is of a whole cluster.  Standard tools name a database "replication" that is none; where there
    is no entry for it, another one that leads to the cluster will do, if there is but one cluster.
    """
    cdef Replication wanted = replication_wanted(packet.replication)
    cdef const char *cluster
    if wanted == REPLICATION_BAD:
        client_refuse(w, client, REPLICATION_VALUE, packet.replication)
        return False
    if wanted != REPLICATION_NONE and strcmp(packet.database, "pgbouncer") == 0:
        client_refuse(w, client, CONSOLE_REPLICATION, b"")
        return False
    client.replication = <uint8_t>wanted
    if wanted == REPLICATION_PHYSICAL and find_route(w.plan, packet.database) == NULL and w.plan.cluster != NULL:
        cluster = w.plan.cluster.name
        if strlen(cluster) < sizeof(client.login.database):
            memcpy(client.login.database, cluster, strlen(cluster) + 1)
            packet.database = client.login.database
    return True


cdef bint count_client(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """Under max_client_conn."""
    cdef int most = w.plan.max_client_conn
    if strcmp(packet.database, "pgbouncer") == 0:
        most += CONSOLE_RESERVE
    client.counted = True
    return add_i32(&w.shared.client_count, 1) <= most


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
