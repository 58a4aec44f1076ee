"""Cancel requests of ours on their way to PostgreSQL.

Each is a connection of its own that carries 16 or more bytes and is closed by PostgreSQL when the signal has been
sent.  Until then its target stays where it is (`Server.cancels`), so a cancel never hits a later user of that server.
There is one at a time for each server, so a pool never has more of them than servers: who asks meanwhile waits, for
`cancel_wait_timeout` at most, and all who have waited are served by the next one, if what they want cancelled still
runs.  Called by `recycle` and `worker`.
"""

from libc.errno cimport EINPROGRESS, errno
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from howdah.cdefs.atomics cimport store_i32
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT
from howdah.cdefs.sockets cimport SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, close, connect, sockaddr, socket
from howdah.dataplane.cancels cimport KeyOwner, key_owner
from howdah.dataplane.client cimport client_at
from howdah.dataplane.conn cimport (
    CONN_CANCEL,
    FILL_AGAIN,
    FILL_DATA,
    SEND_ALL,
    SEND_ERROR,
    FillVerdict,
    conn_begin_tls,
    conn_close,
    conn_fill,
    conn_init,
    conn_secure,
    conn_send,
    conn_watch,
)
from howdah.dataplane.mailbox cimport mail_send, tell_client
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_CONSOLE,
    ENTRY_HANDSHAKE,
    ENTRY_MESSAGES,
    ENTRY_TLS_ANSWER,
    MAIL_CANCEL_DONE,
    READ_SIZE,
    Cancel,
    Client,
    Mail,
    Server,
    Worker,
)
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, all_replied, first_expected
from howdah.dataplane.routes cimport TLS_VERIFY_FULL
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.dataplane.tls cimport tls_connect, tls_expect
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport compose_cancel, compose_ssl_request

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef uint8_t CONSOLE_CANCEL = EventKind.CONSOLE_CANCEL
cdef int NONE = NUMBERS["none"]

cdef enum:
    LIMIT_US = 10 * 1000000  # for PostgreSQL to take the request
    LARGEST = 512


# ---- who asks ------------------------------------------------------------------------------------------------------

cdef Client *owner_of_key(Worker *w, const Mail *mail) noexcept nogil:
    """The client whose key this is; NULL: nobody's."""
    cdef KeyOwner owner = key_owner(&w.shared.keys, mail.pid, mail.secret, mail.size)
    return client_at(w, owner.slot) if owner.worker == w.index else NULL


cdef Client *to_cancel(Worker *w, const Mail *mail) noexcept nogil:
    """The client whose key this is, if it runs anything; else NULL."""
    cdef Client *client = owner_of_key(w, mail)
    if client == NULL or client.state != CLIENT_ACTIVE:
        return NULL
    # Not while a query of ours runs for it: settings, BEGIN.
    if (all_replied(&client.server.replies)
            or first_expected(&client.server.replies) == EXPECT_QUERY | EXPECT_SWALLOW):
        return NULL
    return client


cdef void answer(Worker *w, Mail *mail) noexcept nogil:
    """The client that asked may go: its connection is closed."""
    mail.kind = MAIL_CANCEL_DONE
    mail_send(&w.shared.workers[mail.from_worker], mail)


cdef void answer_all(Worker *w, Mail *mail) noexcept nogil:
    cdef Mail *next_mail
    while mail != NULL:
        next_mail = mail.next
        answer(w, mail)
        mail = next_mail


cdef void cancel_asked(Worker *w, Mail *mail) noexcept nogil:
    """A MAIL_CANCEL, which is ours from here on: somebody holds the key of a client of this worker."""
    cdef Client *client = to_cancel(w, mail)
    cdef Server *target
    if client == NULL:
        tell_console(w, owner_of_key(w, mail))
        answer(w, mail)
        return
    target = client.server
    mail.since_us = w.now_us
    mail.request_us = client.request_us
    mail.next = NULL
    if target.first_asker == NULL:
        target.first_asker = mail
    else:
        target.last_asker.next = mail
    target.last_asker = mail
    store_i32(&target.cancels_waiting, target.cancels_waiting + 1)
    if target.cancels == 0:
        serve_askers(w, target)


cdef void tell_console(Worker *w, Client *client) noexcept nogil:
    """It is a session of the console, perhaps, that is to wait no more."""
    if client != NULL and client.state == CLIENT_CONSOLE:
        tell_client(w, CONSOLE_CANCEL, client, NONE, NULL, 0)


cdef bint still_wanted(Worker *w, const Server *target, const Mail *mail) noexcept nogil:
    """Does the client still run on `target` what was to be cancelled, and is the request not too old?"""
    cdef Client *client = to_cancel(w, mail)
    cdef uint64_t limit = w.plan.cancel_wait_timeout_us
    return (client != NULL and client.server == target and client.request_us == mail.request_us
            and (limit == 0 or w.now_us < mail.since_us + limit))


