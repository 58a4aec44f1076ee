"""What a client sends goes to a server, what the server answers goes back.

One of the three modules that tell the story (with `handshake` and `recycle`).  `relay_request` holds the one switch
over frontend message types, `relay_reply` the one over backend types; both forward runs of messages as one block
straight from the read buffer.  Called by `worker`.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, strcmp

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.cdefs.epoll cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.cdefs.sockets cimport SHUT_RDWR, shutdown
from howdah.dataplane.buffers cimport Block, block_data, hold, unhold
from howdah.dataplane.client cimport client_move, client_watch_deadline, set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ALL,
    SEND_ERROR,
    SEND_PART,
    FillVerdict,
    SendVerdict,
    conn_fill,
    conn_flush,
    conn_problem,
    conn_send,
    conn_unwatch,
    conn_watch,
)
from howdah.dataplane.handshake cimport apply_settings, client_refused_by_pool
from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_IDLE,
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    CLIENT_WAITING,
    PIN_NAMED_STATEMENT,
    PIN_SESSION_MODE,
    PIN_UNNAMED_STATEMENT,
    READ_SIZE,
    SERVER_ACTIVE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport TAKE_GOT, TAKE_OPEN, TAKE_REFUSED, TakeVerdict, take
from howdah.dataplane.recycle cimport (
    adopt,
    client_leave,
    client_lost,
    client_refuse,
    client_refuse_text,
    recycle,
    server_lost,
    watch_both,
    watch_client,
    watch_server,
)
from howdah.dataplane.reply_queue cimport (
    EXPECT_BIND,
    EXPECT_CLOSE,
    EXPECT_COPY_END,
    EXPECT_DESCRIBE,
    EXPECT_EXECUTE,
    EXPECT_FUNCTION,
    EXPECT_PARSE,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    EXPECT_SYNC,
    REPLY_UNEXPECTED,
    all_replied,
    ends_with_ready,
    expect,
    first_expected,
    is_streaming,
    reply_came,
)
from howdah.dataplane.routes cimport SESSION_MODE
from howdah.dataplane.server cimport remember_parameter, server_move
from howdah.dataplane.server_login cimport open_server
from howdah.dataplane.session_state cimport (
    Draft,
    Settings,
    draft_from,
    draft_set,
    settings_drop,
    settings_hold,
    settings_new,
    settings_value,
)
from howdah.dataplane.stats cimport Tally
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport compose_ready
from howdah.wire.extended cimport (
    NAME_CUT,
    NAME_NAMED,
    NAME_UNNAMED,
    StatementName,
    bind_name,
    describe_name,
    parse_name,
)
from howdah.wire.frame cimport (
    FRAME_BAD_LENGTH,
    FRAME_NEED_HEADER,
    FRAME_PART,
    FRAME_WHOLE,
    Frame,
    FrameVerdict,
    next_frame,
    skip_run,
)
from howdah.wire.replies cimport ErrorFields, read_error, read_parameter_status

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    SHORT_TAG = 64  # a CommandComplete that may be RESET or DISCARD ALL
    EMPTY_MESSAGE = 5  # size of a message without a body
    CLOSE_UNNAMED_SIZE = 7
    SENT_WHOLE = 4096  # messages up to this size are not begun before they are whole: half a one costs a server
    LARGEST_CONSOLE = READ_SIZE

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t CONSOLE_DATA = EventKind.CONSOLE_DATA
cdef uint8_t EVENT_PIN = EventKind.PIN
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_TERMINATE = NUMBERS["client_terminate"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int MESSAGE_LENGTH = NUMBERS["message_length"]
cdef int MESSAGE_TOO_LARGE = NUMBERS["message_too_large"]
cdef int MESSAGE_MALFORMED = NUMBERS["message_malformed"]
cdef int MESSAGE_TYPE = NUMBERS["message_type"]
cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int SERVER_CLOSED = NUMBERS["server_closed"]
cdef int SERVER_IDLE_CLOSED = NUMBERS["server_idle_closed"]
cdef int SERVER_TERMINATED = NUMBERS["server_terminated"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int SETTINGS_REFUSED = NUMBERS["settings_refused"]
cdef const uint8_t *CLOSE_UNNAMED = <const uint8_t *>b"C\x00\x00\x00\x06S\x00"
cdef int PINNED_NAMED = NUMBERS["pin_named_statement"]

# What the switches decide about the message at hand.
cdef enum Step:
    STEP_FORWARD
    STEP_CLOSE_FIRST  # forward, behind a Close of the unnamed statement
    STEP_DROP
    STEP_MORE  # it must be whole to be decided on
    STEP_WAIT  # no server is free: keep it and what is behind it
    STEP_LAST  # nothing behind it counts
    STEP_REFUSE  # the client must go; why is in the refusal
    STEP_GONE  # the client or server is gone


# Why a client is sent away, on its way from the switch to where what it sent before has been forwarded.
cdef struct Refusal:
    int reason
    char[8] detail


# ---- from the client -----------------------------------------------------------------------------------------------

cdef void relay_client(Worker *w, Client *client, unsigned int events) noexcept nogil:
    """Something happened on the socket of a client that is logged in."""
    cdef size_t have
    cdef size_t got = 0
    cdef FillVerdict verdict
    if events & EPOLLOUT and not client_flushed(w, client):
        return
    if (client.state == CLIENT_WAITING or client.state == CLIENT_LOGIN_WAITING or client.state == CLIENT_LOGIN_ACTIVE
            or client.conn.interest & EPOLLIN == 0 or settling(client)):
        # Nothing is read now; all there is to know is whether the client is still there.
        if client.state == CLIENT_WAITING and not events & (EPOLLHUP | EPOLLERR) and ends_in_goodbye(client):
            client.goodbye = True
            watch_client(w, client)
        elif events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            client_leave(w, client, CLIENT_EOF, b"")
        elif events & EPOLLIN:
            conn_watch(w.epoll_fd, &client.conn, (client.conn.interest & ~<uint32_t>EPOLLIN) | EPOLLRDHUP)
        return
    if not events & ~<unsigned int>EPOLLOUT:
        return
    have = client.held.end if client.held != NULL else 0
    verdict = conn_fill(&w.slab, &client.conn, w.buffer + have, READ_SIZE, &got)
    if verdict == FILL_DATA:
        relaxed_add_u64(&client.pool.tallies[w.index].received, got)
        unhold(&w.slab, &client.held, w.buffer)
        relay_request(w, client, w.buffer, have + got)
    elif verdict == FILL_EOF:
        client_leave(w, client, CLIENT_EOF, b"")
    elif verdict != FILL_AGAIN:
        client_lost(w, client)


cdef bint ends_in_goodbye(const Client *client) noexcept nogil:
    """Has this waiting client said all it wants, and Terminate?  Then its leaving is no news."""
    cdef const Block *held = client.held
    return (held != NULL and held.end >= 5
            and memcmp(block_data(<Block *>held) + held.end - 5, b"X\x00\x00\x00\x04", 5) == 0)


cdef bint client_flushed(Worker *w, Client *client) noexcept nogil:
    """The client takes bytes again; False: it is gone."""
    cdef SendVerdict verdict = conn_flush(&w.slab, &client.conn)
    if verdict == SEND_ERROR:
        client_lost(w, client)
        return False
    if verdict == SEND_ALL:
        watch_both(w, client)
    return True


cdef void relay_held(Worker *w, Client *client) noexcept nogil:
    """Deal with what was held back of a client that can go on."""
    cdef size_t have
    if client.held == NULL:
        return
    have = client.held.end
    unhold(&w.slab, &client.held, w.buffer)
    relay_request(w, client, w.buffer, have)


cdef void relay_granted(Worker *w, Client *client) noexcept nogil:
    """The server a client has waited for is there."""
    cdef Server *server = <Server *>client.line.granted.owner
    client.line.granted = NULL
    client.owed = False
    relaxed_add_u64(&client.pool.tallies[w.index].wait_us, w.now_us - client.line.since_us)
    adopt(w, server)
    if link(w, client, server) and not settling(client):
        watch_client(w, client)
        relay_held(w, client)


cdef void relay_request(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """Forward the client's messages, as far as they are at hand and there is a server for them."""
    cdef size_t start = 0  # of what is to be forwarded and has not been
    cdef size_t pos = 0
    cdef size_t part
    cdef Frame frame
    cdef FrameVerdict verdict
    cdef Refusal refusal
    cdef Step step
    while pos < size:
        if client.remain:
            part = min(<size_t>client.remain, size - pos)
            client.remain -= <uint32_t>part
            if client.remain_drop:
                if not forward_request(w, client, data + start, pos - start):
                    return
                start = pos + part
            pos += part
            continue
        verdict = next_frame(data + pos, size - pos, &frame)
        if verdict == FRAME_NEED_HEADER or (verdict == FRAME_PART and frame.size <= SENT_WHOLE):
            break
        refusal.detail[0] = 0
        refusal.reason = MESSAGE_LENGTH
        step = STEP_REFUSE
        if verdict != FRAME_BAD_LENGTH:
            step = request(w, client, &frame, data + pos, &refusal)
        if step == STEP_GONE:
            return
        if step == STEP_REFUSE:
            if forward_request(w, client, data + start, pos - start):
                client_refuse(w, client, refusal.reason, refusal.detail)
            return
        if step == STEP_MORE or step == STEP_WAIT:
            break
        if step == STEP_LAST:
            if forward_request(w, client, data + start, pos - start):
                watch_client(w, client)
            return
        client.remain = frame.size - frame.here
        client.remain_drop = step == STEP_DROP
        if step == STEP_CLOSE_FIRST:
            if not (forward_request(w, client, data + start, pos - start)
                    and forward_request(w, client, CLOSE_UNNAMED, CLOSE_UNNAMED_SIZE)):
                return
            start = pos
        if step == STEP_DROP:
            if not forward_request(w, client, data + start, pos - start):
                return
            start = pos + frame.here
        pos += frame.here
    if not forward_request(w, client, data + start, pos - start):
        return
    if not hold(&w.slab, &client.held, data + pos, size - pos):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif client.server != NULL and all_replied(&client.server.replies):
        nothing_owed(w, client)


