"""A client proves who it is.

One of the modules that tell the story.  `ask_for_proof` finds the rule that fits the login and does what it says: lets
the client in or turns it away at once, asks it for a password or a SCRAM exchange (`proof_came` reads the answers), or
asks the control plane (`outside_answered`).  Who passes is handed to `handshake.admit`.  Whether a user exists cannot
be told from what is answered or when.  Called by `handshake` and `worker`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strcmp

from howdah.cdefs.crypto cimport CRYPTO_memcmp, OPENSSL_cleanse
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.cdefs.openssl cimport X509, SSL_get0_peer_certificate, SSL_get_certificate
from howdah.cdefs.sockets cimport (
    AF_INET,
    AF_UNIX,
    SO_PEERCRED,
    SOL_SOCKET,
    geteuid,
    getpwuid_r,
    getsockopt,
    passwd,
    socklen_t,
    ucred,
)
from howdah.dataplane.access cimport (
    CERTIFICATE_NO,
    CERTIFICATE_VERIFY_FULL,
    METHOD_CERT,
    METHOD_LDAP,
    METHOD_MD5,
    METHOD_PAM,
    METHOD_PEER,
    METHOD_PLAIN,
    METHOD_REJECT,
    METHOD_SCRAM,
    METHOD_TRUST,
    Rule,
    Visitor,
    access_find,
    access_maps,
)
from howdah.dataplane.buffers cimport Block, block_data, block_free, block_new, hold, unhold
from howdah.dataplane.certificates cimport (
    LARGEST_END_POINT,
    LARGEST_NAME,
    NAME_BAD,
    NAME_OK,
    NameVerdict,
    common_name,
    distinguished_name,
    end_point,
    has_end_point,
)
from howdah.dataplane.client cimport (
    address_key,
    client_move,
    client_watch_deadline,
    login_packet,
    print_address,
    read_room,
    set_ready,
)
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ERROR,
    FillVerdict,
    conn_fill,
    conn_secure,
    conn_send,
    conn_watch,
)
from howdah.dataplane.credentials cimport (
    Secret,
    lookup_find,
    lookup_forget,
    lookup_keep,
    secret_drop,
    secret_hold,
    secret_keys,
    secret_md5,
)
from howdah.dataplane.handshake cimport admit, random_bytes
from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport (
    CLIENT_ASKED,
    CLIENT_DELAYED,
    CLIENT_PROOF,
    PROOF_PASSWORD,
    PROOF_SASL_FINAL,
    PROOF_SASL_FIRST,
    PROOF_SASL_LATE,
    Client,
    Login,
    Worker,
)
from howdah.dataplane.recycle cimport client_leave, client_lost, client_refuse
from howdah.dataplane.routes cimport Route, UserRule, find_route, find_user
from howdah.dataplane.turnstile cimport turnstile_failed, turnstile_passed
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, write_bytes, write_u32, write_u8, writer
from howdah.wire.compose cimport (
    compose_authentication,
    compose_authentication_data,
    compose_authentication_md5,
    compose_authentication_sasl,
)
from howdah.wire.frame cimport FRAME_NEED_HEADER, FRAME_PART, FRAME_WHOLE, Frame, FrameVerdict, next_frame
from howdah.wire.password cimport (
    MD5_TEXT,
    md5_of_challenge,
    md5_of_password,
    read_password_message,
    read_sasl_initial,
)
from howdah.wire.scram cimport (
    SCRAM_BINDING,
    SCRAM_KEY,
    SCRAM_LARGEST_MESSAGE,
    SCRAM_MALFORMED,
    SCRAM_OK,
    SCRAM_UNSUPPORTED,
    ScramKeys,
    ScramVerdict,
    scram_derive,
    scram_read_final,
    scram_read_first,
    scram_write_challenge,
)
from howdah.wire.startup cimport REPLICATION_PHYSICAL, Startup

from howdah.dataplane.rows import AuthAsk, AuthVerdict, EventKind
from howdah.reasons import NUMBERS

cdef enum:
    CLEARTEXT = 3
    SASL_CONTINUE = 11
    LARGEST_PASSWORD = 16384  # bytes of a PasswordMessage: cloud tokens are long
    MOST_ITERATIONS = 65536  # of a SCRAM secret that a plain password is checked by: 16 ms of the worker's time
    LARGEST_SASL = 2048
    LARGEST_ASK = 9 + LARGEST_PASSWORD

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t AUTH_WANTED = EventKind.AUTH_WANTED
cdef uint8_t AUTH_STALE = EventKind.AUTH_STALE
cdef uint8_t ASK_LOOKUP = AuthAsk.LOOKUP
cdef uint8_t ASK_LDAP = AuthAsk.LDAP
cdef uint8_t ASK_PAM = AuthAsk.PAM
cdef uint8_t ASK_PASSTHROUGH = AuthAsk.PASSTHROUGH
cdef uint8_t FOUND = AuthVerdict.FOUND
cdef uint8_t UNKNOWN = AuthVerdict.UNKNOWN
cdef uint8_t ALLOWED = AuthVerdict.ALLOWED
cdef uint8_t DENIED = AuthVerdict.DENIED
cdef uint8_t ANSWER_BUSY = AuthVerdict.BUSY
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int CLIENT_TERMINATE = NUMBERS["client_terminate"]
cdef int MESSAGE_LENGTH = NUMBERS["message_length"]
cdef int MALFORMED = NUMBERS["message_malformed"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int PASSWORD_FAILED = NUMBERS["password_failed"]
cdef int SCRAM_FAILED = NUMBERS["scram_failed"]
cdef int PASSWORD_MESSAGE = NUMBERS["password_message"]
cdef int REFUSED = NUMBERS["auth_refused"]
cdef int REJECTED = NUMBERS["auth_rejected"]
cdef int BUSY = NUMBERS["auth_busy"]
cdef int UNAVAILABLE = NUMBERS["auth_unavailable"]
cdef int SASL_MALFORMED = NUMBERS["sasl_malformed"]
cdef int SASL_MECHANISM = NUMBERS["sasl_mechanism"]
cdef int SASL_UNSUPPORTED = NUMBERS["sasl_unsupported"]
cdef int BINDING = NUMBERS["channel_binding"]
cdef const char *CONSOLE = "pgbouncer"


# ---- the rule ------------------------------------------------------------------------------------------------------

cdef void ask_for_proof(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """Find the rule for this login (whose `Client.login` holds the packet) and begin with what it asks."""
    cdef Visitor visitor
    cdef const Rule *rule
    cdef Login *login = client.login
    if strcmp(packet.user, CONSOLE) == 0 and strcmp(packet.database, CONSOLE) == 0 and is_us(client):
        login.own = True
        admit(w, client)
        return
    visitor.database = packet.database
    visitor.user = packet.user
    visitor.local = client.peer.family == AF_UNIX
    visitor.tls = conn_secure(&client.conn)
    visitor.replication = client.replication == REPLICATION_PHYSICAL
    visitor.family = client.peer.family
    memcpy(visitor.address, client.peer.address, sizeof(visitor.address))
    rule = access_find(w.plan.access, &visitor)
    if rule == NULL or rule.method == METHOD_REJECT:
        reject(w, client, &visitor)
        return
    if rule.client_certificate != CERTIFICATE_NO and not certificate_fits(
            w, client, rule, rule.client_certificate == CERTIFICATE_VERIFY_FULL, packet.user):
        client_refuse(w, client, REFUSED, packet.user)
        return
    login.method = rule.method
    login.rule = rule.number
    if rule.method == METHOD_TRUST:
        admit(w, client)
    elif rule.method == METHOD_CERT or rule.method == METHOD_PEER:
        if (certificate_fits(w, client, rule, True, packet.user) if rule.method == METHOD_CERT
                else peer_fits(w, client, rule, packet.user)):
            admit(w, client)
        else:
            client_refuse(w, client, REFUSED, packet.user)
    elif rule.method == METHOD_LDAP or rule.method == METHOD_PAM:
        challenge(w, client)
    else:
        find_secret(w, client, packet)


cdef void reject(Worker *w, Client *client, const Visitor *visitor) noexcept nogil:
    cdef char[400] who
    cdef char[64] host
    cdef const char *how = b"TLS"
    if not visitor.tls:
        how = b"no encryption"
    print_address(client, host, sizeof(host))
    if visitor.replication:
        snprintf(who, sizeof(who), b"physical replication from host \"%s\", user \"%.63s\", %s", host, visitor.user,
                 how)
    else:
        snprintf(who, sizeof(who), b"host \"%s\", user \"%.63s\", database \"%.63s\", %s", host, visitor.user,
                 visitor.database, how)
    client_refuse(w, client, REJECTED, who)


cdef bint certificate_fits(Worker *w, Client *client, const Rule *rule, bint named, const char *user) noexcept nogil:
    """Has the client shown a certificate (the handshake has verified it), and, if `named`, one that may be `user`?"""
    cdef char[LARGEST_NAME] name
    cdef X509 *certificate = NULL
    cdef NameVerdict verdict
    if conn_secure(&client.conn):
        certificate = SSL_get0_peer_certificate(client.conn.tls.ssl)
    if certificate == NULL:
        return False
    verdict = common_name(certificate, name, sizeof(name))
    if verdict == NAME_BAD or not named:
        return verdict != NAME_BAD  # with a NUL in its name it is somebody's trick, whatever it is for
    if rule.distinguished_name:
        verdict = distinguished_name(certificate, name, sizeof(name))
    if verdict != NAME_OK:
        return False
    return access_maps(w.plan.access, rule.map, name, user)


cdef bint peer_uid(const Client *client, unsigned int *uid) noexcept nogil:
    cdef ucred peer
    cdef socklen_t size = sizeof(peer)
    if client.peer.family != AF_UNIX or getsockopt(client.conn.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0:
        return False
    uid[0] = peer.uid
    return True


cdef bint is_us(const Client *client) noexcept nogil:
    """Does the operating system's user that runs howdah sit at the other end?"""
    cdef unsigned int uid = 0
    return peer_uid(client, &uid) and uid == geteuid()