cdef void serve_askers(Worker *w, Server *target) noexcept nogil:
    """No request is on its way to `target`: one for all who have waited, if any of them still wants it."""
    cdef Mail *mail = target.first_asker
    cdef Mail *next_mail
    cdef Mail *wanted = NULL
    cdef int count = 0
    target.first_asker = target.last_asker = NULL
    store_i32(&target.cancels_waiting, 0)
    while mail != NULL:
        next_mail = mail.next
        if still_wanted(w, target, mail):
            mail.next = wanted
            wanted = mail
            count += 1
        else:
            answer(w, mail)
        mail = next_mail
    if wanted != NULL and not begin(w, target, wanted):
        answer_all(w, wanted)
    elif wanted != NULL:
        store_i32(&target.cancels_asked, count)


# ---- the request ---------------------------------------------------------------------------------------------------

cdef bint cancel_start(Worker *w, Server *target) noexcept nogil:
    """Begin to cancel what `target` runs, for nobody; one that is on its way does for that.  False: it cannot be."""
    return target.cancels > 0 or begin(w, target, NULL)


cdef bint begin(Worker *w, Server *target, Mail *askers) noexcept nogil:
    """False: no key, no socket; the askers are still the caller's to answer."""
    cdef sockaddr *address = <sockaddr *>target.sockaddr
    cdef Cancel *cancel
    cdef int fd
    if target.backend_secret == NULL:
        return False
    fd = socket(address.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return False
    cancel = <Cancel *>calloc(1, sizeof(Cancel))
    if cancel != NULL:
        conn_init(&cancel.conn, fd, CONN_CANCEL)
        cancel.worker = w
        cancel.target = target
        cancel.askers = askers
        cancel.timer.owner = cancel
        if connect(fd, address, target.sockaddr_size) == 0 or errno == EINPROGRESS:
            if conn_watch(w.epoll_fd, &cancel.conn, EPOLLOUT):
                store_i32(&target.cancels, 1)
                target.replies.cancelled = True
                timer_arm(&w.wheel, &cancel.timer, w.now_us + LIMIT_US)
                return True
    close(fd)
    free(cancel)
    return False


cdef CancelVerdict cancel_event(Worker *w, Cancel *cancel, unsigned int events) noexcept nogil:
    """Something happened on its socket: connected, a step of TLS, or closed by PostgreSQL (delivered)."""
    cdef size_t got = 0
    cdef FillVerdict verdict
    if not cancel.connected:
        cancel.connected = True
        return greet(w, cancel)
    verdict = conn_fill(&w.slab, &cancel.conn, w.buffer, READ_SIZE, &got)
    if cancel.step == ENTRY_HANDSHAKE and conn_secure(&cancel.conn):
        return send_request(w, cancel)
    if cancel.step == ENTRY_TLS_ANSWER and verdict == FILL_DATA and got == 1 and w.buffer[0] == c"S":
        return shake_hands(w, cancel)
    return CANCEL_GOES_ON if verdict == FILL_AGAIN else CANCEL_ENDED


cdef CancelVerdict greet(Worker *w, Cancel *cancel) noexcept nogil:
    """In the way of the connection that it is about: with TLS where that has TLS."""
    cdef uint8_t[16] data
    cdef Writer message = writer(data, sizeof(data))
    if cancel.target.tls[0] == 0 or w.plan.server_context == NULL:
        return send_request(w, cancel)
    if w.plan.server_tls_direct:
        return shake_hands(w, cancel)
    compose_ssl_request(&message)
    cancel.step = ENTRY_TLS_ANSWER
    if conn_send(&w.slab, &cancel.conn, data, message.used) != SEND_ALL:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef CancelVerdict shake_hands(Worker *w, Cancel *cancel) noexcept nogil:
    cancel.step = ENTRY_HANDSHAKE
    cancel.conn.tls = tls_connect(w.plan.server_context)
    if cancel.conn.tls == NULL or not tls_expect(
            cancel.conn.tls, cancel.target.host, w.plan.server_tls == TLS_VERIFY_FULL):
        return CANCEL_ENDED
    if conn_begin_tls(&w.slab, &cancel.conn) == SEND_ERROR:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef CancelVerdict send_request(Worker *w, Cancel *cancel) noexcept nogil:
    cdef uint8_t[LARGEST] data
    cdef Writer message = writer(data, LARGEST)
    cancel.step = ENTRY_MESSAGES
    compose_cancel(&message, cancel.target.backend_pid, cancel.target.backend_secret,
                   cancel.target.backend_secret_size)
    if conn_send(&w.slab, &cancel.conn, data, message.used) != SEND_ALL:
        return CANCEL_ENDED
    conn_watch(w.epoll_fd, &cancel.conn, EPOLLIN)
    return CANCEL_GOES_ON


cdef Server *cancel_end(Worker *w, Cancel *cancel) noexcept nogil:
    """Close it, answer who asked, and give the target; the next one is on its way to that now if any is wanted."""
    cdef Server *target = cancel.target
    answer_all(w, cancel.askers)
    timer_disarm(&cancel.timer)
    conn_close(&w.slab, &cancel.conn)
    free(cancel)
    store_i32(&target.cancels, 0)
    store_i32(&target.cancels_asked, 0)
    serve_askers(w, target)
    return target