cdef void nothing_owed(Worker *w, Client *client) noexcept nogil:
    """What the client sent last is answered by nothing (the rest of a copy that failed): is its transaction over?"""
    cdef Server *server = client.server
    if link_over(w, server):
        unlink(w, server)
        recycle(w, server)


cdef Step refuse(Refusal *refusal, int reason) noexcept nogil:
    refusal.reason = reason
    return STEP_REFUSE


cdef Step request(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                  Refusal *refusal) noexcept nogil:
    """The one switch over frontend message types."""
    cdef uint8_t tag = frame.tag
    cdef StatementName name
    cdef Step step
    if frame.size > w.plan.max_packet_size:
        return refuse(refusal, MESSAGE_TOO_LARGE)
    if tag == tags.QUERY:
        client.parsed_unnamed = False
        step = forward_with(w, client, EXPECT_QUERY, refusal)
        if step == STEP_FORWARD:
            client.server.unnamed_owner = 0  # a Query ends it
        return step
    if tag == tags.PARSE:
        name = parse_name(message + 5, frame.here - 5)
        if cut_short(name, frame):
            return STEP_MORE
        if name == NAME_NAMED:
            return pin_named(w, client, forward_with(w, client, EXPECT_PARSE, refusal))
        step = forward_with(w, client, EXPECT_PARSE, refusal)
        if step == STEP_FORWARD:
            client.parsed_unnamed = True
            client.server.unnamed_owner = client.id
        return step
    if tag == tags.BIND:
        name = bind_name(message + 5, frame.here - 5)
        if cut_short(name, frame):
            return STEP_MORE
        client.parsed_unnamed = False
        return use_statement(w, client, name, EXPECT_BIND, refusal)
    if tag == tags.EXECUTE:
        return forward_with(w, client, EXPECT_EXECUTE, refusal)
    if tag == tags.DESCRIBE:
        name = describe_name(message + 5, frame.here - 5)
        if cut_short(name, frame):
            return STEP_MORE
        return use_statement(w, client, name, EXPECT_DESCRIBE, refusal)
    if tag == tags.SYNC:
        if frame.size != EMPTY_MESSAGE:
            return refuse(refusal, MESSAGE_MALFORMED)
        if client.server == NULL:
            return answer_sync(w, client)
        return forward_with(w, client, EXPECT_SYNC, refusal)
    if tag == tags.CLOSE:
        return forward_with(w, client, EXPECT_CLOSE, refusal)
    if tag == tags.FUNCTION_CALL:
        return forward_with(w, client, EXPECT_FUNCTION, refusal)
    if tag == tags.FLUSH and frame.size != EMPTY_MESSAGE:
        return refuse(refusal, MESSAGE_MALFORMED)
    if tag == tags.FLUSH or tag == tags.COPY_DATA_F:
        # Without a server there is nothing to flush, and CopyData is the rest of a copy that has failed already.
        return STEP_FORWARD if client.server != NULL else STEP_DROP
    if tag == tags.COPY_DONE_F or tag == tags.COPY_FAIL:
        return forward_with(w, client, EXPECT_COPY_END, refusal) if client.server != NULL else STEP_DROP
    if tag == tags.TERMINATE:
        return say_goodbye(w, client)
    snprintf(refusal.detail, sizeof(refusal.detail), b"%d", <int>tag)
    return refuse(refusal, MESSAGE_TYPE)