cdef bint peer_fits(Worker *w, const Client *client, const Rule *rule, const char *user) noexcept nogil:
    cdef char[2048] room
    cdef passwd entry
    cdef passwd *found = NULL
    cdef unsigned int uid = 0
    if not peer_uid(client, &uid) or getpwuid_r(uid, &entry, room, sizeof(room), &found) != 0 or found == NULL:
        return False
    return access_maps(w.plan.access, rule.map, found.pw_name, user)


# ---- the secret ----------------------------------------------------------------------------------------------------

cdef void find_secret(Worker *w, Client *client, const Startup *packet) noexcept nogil:
    """What the proof will be checked by: from the plan, from what auth_query said of late, or asked for now."""
    cdef Login *login = client.login
    cdef UserRule *known = find_user(w.plan, packet.user)
    cdef Route *found = find_route(w.plan, packet.database)
    cdef bint console = strcmp(packet.database, CONSOLE) == 0
    if known != NULL and known.secret != NULL:
        login.secret = secret_hold(known.secret)
    elif found != NULL and found.lookup and not console:
        login.secret = lookup_find(&w.shared.lookups, packet.database, packet.user, w.now_us)
        if login.secret == NULL:
            ask_outside(w, client, ASK_LOOKUP, NULL, 0)
            return
        login.looked_up = True
    challenge(w, client)


