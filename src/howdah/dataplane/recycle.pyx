"""Ends: of a link, of a client, of a server.

One of the three modules that tell the story (with `handshake` and `relay`).  A server that is unlinked comes here and
goes back to its pool clean; a client that leaves in the middle of its work has its server cancelled, rolled back
and kept; a server that is lost takes its client with it.  Nothing in here reads from a socket, except to wait for the
end of a connection that is being closed.  Called by `handshake`, `relay` and `worker`.
"""

from libc.errno cimport ENOMEM, EPROTO
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset, strcmp, strlen, strspn

from howdah.cdefs.atomics cimport add_i32, load_i32, store_i32
from howdah.cdefs.epoll cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.cdefs.sockets cimport SHUT_RDWR, shutdown
from howdah.dataplane.buffers cimport block_drop
from howdah.dataplane.canceller cimport cancel_start
from howdah.dataplane.client cimport client_free, client_move, client_watch_deadline, login_free, set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    SEND_ALL,
    SEND_ERROR,
    conn_close,
    conn_fill,
    conn_finish,
    conn_flush,
    conn_problem,
    conn_send,
    conn_unwatch,
    conn_watch,
)
from howdah.dataplane.ears cimport ear_free
from howdah.dataplane.mailbox cimport mail_send, tell_client, tell_server
from howdah.dataplane.parties cimport (
    CLIENT_CANCEL,
    CLIENT_CLOSING,
    CLIENT_CONSOLE,
    MAIL_GRANT,
    PIN_LOAD,
    PIN_SEED,
    PIN_SESSION_MODE,
    PIN_UNNAMED_STATEMENT,
    READ_SIZE,
    SERVER_CLOSING,
    SERVER_CONNECTING,
    SERVER_HELD,
    SERVER_IDLE,
    SERVER_LOGIN,
    SERVER_RECYCLING,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport pins_end
from howdah.dataplane.poller cimport poller_remove
from howdah.dataplane.pool cimport (
    LEAVE_DONE,
    PLACE_CLOSING,
    RELEASE_CLOSE,
    RELEASE_GRANTED,
    RELEASE_IDLE,
    ReleaseVerdict,
    WaitingClient,
    gone,
    leave_line,
    release,
    set_closing,
    stop_waiting_for,
    superseded,
)
from howdah.dataplane.pool_terms cimport pool_quit
from howdah.dataplane.reply_queue cimport (
    EXPECT_COPY_END,
    EXPECT_EXECUTE,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    EXPECT_SYNC,
    all_replied,
    ends_with_ready,
    expect,
    first_expected,
    is_streaming,
)
from howdah.dataplane.rooms cimport room_not_used
from howdah.dataplane.server cimport leave_hub, server_free, server_move
from howdah.dataplane.session_state cimport (
    Draft,
    Settings,
    draft_from,
    draft_init,
    draft_remove,
    settings_drop,
    settings_new,
    settings_value,
    write_text,
)
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.wire.bytes cimport Writer, write_u8, writer
from howdah.wire.compose cimport (
    LARGEST_ERROR,
    compose_bare,
    compose_copy_fail,
    compose_error,
    compose_error_text,
    compose_execute,
    compose_query,
)
from howdah.wire.tags cimport BIND, COPY_DATA_F, IDLE, PARSE, QUERY, SYNC, TERMINATE

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef extern from "<strings.h>" nogil:
    int strcasecmp(const char *a, const char *b) noexcept

cdef enum:
    RECOVERY_LIMIT_US = 5 * 1000000  # for an abandoned server to come back in step
    LARGEST_COMPLETED = 1048576  # bytes that the message of a client that has left may lack
    CANCEL_AGAIN_US = 250 * 1000  # a cancel that comes before its query has begun does nothing
    CLOSING_LIMIT_US = 5 * 1000000  # for PostgreSQL to close a connection it was told to
    CHECK_PATIENCE_US = 500 * 1000  # for an idle server to answer before another one is sought
    SHORT_QUERY = 1024
    QUERY_OVERHEAD = 6  # tag, length and the NUL at the end

cdef uint8_t CLIENT_CLOSED = EventKind.CLIENT_CLOSED
cdef uint8_t SERVER_CLOSED = EventKind.SERVER_CLOSED
cdef uint8_t CONSOLE_CLOSED = EventKind.CONSOLE_CLOSED
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_RESET = NUMBERS["client_reset"]
cdef int TLS_FAILED = NUMBERS["tls_failed"]
cdef int SERVER_LIFETIME = NUMBERS["server_lifetime"]
cdef int REMOVED = NUMBERS["server_removed"]
cdef int PAUSED = NUMBERS["paused"]
cdef int REPLICATION_OVER = NUMBERS["replication_over"]
cdef int SERVER_IDLE_CLOSED = NUMBERS["server_idle_closed"]
cdef int CHECK_FAILED = NUMBERS["server_check_failed"]
cdef int ABANDONED = NUMBERS["abandoned_transaction"]
cdef int SESSION_SPOILED = NUMBERS["session_spoiled"]

cdef enum:
    HASTY = 3

# Timeouts that a server is not left with: the first one in any case, the others where they are short.
cdef const char *hasty[HASTY]
hasty[0] = b"idle_session_timeout"
hasty[1] = b"statement_timeout"
hasty[2] = b"transaction_timeout"

cdef const char *NO_MORE_DATA = b"client left in the middle of COPY"
# DISCARD ALL but for the prepared statements, which are not their client's alone; and it must be one string.
cdef const char *CLEANING = (
    b"CLOSE ALL;SET SESSION AUTHORIZATION DEFAULT;RESET ALL;UNLISTEN *;SELECT pg_catalog.pg_advisory_unlock_all();"
    b"DISCARD SEQUENCES;DISCARD TEMP")
cdef int UNRECOVERABLE = NUMBERS["abandoned_unrecoverable"]


# ---- what epoll is asked, from what waits where --------------------------------------------------------------------

cdef void watch_client(Worker *w, Client *client) noexcept nogil:
    """Read from the client unless its server cannot take more or it already waits; write while something is unsent."""
    cdef uint32_t events = 0
    cdef size_t unsent = client.conn.out.size if client.server == NULL else client.server.conn.out.size
    if not client.goodbye:
        events = EPOLLRDHUP if unsent else EPOLLRDHUP | EPOLLIN
    if client.conn.out.size:
        events |= EPOLLOUT
    if events:
        conn_watch(w.epoll_fd, &client.conn, events)
    else:
        conn_unwatch(w.epoll_fd, &client.conn)


cdef void watch_server(Worker *w, Server *server) noexcept nogil:
    """The mirror image."""
    cdef uint32_t events = 0
    if server.client == NULL or server.client.conn.out.size == 0:
        events |= EPOLLIN
    if server.conn.out.size:
        events |= EPOLLOUT
    if events:
        conn_watch(w.epoll_fd, &server.conn, events)
    else:
        conn_unwatch(w.epoll_fd, &server.conn)


cdef void watch_both(Worker *w, Client *client) noexcept nogil:
    watch_client(w, client)
    if client.server != NULL:
        watch_server(w, client.server)


# ---- a server without a client -------------------------------------------------------------------------------------

cdef void send_to_server(Worker *w, Server *server, const void *data, size_t size) noexcept nogil:
    """Send something of ours.  A failure shows when the socket is read next, so nothing is said here; where it is that
    memory is out, part of a message may have been sent, and nobody can speak to the server any more."""
    if conn_send(&w.slab, &server.conn, data, size) == SEND_ERROR and server.conn.error == ENOMEM:
        shutdown(server.conn.fd, SHUT_RDWR)
    watch_server(w, server)


cdef bint ask(Worker *w, Server *server, const char *query) noexcept nogil:
    """Send a query of ours whose answer no client sees."""
    cdef uint8_t[SHORT_QUERY] room
    cdef size_t size = strlen(query) + QUERY_OVERHEAD
    cdef uint8_t *long_one = <uint8_t *>malloc(size) if size > SHORT_QUERY else NULL
    cdef Writer message = writer(<uint8_t *>room if size <= SHORT_QUERY else long_one, size)
    cdef bint sent = (size <= SHORT_QUERY or long_one != NULL) and expect(
        &server.replies, EXPECT_QUERY | EXPECT_SWALLOW)
    if sent:
        compose_query(&message, query)
        server.unnamed_owner = 0  # a Query ends it
        server.recover_by_us = w.now_us + RECOVERY_LIMIT_US
        timer_arm(&w.wheel, &server.timer, server.recover_by_us)
        send_to_server(w, server, message.start, message.used)
    free(long_one)
    return sent


cdef void ask_or_close(Worker *w, Server *server, const char *query) noexcept nogil:
    """The same where nothing else will do."""
    if not ask(w, server, query):
        server_close(w, server, UNRECOVERABLE)


cdef void check(Worker *w, Server *server) noexcept nogil:
    """Ask a server that was idle whether it is still there: `recycle` goes on with the answer."""
    server_move(server, SERVER_RECYCLING)
    if w.plan.server_check_query == NULL:  # under a plan that came a moment ago
        recycle(w, server)
    elif ask(w, server, w.plan.server_check_query):
        server.under_check = True
        timer_arm(&w.wheel, &server.timer, w.now_us + CHECK_PATIENCE_US)
    else:
        server_close(w, server, UNRECOVERABLE)


cdef void settings_are_the_servers_own(Server *server) noexcept nogil:
    cdef Draft none
    server.hidden_by = 0
    draft_init(&none)
    settings_drop(server.settings)
    server.settings = settings_new(&none)


cdef void recycle(Worker *w, Server *server) noexcept nogil:
    """The next step towards the pool for a server without a client; called again when that step is answered."""
    if server.state != SERVER_RECYCLING:
        server_move(server, SERVER_RECYCLING)
    if server.ending:
        server_close(w, server, last_words_of(server))
        return
    if not all_replied(&server.replies):
        return
    if server.conn.out.size:
        timer_arm(&w.wheel, &server.timer, w.now_us + RECOVERY_LIMIT_US)
        server.recover_by_us = w.now_us + RECOVERY_LIMIT_US
        watch_server(w, server)
        return
    if server.cancels:
        timer_disarm(&server.timer)  # a cancel request has a limit of its own
        server_move(server, SERVER_HELD)  # it must hit neither our questions nor the next client's
        return
    if server.question_failed or server.replies.unsure:
        server_close(w, server, CHECK_FAILED if server.under_check else UNRECOVERABLE)
        return
    server.under_check = False
    if server.status != IDLE:
        ask_or_close(w, server, "ROLLBACK")
        return
    if server.pins & (PIN_LOAD | PIN_SEED):
        server_close(w, server, SESSION_SPOILED)
        return
    if server.pins & PIN_SESSION_MODE or server.reset_wanted:
        server.pins &= ~<uint16_t>PIN_SESSION_MODE
        server.reset_wanted = False
        server.settings_unsure = strcasecmp(w.plan.server_reset_query, "DISCARD ALL") != 0
        settings_are_the_servers_own(server)
        if w.plan.server_reset_query[0]:
            ask_or_close(w, server, w.plan.server_reset_query)
            return
    if server.settings_unsure:
        server.settings_unsure = False
        settings_are_the_servers_own(server)
        ask_or_close(w, server, "SET SESSION AUTHORIZATION DEFAULT;RESET ALL")
        return
    if server.soiled or server.pins & ~<uint16_t>PIN_UNNAMED_STATEMENT:
        server.soiled = False
        server.pins = 0
        settings_are_the_servers_own(server)
        server.numbers_by = 0
        server.evictions_lost += 1  # nor is it known what is prepared there
        ask_or_close(w, server, CLEANING)
        return
    server.pins = 0
    if server.evictions_lost:
        server.evictions_lost = 0
        ask_or_close(w, server, "DEALLOCATE ALL")
        return
    if server.unsettled:
        # PostgreSQL 18 then fails the first statement behind the next Sync (XX000, "unexpected state STARTED");
        # any statement heals it, and it must not be the next client's.
        server.unsettled = False
        ask_or_close(w, server, "")
        return
    if server.settings == NULL:
        server_close(w, server, UNRECOVERABLE)  # out of memory a moment ago
    elif not (server.settings.has_timeout and leave_timeouts(w, server)):
        pass_on(w, server)


cdef bint leave_timeouts(Worker *w, Server *server) noexcept nogil:
    """Reset what would strike somebody else than who has set it: an idle server, or the query that brings it to the
    next client's settings.  False: there is no such timeout."""
    cdef uint8_t[SHORT_QUERY] text
    cdef Writer resets = writer(text, sizeof(text))
    cdef Settings *now = server.settings
    cdef const char *value
    cdef Draft rest
    draft_from(&rest, now)
    for i in range(HASTY):
        value = settings_value(now, hasty[i])
        if value != NULL and (i == 0 or is_short(value)):
            write_text(&resets, "RESET ")
            write_text(&resets, hasty[i])
            write_text(&resets, ";")
            draft_remove(&rest, hasty[i])
    if resets.used == 0:
        return False
    write_u8(&resets, 0)
    server.settings = settings_new(&rest)
    settings_drop(now)
    ask_or_close(w, server, <const char *>text)
    return True


cdef bint is_short(const char *value) noexcept nogil:
    """Of fewer than a hundred milliseconds, as PostgreSQL shows it: a busy machine may pause for that long."""
    cdef size_t digits = strspn(value, b"0123456789")
    return 0 < digits < 3 and value[0] != c"0" and (value[digits] == 0 or strcmp(value + digits, b"ms") == 0)


cdef int last_words_of(const Server *server) noexcept nogil:
    """What it means that a server without a client has said its last words."""
    if server.under_check:
        return CHECK_FAILED
    return SERVER_IDLE_CLOSED if all_replied(&server.replies) else UNRECOVERABLE


cdef int why_closed(const Server *server) noexcept nogil:
    """What it means that a clean server does not go back to its pool."""
    if superseded(&server.pooled):
        return REMOVED
    return PAUSED if load_i32(&server.pooled.pool.held) else SERVER_LIFETIME


cdef void pass_on(Worker *w, Server *server) noexcept nogil:
    """To the longest-waiting client, on whichever worker it is, else to the idle list."""
    cdef WaitingClient *next_client = NULL
    cdef ReleaseVerdict verdict
    cdef Client *client
    timer_disarm(&server.timer)
    server.pooled.session = server.settings
    server_move(server, SERVER_IDLE)  # before the lock: behind it the server may be another worker's
    verdict = release(&w.shared.pools, &server.pooled, w.now_us, &next_client)
    if verdict == RELEASE_CLOSE:
        server_close(w, server, why_closed(server))
    elif verdict == RELEASE_IDLE:
        w.open_wanted = w.open_wanted or load_i32(&w.shared.pools.waiting) > 0  # it may stand in another pool's way
    elif verdict == RELEASE_GRANTED:
        client = <Client *>next_client.owner
        if next_client.worker == w.index:
            set_ready(client)
            return
        conn_unwatch(w.epoll_fd, &server.conn)
        client.mail.kind = MAIL_GRANT
        mail_send(&w.shared.workers[next_client.worker], &client.mail)


cdef void adopt(Worker *w, Server *server) noexcept nogil:
    """The server granted to a client of this worker is this worker's now."""
    store_i32(&server.pooled.worker, w.index)
    watch_server(w, server)


# ---- the end of a link ---------------------------------------------------------------------------------------------

cdef void unlink_and_recycle(Worker *w, Server *server) noexcept nogil:
    """The transaction is over and nothing pins the server."""
    cdef Client *client = server.client
    server.client = NULL
    client.server = NULL
    recycle(w, server)


cdef void close_dedicated(Worker *w, Server *server) noexcept nogil:
    """The one client that this server was opened for is gone.  PostgreSQL lets go of it when it has read Terminate:
    at once in the middle of a stream, else when it is done with what it does, which is cancelled."""
    if server.state == SERVER_CONNECTING or server.state == SERVER_LOGIN:
        server_lost(w, server, NONE, b"")
        return
    if not w.stopping and not all_replied(&server.replies) and not is_streaming(&server.replies):
        cancel_start(w, server)
    server_close(w, server, NONE if w.stopping else REPLICATION_OVER)


cdef void abandon(Worker *w, Client *client) noexcept nogil:
    """The client is gone in the middle of something: bring its server back in step, or close it."""
    cdef Server *server = client.server
    cdef uint8_t[256] data
    cdef Writer message = writer(data, sizeof(data))
    server.soiled = server.soiled or client.effects != 0
    server.asking = server.telling = False
    block_drop(&w.slab, &server.answer)
    pins_end(w, server, 0)
    server.client = NULL
    client.server = NULL
    if client.remain and not client.remain_drop:
        server.half_sent = server.half_sent or w.stopping or not complete(w, server, client.remain_tag, client.remain)
    if server.pooled.dedicated:
        close_dedicated(w, server)
        return
    if server.half_sent:
        server_close(w, server, UNRECOVERABLE)
        return
    if w.stopping:
        server_close(w, server, NONE)
        return
    if server.remain:
        server.remain_drop = True
    server_move(server, SERVER_RECYCLING)
    server.recover_by_us = w.now_us + RECOVERY_LIMIT_US
    timer_arm(&w.wheel, &server.timer, w.now_us + CANCEL_AGAIN_US)
    if server.replies.copying_in:
        end_copy(w, server)
    elif not all_replied(&server.replies) and first_expected(&server.replies) != (EXPECT_QUERY | EXPECT_SWALLOW):
        cancel_start(w, server)  # (what we have asked ourselves does not take long)
    if not ends_with_ready(&server.replies):
        # A Sync alone would commit what the client never finished: an error in front of it rolls it back.  It might be
        # a copy that is about to begin, and takes no Execute.
        compose_copy_fail(&message, NO_MORE_DATA)
        expect(&server.replies, EXPECT_COPY_END)
        compose_execute(&message, "of a client that left before its Sync")
        expect(&server.replies, EXPECT_EXECUTE | EXPECT_SWALLOW)
        compose_bare(&message, SYNC)
        expect(&server.replies, EXPECT_SYNC | EXPECT_SWALLOW)
    if message.used:
        send_to_server(w, server, data, message.used)
    watch_server(w, server)
    recycle(w, server)


cdef void end_copy(Worker *w, Server *server) noexcept nogil:
    """A copy in waits for data of a client that has left, unless this has ended it."""
    cdef uint8_t[256] data
    cdef Writer message = writer(data, sizeof(data))
    if not server.replies.copying_in:
        return
    compose_copy_fail(&message, NO_MORE_DATA)
    expect(&server.replies, EXPECT_COPY_END)
    if not ends_with_ready(&server.replies):
        compose_bare(&message, SYNC)
        expect(&server.replies, EXPECT_SYNC | EXPECT_SWALLOW)
    send_to_server(w, server, data, message.used)


cdef bint complete(Worker *w, Server *server, uint8_t tag, uint32_t remain) noexcept nogil:
    """Give the message that its client did not finish an end by which it does nothing; False: it has none.

    A text without its NUL is refused before it is looked at, values are only bound, and a copy is made to fail.
    """
    cdef uint8_t[4096] filler
    cdef uint32_t part
    if tag not in (QUERY, PARSE, BIND, COPY_DATA_F) or remain > LARGEST_COMPLETED:
        return False
    memset(filler, 1, sizeof(filler))
    while remain:
        part = min(remain, <uint32_t>sizeof(filler))
        send_to_server(w, server, filler, part)
        remain -= part
    return True


cdef void recovery_due(Worker *w, Server *server) noexcept nogil:
    """A recycling server has not answered for a while: cancel what it runs once more, or give it up."""
    if w.now_us >= server.recover_by_us:
        server_lost(w, server, CHECK_FAILED if server.under_check else UNRECOVERABLE, b"")
        return
    if server.under_check:
        stop_waiting_for(&w.shared.pools, &server.pooled)
        w.open_wanted = True
        timer_arm(&w.wheel, &server.timer, server.recover_by_us)
        return
    if not all_replied(&server.replies):
        cancel_start(w, server)
    timer_arm(&w.wheel, &server.timer, min(w.now_us + CANCEL_AGAIN_US, server.recover_by_us))


# ---- the end of a client -------------------------------------------------------------------------------------------

cdef void let_go(Worker *w, Client *client) noexcept nogil:
    """The client will not ask for anything any more: its server, its place in line and its counts go back."""
    if client.server != NULL:
        abandon(w, client)
    ear_free(w, client)
    if client.counted:
        client.counted = False
        add_i32(&w.shared.client_count, -1)


cdef bint grant_pending(Worker *w, Client *client) noexcept nogil:
    """Leave the line; True: a server (or a refusal) is on its way to this client already."""
    if client.owed and leave_line(&w.shared.pools, &client.line) == LEAVE_DONE:
        client.owed = False
    return client.owed


cdef void quit_pool(Worker *w, Client *client) noexcept nogil:
    if client.pool != NULL:
        pool_quit(&w.shared.pools, client.pool, client.user, client.replication != 0, w.now_us)
        client.pool = NULL


cdef void client_close(Worker *w, Client *client) noexcept nogil:
    """Whoever gets its struct next is to hear nothing of this socket."""
    if client.conn.shared and client.conn.fd >= 0:
        conn_unwatch(w.epoll_fd, &client.conn)
        poller_remove(w.still_fd, client.conn.fd)
    conn_close(&w.slab, &client.conn)


cdef void client_leave(Worker *w, Client *client, int reason, const char *detail) noexcept nogil:
    """The client is gone, or is sent away without another word."""
    cdef bint pending = grant_pending(w, client)
    if client.server != NULL and not client.replication and not w.plan.drop_in and (
            client.server.status != IDLE or not all_replied(&client.server.replies)):
        reason = ABANDONED
    let_go(w, client)
    if client.state == CLIENT_CONSOLE:
        tell_client(w, CONSOLE_CLOSED, client, reason, NULL, 0)
    elif client.state != CLIENT_CLOSING and client.state != CLIENT_CANCEL:
        tell_client(w, CLIENT_CLOSED, client, reason, detail, strlen(detail))
    quit_pool(w, client)
    client_close(w, client)
    if pending:
        client_move(client, CLIENT_CLOSING)  # until the grant has come and been passed on
    elif not client.is_ready:
        client_free(w, client)
    elif client.state != CLIENT_CLOSING:
        client_move(client, CLIENT_CLOSING)  # until the worker has taken it off the ready list


cdef void client_lost(Worker *w, Client *client) noexcept nogil:
    """Reading from the client or writing to it has failed: its connection broke, or what came is no TLS."""
    cdef bint tampered = client.conn.tls != NULL and client.conn.error == EPROTO
    client_leave(w, client, TLS_FAILED if tampered else CLIENT_RESET, conn_problem(&client.conn))


cdef void grant_not_wanted(Worker *w, Client *client) noexcept nogil:
    """What was on its way to a client that is gone has come: a server is passed on; the struct is free."""
    cdef Server *server
    client.owed = False
    if client.line.room:
        room_not_used(&w.shared.pools, &client.line)
        w.open_wanted = True
    if client.line.granted != NULL:
        server = <Server *>client.line.granted.owner
        client.line.granted = NULL
        adopt(w, server)
        recycle(w, server)
    if client.conn.fd < 0:
        client_free(w, client)


cdef void farewell(Worker *w, Client *client, int reason, const char *detail, const uint8_t *data,
                   size_t size) noexcept nogil:
    """Send the last message, then keep the socket until the client has read it: closing at once, with bytes of the
    client unread, would make the kernel throw the message away."""
    cdef bint pending = grant_pending(w, client)
    # In the middle of a message of the server's nothing of ours can be said.
    cdef bint torn = client.server != NULL and client.server.remain != 0 and not client.server.remain_drop
    let_go(w, client)
    tell_client(w, CONSOLE_CLOSED if client.state == CLIENT_CONSOLE else CLIENT_CLOSED, client, reason, detail,
                strlen(detail))
    quit_pool(w, client)
    if torn:
        size = 0
    if conn_send(&w.slab, &client.conn, data, size) == SEND_ERROR or pending:
        client_close(w, client)
    client_move(client, CLIENT_CLOSING)
    login_free(client)  # who has been refused takes no place among the logins, however long it stays
    if client.conn.fd < 0:
        if not pending and not client.is_ready:
            client_free(w, client)
        return
    if client.conn.out.size == 0:
        conn_finish(&w.slab, &client.conn)
    client.query_us = w.now_us
    client_watch_deadline(client)
    watch_client(w, client)


cdef void client_refuse(Worker *w, Client *client, int reason, const char *detail) noexcept nogil:
    """Tell the client why in an ErrorResponse of `howdah.reasons`, then close."""
    cdef uint8_t[LARGEST_ERROR] data
    cdef Writer message = writer(data, LARGEST_ERROR)
    compose_error(&message, reason, detail)
    farewell(w, client, reason, detail, data, message.used if message.ok else 0)


cdef void client_refuse_text(Worker *w, Client *client, int reason, const char *sqlstate,
                             const char *text) noexcept nogil:
    """The same with PostgreSQL's own SQLSTATE and message."""
    cdef uint8_t[LARGEST_ERROR] data
    cdef Writer message = writer(data, LARGEST_ERROR)
    compose_error_text(&message, "FATAL", sqlstate, text)
    farewell(w, client, reason, text, data, message.used if message.ok else 0)


cdef void client_lingers(Worker *w, Client *client) noexcept nogil:
    """Something happened on the socket of a client that has been told to go."""
    cdef size_t got = 0
    if client.conn.out.size:
        if conn_flush(&w.slab, &client.conn) == SEND_ERROR:
            client_leave(w, client, NONE, b"")
            return
        if client.conn.out.size == 0:
            conn_finish(&w.slab, &client.conn)
    watch_client(w, client)
    if conn_fill(&w.slab, &client.conn, w.buffer, READ_SIZE, &got) not in (FILL_DATA, FILL_AGAIN):
        client_leave(w, client, NONE, b"")


# ---- the end of a server -------------------------------------------------------------------------------------------

cdef void server_lost(Worker *w, Server *server, int reason, const char *detail) noexcept nogil:
    """The connection to PostgreSQL is gone or of no use any more; so is the client that was linked to it."""
    cdef Client *client = server.client
    if reason != NONE:
        tell_server(w, SERVER_CLOSED, server, reason, detail, strlen(detail))
    conn_close(&w.slab, &server.conn)
    leave_hub(w, server)
    if client != NULL:
        pins_end(w, server, 0)
        server.client = NULL
        client.server = NULL
        if server.fatal_sent or (server.remain and not server.remain_drop):
            farewell(w, client, reason, detail, NULL, 0)
        else:
            client_refuse(w, client, reason, detail)
    if server.pooled.place != PLACE_CLOSING:
        set_closing(&w.shared.pools, &server.pooled)
    server_move(server, SERVER_CLOSING)
    server_ended(w, server)


cdef void server_close(Worker *w, Server *server, int reason) noexcept nogil:
    """Say goodbye and wait for PostgreSQL to close: until it has, the connection counts."""
    cdef uint8_t[8] data
    cdef Writer message = writer(data, sizeof(data))
    cdef bint greeted = server.state != SERVER_CONNECTING
    tell_server(w, SERVER_CLOSED, server, reason, NULL, 0)
    set_closing(&w.shared.pools, &server.pooled)
    server_move(server, SERVER_CLOSING)
    compose_bare(&message, TERMINATE)
    if (not greeted or server.half_sent or server.conn.out.size
            or conn_send(&w.slab, &server.conn, data, message.used) != SEND_ALL):
        server_ended(w, server)
        return
    conn_finish(&w.slab, &server.conn)
    conn_watch(w.epoll_fd, &server.conn, EPOLLIN)
    timer_arm(&w.wheel, &server.timer, w.now_us + CLOSING_LIMIT_US)


cdef void server_ended(Worker *w, Server *server) noexcept nogil:
    """A closing server's connection is over: it counts no more, unless a cancel request still needs the struct."""
    conn_close(&w.slab, &server.conn)
    timer_disarm(&server.timer)
    if server.cancels:
        return
    gone(&w.shared.pools, &server.pooled)
    server_free(w, server)
    w.open_wanted = True