cdef Step say_goodbye(Worker *w, Client *client) noexcept nogil:
    """Terminate: what was asked for before it is still done, as PostgreSQL does it, and nothing behind it is read."""
    if client.server == NULL or all_replied(&client.server.replies):
        client_leave(w, client, CLIENT_TERMINATE, b"")
        return STEP_GONE
    client.goodbye = True
    client.query_us = w.now_us
    client_watch_deadline(client)
    if is_streaming(&client.server.replies):
        set_ready(client)  # nothing to wait for
    return STEP_LAST


cdef Step answer_sync(Worker *w, Client *client) noexcept nogil:
    """A Sync outside of everything needs no server to be answered."""
    cdef uint8_t[8] data
    cdef Writer message = writer(data, sizeof(data))
    cdef SendVerdict verdict
    compose_ready(&message, tags.IDLE)
    verdict = conn_send(&w.slab, &client.conn, data, message.used)
    if verdict == SEND_ERROR:
        client_lost(w, client)
        return STEP_GONE
    if verdict == SEND_PART:
        watch_client(w, client)
    return STEP_DROP


cdef Step forward_with(Worker *w, Client *client, uint8_t expected, Refusal *refusal) noexcept nogil:
    """Forward a message that is answered by `expected`, once there is a server for it."""
    cdef Server *server
    cdef Step step
    if client.server == NULL:
        step = get_server(w, client)
        if step != STEP_FORWARD:
            return step
    server = client.server
    if server.status == tags.IDLE and all_replied(&server.replies):
        client.request_us = w.now_us  # a transaction begins
    if expected == EXPECT_QUERY and server.replies.unsynced:
        server.unsettled = True
    if expect(&server.replies, expected):
        return STEP_FORWARD
    return refuse(refusal, TOO_MANY_REPLIES)