cdef void ask_outside(Worker *w, Client *client, uint8_t what, const char *password, size_t size) noexcept nogil:
    """Have the control plane say what we cannot; `outside_answered` goes on."""
    cdef uint8_t[LARGEST_ASK] data
    cdef Writer detail = writer(data, sizeof(data))
    client_move(client, CLIENT_ASKED)
    write_u8(&detail, what)
    write_u32(&detail, <uint32_t>client.login.rule)
    write_u32(&detail, <uint32_t>w.plan.version)
    client.login.plan_version = w.plan.version
    write_bytes(&detail, password, size)
    tell_client(w, AUTH_WANTED, client, NONE, data, detail.used)
    OPENSSL_cleanse(data, detail.used)
    # Nothing is to come from the client now but its leaving.
    conn_watch(w.login_fd, &client.conn, EPOLLRDHUP)
    client_watch_deadline(client)


cdef void outside_answered(Worker *w, Client *client, uint8_t verdict, void *data) noexcept nogil:
    """The control plane's answer for a client in CLIENT_ASKED: a Secret (ours to drop) or a text."""
    cdef Login *login = client.login
    cdef Startup packet
    if verdict == FOUND:
        login_packet(login, &packet)
        login.secret = <Secret *>data
        login.looked_up = True
        if w.plan.auth_cache_us and login.plan_version == w.plan.version:
            lookup_keep(&w.shared.lookups, packet.database, packet.user, login.secret,
                        w.now_us + w.plan.auth_cache_us)
        challenge(w, client)
    elif verdict == UNKNOWN:
        challenge(w, client)
    elif verdict == ALLOWED:
        secret_drop(login.secret)
        login.secret = <Secret *>data
        passed(w, client)
    elif verdict == DENIED:
        not_passed(w, client)
    else:
        client_refuse(w, client, BUSY if verdict == ANSWER_BUSY else UNAVAILABLE, <const char *>data)