cdef bint cut_short(StatementName name, const Frame *frame) noexcept nogil:
    """Is the name still to come?  (A whole message without one is for PostgreSQL to complain about.)"""
    return name == NAME_CUT and frame.here < frame.size and frame.size <= READ_SIZE


cdef Step use_statement(Worker *w, Client *client, StatementName name, uint8_t expected,
                        Refusal *refusal) noexcept nogil:
    """Bind or Describe.  The unnamed statement a server has may be another client's: it is closed first, so that
    PostgreSQL says what it would say to a session without one."""
    cdef Step step = STEP_FORWARD
    if client.server == NULL:
        step = get_server(w, client)
    if (step == STEP_FORWARD and name == NAME_UNNAMED and client.server.unnamed_owner != client.id
            and not client.server.pooled.dedicated):
        if not expect(&client.server.replies, EXPECT_CLOSE | EXPECT_SWALLOW):
            return refuse(refusal, TOO_MANY_REPLIES)
        step = forward_with(w, client, expected, refusal)
        return STEP_CLOSE_FIRST if step == STEP_FORWARD else step
    return forward_with(w, client, expected, refusal) if step == STEP_FORWARD else step


cdef Step pin_named(Worker *w, Client *client, Step step) noexcept nogil:
    """A named statement lives in one server session: the client keeps that server until it leaves."""
    cdef Server *server = client.server
    if step == STEP_FORWARD and not server.pins & (PIN_NAMED_STATEMENT | PIN_SESSION_MODE):
        server.pins |= PIN_NAMED_STATEMENT
        tell_client(w, EVENT_PIN, client, PINNED_NAMED, NULL, 0)
    return step