# ---- the question --------------------------------------------------------------------------------------------------

cdef void challenge(Worker *w, Client *client) noexcept nogil:
    """Ask the client; the secret is there, or there is none to be had."""
    cdef uint8_t[64] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Login *login = client.login
    cdef bint scram = login.method == METHOD_SCRAM
    if login.method == METHOD_MD5:
        scram = login.secret.scram if login.secret != NULL else w.plan.mostly_scram
    login.step = PROOF_PASSWORD
    if scram:
        login.step = PROOF_SASL_FIRST
        compose_authentication_sasl(&message, offers_binding(client))
    elif login.method == METHOD_MD5:
        if not random_bytes(w, login.salt, sizeof(login.salt)):
            client_refuse(w, client, OUT_OF_MEMORY, b"")
            return
        compose_authentication_md5(&message, login.salt)
    else:
        compose_authentication(&message, CLEARTEXT)
    client_move(client, CLIENT_PROOF)
    say(w, client, data, message.used)


cdef bint offers_binding(const Client *client) noexcept nogil:
    return conn_secure(&client.conn) and has_end_point(SSL_get_certificate(client.conn.tls.ssl))


cdef bint say(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """Send a message of the exchange and wait for the answer; False: the client is gone."""
    if conn_send(&w.slab, &client.conn, data, size) == SEND_ERROR:
        client_lost(w, client)
        return False
    conn_watch(w.login_fd, &client.conn,
               EPOLLIN | EPOLLRDHUP | (EPOLLOUT if client.conn.out.size else 0))
    client_watch_deadline(client)
    if client.held != NULL:
        set_ready(client)  # it has said more than it was asked
    return True


# ---- the answer ----------------------------------------------------------------------------------------------------

cdef void proof_came(Worker *w, Client *client) noexcept nogil:
    """Bytes have come from a client in CLIENT_PROOF."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    cdef size_t got = 0
    cdef size_t most = LARGEST_PASSWORD if client.login.step == PROOF_PASSWORD else LARGEST_SASL
    cdef FillVerdict verdict = conn_fill(&w.slab, &client.conn, w.buffer + have, read_room(client, most), &got)
    if verdict == FILL_EOF:
        client_leave(w, client, CLIENT_EOF, b"")
        return
    if verdict != FILL_DATA and verdict != FILL_AGAIN:
        client_lost(w, client)
        return
    if have + got == 0:
        return
    unhold(&w.slab, &client.held, w.buffer)
    read_proof(w, client, w.buffer, have + got)


cdef void proof_held(Worker *w, Client *client) noexcept nogil:
    """Deal with what a client said before it was asked."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    unhold(&w.slab, &client.held, w.buffer)
    if have:
        read_proof(w, client, w.buffer, have)


cdef void read_proof(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """One message of type `p`, whole; what is behind it waits."""
    cdef Frame frame
    cdef FrameVerdict verdict = next_frame(data, size, &frame)
    cdef char[8] got
    cdef size_t most = LARGEST_PASSWORD if client.login.step == PROOF_PASSWORD else LARGEST_SASL
    if size and data[0] != tags.PASSWORD:
        if data[0] == tags.TERMINATE:
            client_leave(w, client, CLIENT_TERMINATE, b"")
            return
        snprintf(got, sizeof(got), b"0x%02x", <int>data[0])
        client_refuse(w, client, PASSWORD_MESSAGE, got)
        return
    if verdict != FRAME_NEED_HEADER and (verdict != FRAME_WHOLE and verdict != FRAME_PART or frame.size > most):
        client_refuse(w, client, MESSAGE_LENGTH, b"")
        return
    if verdict != FRAME_WHOLE:
        if not hold(&w.slab, &client.held, data, size):
            client_refuse(w, client, OUT_OF_MEMORY, b"")
        return
    if not hold(&w.slab, &client.held, data + frame.size, size - frame.size):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif client.login.step == PROOF_PASSWORD:
        password_came(w, client, data + 5, frame.size - 5)
    elif client.login.step == PROOF_SASL_FIRST:
        sasl_chosen(w, client, data + 5, frame.size - 5)
    elif client.login.step == PROOF_SASL_LATE:
        sasl_first(w, client, data + 5, frame.size - 5)
    else:
        sasl_final(w, client, data + 5, frame.size - 5)


cdef void passed(Worker *w, Client *client) noexcept nogil:
    cdef uint8_t[16] address
    cdef size_t size = address_key(client, address)
    if size:
        turnstile_passed(&w.shared.turnstile, address, size, w.now_us)
    admit(w, client)


cdef void not_passed(Worker *w, Client *client) noexcept nogil:
    """The password is wrong, or there is no such user: said after a pause that grows with each such try."""
    cdef Login *login = client.login
    cdef Startup packet
    cdef uint8_t[16] address
    cdef size_t size = address_key(client, address)
    cdef uint64_t pause_us = 0
    login_packet(login, &packet)
    if login.looked_up:
        lookup_forget(&w.shared.lookups, packet.database, packet.user)
        tell_client(w, AUTH_STALE, client, NONE, NULL, 0)
    if size and w.plan.login_failure_delay_us:
        pause_us = turnstile_failed(&w.shared.turnstile, address, size, w.plan.login_failure_delay_us, w.now_us)
    if pause_us == 0:
        refuse_password(w, client)
        return
    client_move(client, CLIENT_DELAYED)
    client.query_us = w.now_us + pause_us
    conn_watch(w.login_fd, &client.conn, EPOLLRDHUP)
    client_watch_deadline(client)


cdef void refuse_password(Worker *w, Client *client) noexcept nogil:
    cdef Startup packet
    cdef bint scram = client.login.step in (PROOF_SASL_LATE, PROOF_SASL_FINAL)
    login_packet(client.login, &packet)
    client_refuse(w, client, SCRAM_FAILED if w.plan.drop_in and scram else PASSWORD_FAILED, packet.user)


# ---- passwords -----------------------------------------------------------------------------------------------------

cdef void password_came(Worker *w, Client *client, const uint8_t *body, size_t size) noexcept nogil:
    cdef Login *login = client.login
    cdef Startup packet
    cdef const char *password = NULL
    cdef size_t length = 0
    login_packet(login, &packet)
    if not read_password_message(body, size, &password, &length):
        client_refuse(w, client, MALFORMED, b"")
    elif length == 0:
        not_passed(w, client)  # an empty password is nobody's, and LDAP servers would take it for "anonymous"
    elif login.method == METHOD_LDAP or login.method == METHOD_PAM:
        ask_outside(w, client, ASK_LDAP if login.method == METHOD_LDAP else ASK_PAM, password, length)
    elif login.method == METHOD_PLAIN and login.secret == NULL and passes_through(w, client, &packet):
        ask_outside(w, client, ASK_PASSTHROUGH, password, length)
    elif login.secret != NULL and login.secret.scram and login.secret.keys.iterations > MOST_ITERATIONS:
        not_passed(w, client)  # checking it would take the time of everybody on this worker
    elif password_right(w, login, packet.user, password, length):
        passed(w, client)
    else:
        not_passed(w, client)


cdef bint passes_through(Worker *w, const Client *client, const Startup *packet) noexcept nogil:
    """May PostgreSQL itself be asked?  Not about the console, and not where the password was to be read on the way."""
    if not w.plan.password_passthrough or strcmp(packet.database, CONSOLE) == 0:
        return False
    return client.peer.family == AF_UNIX or conn_secure(&client.conn) or is_loopback(client)


cdef bint is_loopback(const Client *client) noexcept nogil:
    cdef const uint8_t *address = &client.peer.address[0]
    if client.peer.family == AF_INET:
        return address[0] == 127
    for i in range(15):
        if address[i]:
            return False
    return address[15] == 1


cdef bint password_right(Worker *w, Login *login, const char *user, const char *password, size_t size) noexcept nogil:
    cdef char[MD5_TEXT] wanted
    cdef char[MD5_TEXT] secret
    cdef ScramKeys keys
    cdef ScramKeys derived
    cdef bint known
    if login.method == METHOD_MD5:
        memcpy(secret, b"md500000000000000000000000000000000", MD5_TEXT)
        known = secret_md5(login.secret, user, secret)
        md5_of_challenge(secret, login.salt, wanted)
        return known and size == 35 and CRYPTO_memcmp(wanted, password, 35) == 0
    if login.secret != NULL and login.secret.password != NULL:
        return login.secret.password_size == size and CRYPTO_memcmp(login.secret.password, password, size) == 0
    if login.secret != NULL and login.secret.md5[0]:
        md5_of_password(password, user, wanted)
        return CRYPTO_memcmp(login.secret.md5, wanted, 35) == 0
    if login.secret == NULL and not w.plan.mostly_scram:
        return False
    # For users there are not the same work is done, so that the time does not tell.
    secret_keys(login.secret, w.shared.process_key, user, w.plan.scram_iterations, &keys)
    scram_derive(password, size, keys.salt, keys.salt_size, keys.iterations, &derived, NULL)
    return CRYPTO_memcmp(keys.stored_key, derived.stored_key, SCRAM_KEY) == 0 and login.secret != NULL


# ---- SCRAM ---------------------------------------------------------------------------------------------------------

cdef void sasl_chosen(Worker *w, Client *client, const uint8_t *body, size_t size) noexcept nogil:
    """SASLInitialResponse: the mechanism, and mostly its first message."""
    cdef Login *login = client.login
    cdef const char *mechanism = NULL
    cdef const uint8_t *data = NULL
    cdef int32_t data_size = 0
    cdef uint8_t[16] answer
    cdef Writer message = writer(answer, sizeof(answer))
    if not read_sasl_initial(body, size, &mechanism, &data, &data_size):
        client_refuse(w, client, SASL_MALFORMED, b"SASLInitialResponse")
        return
    login.plus = strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0
    if (login.plus and not offers_binding(client)) or (not login.plus and strcmp(mechanism, "SCRAM-SHA-256") != 0):
        client_refuse(w, client, SASL_MECHANISM, b"")
    elif data_size >= 0:
        sasl_first(w, client, data, data_size)
    else:
        login.step = PROOF_SASL_LATE
        compose_authentication_data(&message, SASL_CONTINUE, NULL, 0)
        say(w, client, answer, message.used)


cdef void sasl_first(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """client-first-message: answered with salt and nonce."""
    cdef Login *login = client.login
    cdef const uint8_t *bare = NULL
    cdef size_t bare_size = 0
    cdef ScramVerdict verdict = scram_read_first(
        &login.scram, data, size, login.plus, offers_binding(client), &bare, &bare_size)
    if verdict == SCRAM_BINDING:
        client_refuse(w, client, BINDING, b"")
    elif verdict == SCRAM_UNSUPPORTED:
        client_refuse(w, client, SASL_UNSUPPORTED, b"")
    elif verdict != SCRAM_OK:
        client_refuse(w, client, SASL_MALFORMED, b"client-first-message")
    elif not keep_bare(w, login, bare, bare_size):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    else:
        send_salt(w, client)


cdef bint keep_bare(Worker *w, Login *login, const uint8_t *bare, size_t size) noexcept nogil:
    """Put client-first-message-bare behind the startup packet."""
    cdef Block *kept = login.kept
    if kept.capacity - login.packet_size < size:
        kept = block_new(&w.slab, login.packet_size + size)
        if kept == NULL:
            return False
        memcpy(block_data(kept), block_data(login.kept), login.packet_size)
        block_free(&w.slab, login.kept)
        login.kept = kept
    memcpy(block_data(kept) + login.packet_size, bare, size)
    login.bare_size = <uint32_t>size
    return True


cdef void send_salt(Worker *w, Client *client) noexcept nogil:
    cdef Login *login = client.login
    cdef uint8_t[SCRAM_LARGEST_MESSAGE] text
    cdef uint8_t[SCRAM_LARGEST_MESSAGE + 16] data
    cdef Writer challenge_text = writer(text, sizeof(text))
    cdef Writer message = writer(data, sizeof(data))
    cdef Startup packet
    login_packet(login, &packet)
    login.knows = secret_keys(login.secret, w.shared.process_key, packet.user, w.plan.scram_iterations, &login.keys)
    if not scram_write_challenge(&login.scram, block_data(login.kept) + login.packet_size, login.bare_size,
                                 &login.keys, &challenge_text):
        client_refuse(w, client, SASL_MALFORMED, b"the nonce is too long")
        return
    compose_authentication_data(&message, SASL_CONTINUE, text, challenge_text.used)
    login.step = PROOF_SASL_FINAL
    say(w, client, data, message.used)


cdef void sasl_final(Worker *w, Client *client, const uint8_t *body, size_t size) noexcept nogil:
    """SASLResponse with the proof."""
    cdef Login *login = client.login
    cdef uint8_t[LARGEST_END_POINT] hash
    cdef Writer final = writer(login.final, sizeof(login.final))
    cdef size_t hash_size = end_point(SSL_get_certificate(client.conn.tls.ssl), hash) if login.plus else 0
    cdef ScramVerdict verdict = scram_read_final(
        &login.scram, block_data(login.kept) + login.packet_size, login.bare_size, &login.keys, hash, hash_size, body,
        size, login.client_key, &final)
    if verdict == SCRAM_OK and login.knows:
        login.has_client_key = True
        login.final_size = <uint8_t>final.used
        passed(w, client)
    elif verdict == SCRAM_BINDING and login.plus:
        client_refuse(w, client, BINDING, b"")
    elif verdict == SCRAM_MALFORMED or verdict == SCRAM_BINDING:
        client_refuse(w, client, SASL_MALFORMED, b"client-final-message")
    else:
        not_passed(w, client)