cdef Step get_server(Worker *w, Client *client) noexcept nogil:
    """A server for the client: now, or a place in the line."""
    cdef TakeVerdict verdict = take(&w.shared.pools, client.pool, &client.line, w.now_us)
    cdef Server *server
    client.request_us = w.now_us
    if verdict == TAKE_GOT:
        server = <Server *>client.line.granted.owner
        client.line.granted = NULL
        if client.line.moved_from != w.index:
            move_here(w, server, client.line.moved_from)
        if not link(w, client, server):
            return STEP_GONE
        return STEP_WAIT if settling(client) else STEP_FORWARD
    client_move(client, CLIENT_WAITING)
    if verdict == TAKE_REFUSED:
        client_refused_by_pool(w, client)
        return STEP_GONE
    client.owed = True
    client_watch_deadline(client)
    if verdict == TAKE_OPEN:
        open_server(w, client.pool)
    return STEP_WAIT if client.state == CLIENT_WAITING else STEP_GONE


cdef void move_here(Worker *w, Server *server, int from_worker) noexcept nogil:
    """An idle server that last ran on another worker: from its epoll to ours."""
    conn_unwatch(w.shared.workers[from_worker].epoll_fd, &server.conn)
    watch_server(w, server)


cdef bint link(Worker *w, Client *client, Server *server) noexcept nogil:
    """Join the two; False: the client is gone.

    Where the server's settings are not the client's, the query that makes them so goes first, and the client's bytes
    wait for its answer: run under another client's settings they could do anything.
    """
    client_move(client, CLIENT_ACTIVE)
    server_move(server, SERVER_ACTIVE)
    client.server = server
    server.client = client
    server.request_us = client.query_us = w.now_us
    server.fatal_sent = False
    relaxed_add_u64(&client.pool.tallies[w.index].server_assignments, 1)
    if client.pool.mode == SESSION_MODE:
        server.pins |= PIN_SESSION_MODE
    return server.settings == client.settings or apply_settings(w, client, server)


cdef bint settling(const Client *client) noexcept nogil:
    """Is the client linked to a server that is still being brought to its settings?"""
    return client.server != NULL and first_expected(&client.server.replies) & EXPECT_SWALLOW != 0


cdef bint forward_request(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """Send a block to the server; False: the client is gone with it."""
    cdef Server *server = client.server
    cdef SendVerdict verdict
    if server == NULL or (size == 0 and server.conn.out.size == 0):
        return True
    client.query_us = w.now_us
    verdict = conn_send(&w.slab, &server.conn, data, size)
    if verdict == SEND_PART:
        verdict = conn_flush(&w.slab, &server.conn)
    if verdict == SEND_ALL:
        return True
    if verdict == SEND_ERROR:
        if server.conn.error == ENOMEM:
            client_refuse(w, client, OUT_OF_MEMORY, b"")
            return False
        return True  # its last words may still be there to be read; the end of the connection is seen then
    watch_both(w, client)
    return True


# ---- from the server -----------------------------------------------------------------------------------------------

cdef void relay_server(Worker *w, Server *server, unsigned int events) noexcept nogil:
    """Something happened on the socket of a server that is linked, or that answers questions of ours."""
    cdef size_t have
    cdef size_t got = 0
    cdef FillVerdict verdict
    if events & EPOLLOUT and conn_flush(&w.slab, &server.conn) == SEND_ALL:
        watch_server(w, server)
        if server.client != NULL:
            watch_client(w, server.client)
    if not events & ~<unsigned int>EPOLLOUT:
        if server.client == NULL:
            recycle(w, server)
        return
    have = server.held.end if server.held != NULL else 0
    verdict = conn_fill(&w.slab, &server.conn, w.buffer + have, READ_SIZE, &got)
    if verdict == FILL_DATA:
        unhold(&w.slab, &server.held, w.buffer)
        relay_reply(w, server, w.buffer, have + got)
    elif verdict != FILL_AGAIN:
        server_went(w, server, verdict == FILL_EOF)
    elif server.client == NULL:
        recycle(w, server)  # a false alarm: nothing was there


cdef void server_went(Worker *w, Server *server, bint closed) noexcept nogil:
    """PostgreSQL has `closed` the connection, or it broke."""
    cdef const char *detail = b""
    if not closed:
        detail = conn_problem(&server.conn)
    if server.fatal_sent:
        server_lost(w, server, SERVER_TERMINATED, detail)
    elif server.client != NULL or not all_replied(&server.replies):
        server_lost(w, server, SERVER_CLOSED, detail)
    else:
        server_lost(w, server, SERVER_IDLE_CLOSED, detail)


cdef void relay_reply(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Forward the server's messages, except for those the client never asked for."""
    cdef size_t start = 0  # of what is to be forwarded and has not been
    cdef size_t pos = 0
    cdef size_t part
    cdef Frame frame
    cdef FrameVerdict verdict
    cdef Step step
    while pos < size:
        if server.remain:
            part = min(<size_t>server.remain, size - pos)
            server.remain -= <uint32_t>part
            if server.remain_drop:
                forward_reply(w, server, data + start, pos - start)
                start = pos + part
            pos += part
            continue
        if data[pos] == tags.DATA_ROW or data[pos] == tags.COPY_DATA_B:
            part = run_of_rows(server, data + pos, size - pos)
            if part:
                pos += part
                continue
        verdict = next_frame(data + pos, size - pos, &frame)
        if verdict == FRAME_NEED_HEADER:
            break
        if verdict == FRAME_BAD_LENGTH:
            forward_reply(w, server, data + start, pos - start)
            server_lost(w, server, SERVER_PROTOCOL, b"a message of impossible length")
            return
        step = reply(w, server, &frame, data + pos)
        if step == STEP_GONE:
            return
        if step == STEP_MORE:
            break
        server.remain = frame.size - frame.here
        server.remain_drop = step == STEP_DROP
        if step == STEP_DROP:
            forward_reply(w, server, data + start, pos - start)
            start = pos + frame.here
        pos += frame.here
        if frame.tag == tags.READY_FOR_QUERY and step == STEP_FORWARD and link_over(w, server):
            forward_reply(w, server, data + start, pos - start)
            start = pos
            unlink(w, server)
    forward_reply(w, server, data + start, pos - start)
    if not hold(&w.slab, &server.held, data + pos, size - pos):
        server_lost(w, server, OUT_OF_MEMORY, b"")
    elif server.client == NULL:
        recycle(w, server)
    elif server.settings_refused:
        server.settings_refused = False
        client_refuse_text(w, server.client, SETTINGS_REFUSED, w.refusal_sqlstate, w.refusal)
    elif all_replied(&server.replies) and (
            server.client.held != NULL or server.client.state == CLIENT_LOGIN_ACTIVE or server.client.goodbye
            or w.draining or not server.client.conn.interest & EPOLLIN):
        set_ready(server.client)


cdef size_t run_of_rows(Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Bytes of whole DataRow or CopyData messages that go to the client unseen; 0: look closer."""
    cdef size_t messages = 0
    if server.client == NULL or first_expected(&server.replies) & EXPECT_SWALLOW:
        return 0
    return skip_run(data, size, data[0], &messages)


cdef Step reply(Worker *w, Server *server, const Frame *frame, const uint8_t *message) noexcept nogil:
    """The one switch over backend message types."""
    cdef uint8_t tag = frame.tag
    cdef bint whole = frame.here == frame.size
    cdef uint8_t expected = first_expected(&server.replies)
    cdef Step visible = STEP_DROP if server.client == NULL or expected & EXPECT_SWALLOW else STEP_FORWARD
    if tag == tags.DATA_ROW or tag == tags.COPY_DATA_B or tag == tags.COPY_DONE_B or tag == tags.NOTICE_RESPONSE:
        return visible
    if tag == tags.NOTIFICATION_RESPONSE:
        return STEP_FORWARD if server.client != NULL else STEP_DROP
    if tag == tags.PARAMETER_STATUS:
        if not whole:
            return STEP_MORE if frame.size <= READ_SIZE else visible
        parameter_changed(server, message + 5, frame.size - 5, visible == STEP_FORWARD)
        return visible
    if tag == tags.ERROR_RESPONSE:
        if not whole and frame.size <= READ_SIZE:
            return STEP_MORE
        server.copying_in = False
        reply_came(&server.replies, tag)
        if whole:
            error_came(w, server, message + 5, frame.size - 5, expected)
        return visible if server.client != NULL else STEP_DROP
    if tag == tags.READY_FOR_QUERY:
        if not whole:
            return STEP_MORE
        if frame.size != 6:
            return unexpected(w, server, tag)
        server.status = message[5]
        server.copying_in = server.reset_seen = False
    elif tag == tags.COPY_IN_RESPONSE:
        server.copying_in = True
    elif tag == tags.COPY_BOTH_RESPONSE and w.draining and server.client != NULL:
        set_ready(server.client)  # a stream has no end to wait for
    elif tag == tags.COMMAND_COMPLETE:
        if not whole and frame.size <= SHORT_TAG:
            return STEP_MORE
        server.copying_in = False
        if visible == STEP_FORWARD:
            server.reset_seen = whole and is_reset(<const char *>message + 5)
            server.settings_unsure = server.settings_unsure or server.reset_seen
    if reply_came(&server.replies, tag) == REPLY_UNEXPECTED:
        return unexpected(w, server, tag)
    if tag == tags.READY_FOR_QUERY and visible == STEP_FORWARD:
        count_query(w, server)
    return visible


cdef Step unexpected(Worker *w, Server *server, uint8_t tag) noexcept nogil:
    """The server is out of step with us; whatever the reason, it cannot be used any more."""
    cdef char[32] text
    snprintf(text, sizeof(text), b"message type %d", <int>tag)
    server_lost(w, server, SERVER_PROTOCOL, text)
    return STEP_GONE


cdef void count_query(Worker *w, Server *server) noexcept nogil:
    cdef Client *client = server.client
    cdef Tally *tally = &client.pool.tallies[w.index]
    relaxed_add_u64(&tally.queries, 1)
    relaxed_add_u64(&tally.query_us, w.now_us - client.query_us)
    if server.status == tags.IDLE:
        relaxed_add_u64(&tally.transactions, 1)
        relaxed_add_u64(&tally.transaction_us, w.now_us - client.request_us)


cdef void parameter_changed(Server *server, const uint8_t *body, size_t size, bint visible) noexcept nogil:
    """ParameterStatus: what the client's own statement set stays with the client."""
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef const char *first
    cdef Client *client = server.client
    cdef Settings *changed
    cdef Draft draft
    if not read_parameter_status(body, size, &name, &value):
        return
    remember_parameter(server, name, value)
    if not visible or all_replied(&server.replies) or not settable(name):
        return
    if server.reset_seen:
        # The server has gone back to its own value; in a session of the client's own it would be the one it came with.
        first = settings_value(client.first_settings, name)
        value = first if first != NULL else value
    draft_from(&draft, client.settings)
    changed = settings_new(&draft) if draft_set(&draft, name, value) else NULL
    if changed == NULL:
        server.settings_unsure = True
        return
    settings_drop(client.settings)
    settings_drop(server.settings)
    client.settings = changed
    server.settings = settings_hold(changed)


cdef bint is_reset(const char *tag) noexcept nogil:
    return strcmp(tag, "RESET") == 0 or strcmp(tag, "DISCARD ALL") == 0


cdef bint settable(const char *name) noexcept nogil:
    """Reported parameters that no session can set, or that follow from others."""
    return not (strcmp(name, "is_superuser") == 0 or strcmp(name, "session_authorization") == 0
                or strcmp(name, "server_version") == 0 or strcmp(name, "server_encoding") == 0
                or strcmp(name, "integer_datetimes") == 0 or strcmp(name, "in_hot_standby") == 0)


cdef void error_came(Worker *w, Server *server, const uint8_t *body, size_t size, uint8_t expected) noexcept nogil:
    """ErrorResponse: was it the server's last word, or about a question of ours?"""
    cdef ErrorFields error
    cdef Client *client = server.client
    if not read_error(body, size, &error):
        return
    if strcmp(error.severity, "FATAL") == 0 or strcmp(error.severity, "PANIC") == 0:
        server.fatal_sent = client != NULL and not expected & EXPECT_SWALLOW
    elif expected != (EXPECT_QUERY | EXPECT_SWALLOW):
        return
    elif client == NULL:
        server.question_failed = True
    else:
        # The client is told when all that has been read of the server is dealt with.
        server.settings_unsure = server.settings_refused = True
        snprintf(w.refusal_sqlstate, sizeof(w.refusal_sqlstate), b"%s", error.sqlstate)
        snprintf(w.refusal, sizeof(w.refusal), b"%s", error.message)


cdef bint link_over(Worker *w, Server *server) noexcept nogil:
    """After ReadyForQuery: has the client no more claim on this server?"""
    cdef Client *client = server.client
    if client == NULL or client.state != CLIENT_ACTIVE or not all_replied(&server.replies):
        return False
    if not ends_with_ready(&server.replies):
        return False
    if server.status != tags.IDLE:
        if w.plan.idle_transaction_timeout_us:
            client.query_us = w.now_us
            client_watch_deadline(client)
        return False
    if client.parsed_unnamed:
        server.pins |= PIN_UNNAMED_STATEMENT
    else:
        server.pins &= ~<uint8_t>PIN_UNNAMED_STATEMENT
    return server.pins == 0 and client.remain == 0


cdef void unlink(Worker *w, Server *server) noexcept nogil:
    """The transaction is over: the client is idle; `recycle` gets the server when the bytes read are dealt with."""
    cdef Client *client = server.client
    server.client = NULL
    client.server = NULL
    client_move(client, CLIENT_IDLE)
    client.request_us = w.now_us
    watch_server(w, server)  # a slow client may have stopped it
    if client.goodbye:
        set_ready(client)
        return
    if w.plan.client_idle_timeout_us:
        client_watch_deadline(client)
    if client.held != NULL or w.draining or client.pool.removed:
        set_ready(client)
    if server.conn.out.size or not client.conn.interest & EPOLLIN:
        watch_client(w, client)


cdef void forward_reply(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Send a block to the client, if there still is one.

    A client that cannot be sent to is not taken leave of here, in the middle of its server's bytes: its own socket
    tells in a moment.
    """
    cdef Client *client = server.client
    cdef SendVerdict verdict
    if size == 0 or client == NULL:
        return
    relaxed_add_u64(&client.pool.tallies[w.index].sent, size)
    verdict = conn_send(&w.slab, &client.conn, data, size)
    if verdict == SEND_ERROR:
        shutdown(client.conn.fd, SHUT_RDWR)
    elif verdict == SEND_PART:
        watch_both(w, client)


# ---- the console ---------------------------------------------------------------------------------------------------

cdef void relay_console(Worker *w, Client *client, unsigned int events) noexcept nogil:
    """Hand whole messages of a console client to the control plane."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    cdef size_t got = 0
    if events & EPOLLOUT and not client_flushed(w, client):
        return
    if not events & ~<unsigned int>EPOLLOUT:
        return
    if conn_fill(&w.slab, &client.conn, w.buffer + have, READ_SIZE, &got) not in (FILL_DATA, FILL_AGAIN):
        client_leave(w, client, CLIENT_EOF, b"")
        return
    unhold(&w.slab, &client.held, w.buffer)
    console_messages(w, client, have + got)


cdef void console_held(Worker *w, Client *client) noexcept nogil:
    """Deal with what a console client said before it was in."""
    cdef size_t have = client.held.end if client.held != NULL else 0
    unhold(&w.slab, &client.held, w.buffer)
    console_messages(w, client, have)


cdef void console_messages(Worker *w, Client *client, size_t size) noexcept nogil:
    """`size` bytes at the front of the worker's buffer."""
    cdef size_t pos = 0
    cdef Frame frame
    cdef FrameVerdict verdict
    while pos < size:
        verdict = next_frame(w.buffer + pos, size - pos, &frame)
        if verdict == FRAME_BAD_LENGTH or (verdict == FRAME_PART and frame.size > LARGEST_CONSOLE // 2):
            client_refuse(w, client, MESSAGE_LENGTH if verdict == FRAME_BAD_LENGTH else MESSAGE_TOO_LARGE, b"")
            return
        if verdict != FRAME_WHOLE:
            break
        if frame.tag == tags.TERMINATE:
            client_leave(w, client, CLIENT_TERMINATE, b"")
            return
        pos += frame.size
    if pos:
        tell_client(w, CONSOLE_DATA, client, NONE, w.buffer, pos)
    if not hold(&w.slab, &client.held, w.buffer + pos, size - pos):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
