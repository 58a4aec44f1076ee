"""What a client sends goes to a server, what the server answers goes back.

One of the three modules that tell the story (with `handshake` and `recycle`).  `relay_request` holds the one switch
over frontend message types, `relay_reply` the one over backend types; both forward runs of messages as one block
straight from the read buffer.  Called by `worker`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport strcmp

from howdah.cdefs.atomics cimport load_i32, relaxed_add_u64
from howdah.cdefs.epoll cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from howdah.dataplane.asking cimport ready_must_wait, resets_owed, say_ready, session_answered, session_row
from howdah.dataplane.buffers cimport Block, block_data, block_drop, hold, unhold
from howdah.dataplane.client cimport client_watch_deadline, set_ready
from howdah.dataplane.conn cimport (
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    SEND_ALL,
    SEND_ERROR,
    FillVerdict,
    SendVerdict,
    conn_fill,
    conn_flush,
    conn_problem,
    conn_watch,
)
from howdah.dataplane.curing cimport add_to_group, cure, cured, forget_group, tells_of_stale
from howdah.dataplane.deferral cimport query_without_server, sync_without_server
from howdah.dataplane.descriptions cimport compose_outdated, describes, description_came
from howdah.dataplane.hearing cimport own_server_tells
from howdah.dataplane.linking cimport forward_with, link, link_over, unlink
from howdah.dataplane.listening cimport listening_answered, listening_failed, transaction_ended
from howdah.dataplane.mailbox cimport tell_client, tell_reserve
from howdah.dataplane.noting cimport note_effects, setting_reported, undone
from howdah.dataplane.parties cimport (
    CLIENT_LOGIN_ACTIVE,
    CLIENT_LOGIN_WAITING,
    CLIENT_WAITING,
    READ_SIZE,
    SERVER_RECYCLING,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport PIN_SORTS, follows_client, pin_name
from howdah.dataplane.pool cimport superseded
from howdah.dataplane.preparing cimport (
    bind,
    close_target,
    describe,
    parse,
    stall,
    take_back,
)
from howdah.dataplane.recycle cimport (
    adopt,
    client_leave,
    client_lost,
    client_refuse,
    client_refuse_text,
    end_copy,
    recycle,
    server_lost,
    watch_both,
    watch_client,
    watch_server,
)
from howdah.dataplane.refusing cimport refusal_reason
from howdah.dataplane.reply_queue cimport (
    CHANGE_LISTEN,
    CHANGE_NONE,
    CHANGE_PARSE,
    EXPECT_COPY_END,
    EXPECT_EXECUTE,
    EXPECT_FUNCTION,
    EXPECT_KIND,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    EXPECT_SYNC,
    REPLY_UNEXPECTED,
    Owed,
    ReplyQueue,
    all_replied,
    first_expected,
    first_owed,
    names_unsure,
    next_voided,
    reply_came,
    work_to_do,
)
from howdah.dataplane.routes cimport STATEMENT_MODE
from howdah.dataplane.sequences cimport sequences_discarded
from howdah.dataplane.server cimport remember_parameter
from howdah.dataplane.session_state cimport settings_value
from howdah.dataplane.settling cimport settling_goes_on
from howdah.dataplane.simple_query cimport all_dropped, one_dropped, query_begins
from howdah.dataplane.sql_prepared cimport prepare_failed
from howdah.dataplane.stats cimport PIN_KINDS, Tally, observe
from howdah.dataplane.texts cimport Naming, naming_drop, naming_hold, naming_name, outdated
from howdah.dataplane.turn cimport (
    STEP_DROP,
    STEP_FORWARD,
    STEP_GONE,
    STEP_LAST,
    STEP_MORE,
    STEP_REFUSE,
    STEP_WAIT,
    Step,
    Turn,
    forward_reply,
    forward_request,
    refuse,
    stage_reply,
    staged,
    staging,
)
from howdah.sql.effects cimport EFFECT_ANYTHING
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_error, compose_notice
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
from howdah.wire.replies cimport ErrorFields, compose_renamed_error, read_error, read_parameter_status

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef enum:
    SHORT_TAG = 64  # a CommandComplete that may be RESET, DISCARD ALL or DEALLOCATE ALL
    EMPTY_MESSAGE = 5  # size of a message without a body
    SENT_WHOLE = 4096  # messages up to this size are not begun before they are whole: half a one costs a server
    MOST_UNSENT = 1048576  # bytes that a server has not taken yet, likewise
    MOST_IN_FLIGHT = 16384  # answers owed to one client, after which nothing more is taken from it for a while
    LARGEST_CONSOLE = READ_SIZE

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef uint8_t CONSOLE_DATA = EventKind.CONSOLE_DATA
cdef int NONE = NUMBERS["none"]
cdef int CLIENT_TERMINATE = NUMBERS["client_terminate"]
cdef int CLIENT_EOF = NUMBERS["client_eof"]
cdef int MESSAGE_LENGTH = NUMBERS["message_length"]
cdef int MESSAGE_TOO_LARGE = NUMBERS["message_too_large"]
cdef int MESSAGE_MALFORMED = NUMBERS["message_malformed"]
cdef int MESSAGE_TYPE = NUMBERS["message_type"]
cdef int PQEXEC_DISALLOWED = NUMBERS["pqexec_disallowed"]
cdef int STATEMENT_MODE_TRANSACTION = NUMBERS["statement_mode_transaction"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef int PIN_WARNING = NUMBERS["pin_warning"]
cdef int SERVER_CLOSED = NUMBERS["server_closed"]
cdef int SERVER_CHECK_FAILED = NUMBERS["server_check_failed"]
cdef int SERVER_IDLE_CLOSED = NUMBERS["server_idle_closed"]
cdef int SERVER_TERMINATED = NUMBERS["server_terminated"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int TOO_MANY_CHANNELS = NUMBERS["too_many_channels"]
cdef int TOO_MANY_SETTINGS = NUMBERS["too_many_settings"]
cdef int SETTINGS_REFUSED = NUMBERS["settings_refused"]


# ---- from the client -----------------------------------------------------------------------------------------------

cdef void relay_client(Worker *w, Client *client, unsigned int events) noexcept nogil:
    """Something happened on the socket of a client that is logged in."""
    cdef size_t have
    cdef size_t got = 0
    cdef FillVerdict verdict
    if events & EPOLLOUT and not client_flushed(w, client):
        return
    if (client.state == CLIENT_WAITING or client.state == CLIENT_LOGIN_WAITING or client.state == CLIENT_LOGIN_ACTIVE
            or client.conn.interest & EPOLLIN == 0 or paused(client)):
        # Nothing is read now; all there is to know is whether the client is still there.
        if (client.state != CLIENT_LOGIN_WAITING and client.state != CLIENT_LOGIN_ACTIVE
                and not events & (EPOLLHUP | EPOLLERR) and ends_in_goodbye(client)):
            client.goodbye = True
            client.query_us = w.now_us
            client_watch_deadline(client)
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


cdef bint paused(const Client *client) noexcept nogil:
    """Is nothing to be taken from this client before more answers have come?"""
    return client.stalled or client.curing or (
        client.server != NULL and (client.server.asking or client.server.telling))


cdef bint ends_in_goodbye(const Client *client) noexcept nogil:
    """Has this client, which waits or is made to, said all it wants, and Terminate?  Then its leaving is no news."""
    cdef Block *held = <Block *>client.held
    cdef Frame frame
    cdef uint32_t pos = 0
    frame.tag = 0
    while held != NULL and pos < held.end:
        if next_frame(block_data(held) + pos, held.end - pos, &frame) != FRAME_WHOLE:
            return False
        pos += frame.size
    return frame.tag == tags.TERMINATE


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
    cdef uint64_t waited_us = w.now_us - client.line.since_us
    client.line.granted = NULL
    client.owed = False
    observe(&client.pool.tallies[w.index].wait, waited_us)
    tell_reserve(w, client)
    adopt(w, server)
    link(w, client, server, waited_us)
    watch_client(w, client)
    relay_held(w, client)


cdef void relay_request(Worker *w, Client *client, const uint8_t *data, size_t size) noexcept nogil:
    """Forward the client's messages, as far as they are at hand and there is a server for them."""
    cdef Turn turn
    cdef size_t part
    cdef Frame frame
    cdef FrameVerdict verdict
    cdef Step step
    begin_turn(w, &turn, data, size)
    while turn.pos < size:
        if client.remain:
            part = min(<size_t>client.remain, size - turn.pos)
            client.remain -= <uint32_t>part
            if client.remain_drop and not leave_out(w, client, &turn, part):
                return
            if not client.remain_drop:
                turn.pos += part
            continue
        verdict = next_frame(data + turn.pos, size - turn.pos, &frame)
        if verdict == FRAME_NEED_HEADER or (verdict == FRAME_PART and frame.size <= SENT_WHOLE):
            break
        turn.reason = MESSAGE_LENGTH
        step = STEP_REFUSE
        if verdict != FRAME_BAD_LENGTH:
            step = request(w, client, &frame, data + turn.pos, &turn)
        if step == STEP_GONE:
            return
        if step == STEP_REFUSE:
            if forward_request(w, client, &turn):
                client_refuse(w, client, turn.reason, turn.detail)
            return
        if step == STEP_MORE or step == STEP_WAIT:
            break
        if step == STEP_LAST:
            if forward_request(w, client, &turn):
                watch_client(w, client)
            return
        client.remain = frame.size - frame.here
        client.remain_drop = step == STEP_DROP
        client.remain_tag = frame.tag
        if client.group != NULL:
            add_to_group(w, client, &frame, data + turn.pos)
        if step == STEP_FORWARD:
            turn.pos += frame.here
        elif not leave_out(w, client, &turn, frame.here):
            return
    if not forward_request(w, client, &turn):
        return
    if not hold(&w.slab, &client.held, data + turn.pos, size - turn.pos):
        client_refuse(w, client, OUT_OF_MEMORY, b"")
    elif client.server != NULL and all_replied(&client.server.replies):
        nothing_owed(w, client)


cdef void begin_turn(Worker *w, Turn *turn, const uint8_t *data, size_t size) noexcept nogil:
    w.staged_size = 0
    turn.data = data
    turn.size = size
    turn.start = turn.pos = 0
    turn.detail[0] = 0


cdef bint leave_out(Worker *w, Client *client, Turn *turn, size_t size) noexcept nogil:
    """Forward what comes before the next `size` bytes, and not those.  False: the client is gone."""
    if not forward_request(w, client, turn):
        return False
    turn.pos += size
    turn.start = turn.pos
    return True


cdef void nothing_owed(Worker *w, Client *client) noexcept nogil:
    """What the client sent last is answered by nothing (the rest of a copy that failed): is its transaction over?"""
    cdef Server *server = client.server
    if link_over(w, server):
        unlink(w, server)
        recycle(w, server)
    elif server.overflowed:
        server.overflowed = False
        client_refuse(w, client, TOO_MANY_SETTINGS, b"")
    elif server.forbidden:
        client_refuse(w, client, server.forbidden, pin_name(server.forbidden_pin))


cdef Step request(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                  Turn *turn) noexcept nogil:
    """The one switch over frontend message types."""
    cdef uint8_t tag = frame.tag
    cdef bint linked = client.server != NULL
    cdef Step step
    if frame.size > w.plan.max_packet_size:
        return refuse(turn, MESSAGE_TOO_LARGE)
    if linked and (client.server.replies.count >= MOST_IN_FLIGHT or client.server.conn.out.size >= MOST_UNSENT):
        return stall(w, client, turn)
    if linked and client.resets and asks_for_work(tag) and resets_owed(client):
        return stall(w, client, turn)
    if tag == tags.QUERY:
        if w.plan.disable_pqexec and not client.replication:
            return refuse(turn, PQEXEC_DISALLOWED)
        step = STEP_FORWARD if linked else query_without_server(w, client, frame, message)
        return query_begins(w, client, frame, message, turn) if step == STEP_FORWARD else step
    if tag == tags.PARSE:
        return parse(w, client, frame, message, turn)
    if tag == tags.BIND:
        return bind(w, client, frame, message, turn)
    if tag == tags.EXECUTE:
        return forward_with(w, client, EXPECT_EXECUTE, CHANGE_NONE, turn)
    if tag == tags.DESCRIBE:
        return describe(w, client, frame, message, turn)
    if tag == tags.SYNC:
        if frame.size != EMPTY_MESSAGE:
            return refuse(turn, MESSAGE_MALFORMED)
        return forward_with(w, client, EXPECT_SYNC, CHANGE_NONE, turn) if linked else sync_without_server(w, client)
    if tag == tags.CLOSE:
        return close_target(w, client, frame, message, turn)
    if tag == tags.FUNCTION_CALL:
        step = forward_with(w, client, EXPECT_FUNCTION, CHANGE_NONE, turn)
        if step == STEP_FORWARD:
            note_effects(w, client, EFFECT_ANYTHING, NULL, 0)
        return step
    if tag == tags.FLUSH and frame.size != EMPTY_MESSAGE:
        return refuse(turn, MESSAGE_MALFORMED)
    if tag == tags.FLUSH or tag == tags.COPY_DATA_F:
        if not linked:
            return STEP_DROP  # nothing is to be flushed, and CopyData is the rest of a copy that has failed already
        client.server.replies.data_sent = client.server.replies.data_sent or tag == tags.COPY_DATA_F
        return STEP_FORWARD
    if tag == tags.COPY_DONE_F or tag == tags.COPY_FAIL:
        return forward_with(w, client, EXPECT_COPY_END, CHANGE_NONE, turn) if linked else STEP_DROP
    if tag == tags.TERMINATE:
        return say_goodbye(w, client)
    snprintf(turn.detail, sizeof(turn.detail), b"%d", <int>tag)
    return refuse(turn, MESSAGE_TYPE)


cdef bint asks_for_work(uint8_t tag) noexcept nogil:
    """Is it read by the session's settings?"""
    return tag in (tags.QUERY, tags.PARSE, tags.BIND, tags.DESCRIBE, tags.EXECUTE, tags.FUNCTION_CALL)


cdef Step say_goodbye(Worker *w, Client *client) noexcept nogil:
    """Terminate: what was asked for before it is still done, as PostgreSQL does it, and nothing behind it is read."""
    if client.server == NULL or all_replied(&client.server.replies):
        client_leave(w, client, CLIENT_TERMINATE, b"")
        return STEP_GONE
    client.goodbye = True
    client.query_us = w.now_us
    client_watch_deadline(client)
    if not work_to_do(&client.server.replies):
        set_ready(client)  # what it said last is to be sent; there is nothing to wait for
    return STEP_LAST


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
    if server.client != NULL and server.client.stalled:
        let_go_on(w, server)
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
    elif server.under_check:
        server_lost(w, server, SERVER_CHECK_FAILED, detail)
    elif server.client != NULL or not all_replied(&server.replies):
        server_lost(w, server, SERVER_CLOSED, detail)
    else:
        server_lost(w, server, SERVER_IDLE_CLOSED, detail)


cdef void relay_reply(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Forward the server's messages, except for those the client never asked for."""
    cdef Turn turn
    cdef size_t part
    cdef Frame frame
    cdef FrameVerdict verdict
    cdef Step step
    cdef bint ours  # is it we who have asked?
    cdef bint waited  # ... while the client's own ReadyForQuery is kept back?
    begin_turn(w, &turn, data, size)
    while turn.pos < size:
        if server.remain:
            part = min(<size_t>server.remain, size - turn.pos)
            server.remain -= <uint32_t>part
            if server.remain_drop:
                stage_reply(w, server, &turn)
                turn.start += part
            turn.pos += part
            continue
        if data[turn.pos] == tags.DATA_ROW or data[turn.pos] == tags.COPY_DATA_B:
            part = run_of_rows(server, data + turn.pos, size - turn.pos)
            if part:
                turn.pos += part
                continue
        verdict = next_frame(data + turn.pos, size - turn.pos, &frame)
        if verdict == FRAME_NEED_HEADER:
            break
        if verdict == FRAME_BAD_LENGTH:
            forward_reply(w, server, &turn)
            server_lost(w, server, SERVER_PROTOCOL, b"a message of impossible length")
            return
        ours = server.asking or server.telling
        waited = is_told(server)
        step = reply(w, server, &frame, data + turn.pos, &turn)
        if step == STEP_GONE:
            return
        if step == STEP_MORE:
            break
        if step == STEP_REFUSE:
            forward_reply(w, server, &turn)
            client_refuse(w, server.client, STATEMENT_MODE_TRANSACTION, b"")
            if server.state != SERVER_RECYCLING:
                return
            step = STEP_DROP
        server.remain = frame.size - frame.here
        server.remain_drop = step == STEP_DROP
        if step == STEP_DROP:
            stage_reply(w, server, &turn)
            turn.start += frame.here
        turn.pos += frame.here
        if frame.tag == tags.READY_FOR_QUERY and (step == STEP_FORWARD or ours or is_told(server)):
            ready_passed(w, server, waited, &turn)
    forward_reply(w, server, &turn)
    if not hold(&w.slab, &server.held, data + turn.pos, size - turn.pos):
        server_lost(w, server, OUT_OF_MEMORY, b"")
    elif server.client == NULL:
        recycle(w, server)
    elif server.overflowed:
        server.overflowed = False
        client_refuse(w, server.client, TOO_MANY_CHANNELS if server.channels_overflowed else TOO_MANY_SETTINGS, b"")
    elif server.forbidden:
        client_refuse(w, server.client, server.forbidden, pin_name(server.forbidden_pin))
    elif server.settings_refused:
        server.settings_refused = False
        client_refuse_text(w, server.client, SETTINGS_REFUSED, w.refusal_sqlstate, w.refusal)
    else:
        let_go_on(w, server)


cdef void ready_passed(Worker *w, Server *server, bint waited, Turn *turn) noexcept nogil:
    """A ReadyForQuery of the client's, or behind a question about its session: is the link over?"""
    cdef Writer said
    if waited and not server.asking and not server.telling:
        stage_reply(w, server, turn)
        said = staging(w)
        say_ready(server.client, &said)
        staged(w, &said)
    if link_over(w, server):
        forward_reply(w, server, turn)
        unlink(w, server)
    elif server.pins_to_tell:
        tell_of_pins(w, server, turn)


cdef void tell_of_pins(Worker *w, Server *server, Turn *turn) noexcept nogil:
    """The client has its ReadyForQuery already, and gets this behind it: its server was asked meanwhile."""
    cdef Writer said
    stage_reply(w, server, turn)
    said = staging(w)
    for kind in range(PIN_KINDS):
        if server.pins_to_tell & PIN_SORTS[kind].pin:
            compose_notice(&said, PIN_WARNING, pin_name(PIN_SORTS[kind].pin))
    staged(w, &said)
    server.pins_to_tell = 0


cdef bint is_told(const Server *server) noexcept nogil:
    """Does its client wait for a ReadyForQuery that has been kept back?"""
    return server.client != NULL and server.client.told != NULL


cdef void let_go_on(Worker *w, Server *server) noexcept nogil:
    if may_go_on(w, server):
        server.client.stalled = False
        set_ready(server.client)


cdef bint may_go_on(Worker *w, Server *server) noexcept nogil:
    """Is there something to do for the client, now that these answers have come?"""
    cdef Client *client = server.client
    cdef ReplyQueue *replies = &server.replies
    if client.stalled:
        return server.conn.out.size < MOST_UNSENT // 2 and (
            replies.copying_in or (not (names_unsure(replies) or server.settling or resets_owed(client))
                                   and replies.count < MOST_IN_FLIGHT // 2))
    if client.goodbye and client.held == NULL:
        return not work_to_do(replies)
    return all_replied(replies) and (
        client.held != NULL or client.state == CLIENT_LOGIN_ACTIVE or w.draining
        or not client.conn.interest & EPOLLIN or (w.plan.server_fast_close and superseded(&server.pooled)))


cdef size_t run_of_rows(Server *server, const uint8_t *data, size_t size) noexcept nogil:
    """Bytes of whole DataRow or CopyData messages that go to the client unseen; 0: look closer."""
    cdef size_t messages = 0
    if server.client == NULL or first_expected(&server.replies) & EXPECT_SWALLOW:
        return 0
    return skip_run(data, size, data[0], &messages)


cdef Step reply(Worker *w, Server *server, const Frame *frame, const uint8_t *message, Turn *turn) noexcept nogil:
    """The one switch over backend message types."""
    cdef uint8_t tag = frame.tag
    cdef bint whole = frame.here == frame.size
    cdef uint8_t expected = first_expected(&server.replies)
    cdef Step visible = STEP_FORWARD
    cdef Owed answered
    if server.client == NULL or expected & EXPECT_SWALLOW or server.settings_refused:
        visible = STEP_DROP
    if tag == tags.DATA_ROW and server.asking:
        return row_of_answer(w, server, frame, message)
    if tag == tags.DATA_ROW or tag == tags.COPY_DATA_B or tag == tags.COPY_DONE_B or tag == tags.NOTICE_RESPONSE:
        return visible
    if tag == tags.NOTIFICATION_RESPONSE:
        if server.client == NULL:
            return STEP_DROP
        if server.client.ear == NULL:
            return STEP_FORWARD
        return own_server_tells(w, server.client, message, frame.size) if whole else STEP_MORE
    if tag == tags.PARAMETER_STATUS:
        if not whole:
            return STEP_MORE if frame.size <= READ_SIZE else visible
        return parameter_changed(w, server, message + 5, frame.size - 5, visible)
    if tag == tags.ERROR_RESPONSE:
        return STEP_MORE if not whole and frame.size <= READ_SIZE else error_came(w, server, frame, message, turn)
    if tag == tags.READY_FOR_QUERY:
        if not whole:
            return STEP_MORE
        if frame.size != 6:
            return unexpected(w, server, tag)
        server.status = message[5]
        settling_goes_on(server)
    elif tag == tags.ROW_DESCRIPTION or tag == tags.NO_DATA or tag == tags.PARAMETER_DESCRIPTION:
        if describes(first_owed(&server.replies)) and frame.size <= READ_SIZE:
            if not whole:
                return STEP_MORE
            description_came(server, first_owed(&server.replies), message, frame.size)
    elif tag == tags.COPY_BOTH_RESPONSE and w.draining and server.client != NULL:
        set_ready(server.client)  # a stream has no end to wait for
    elif tag == tags.COMMAND_COMPLETE:
        if not whole and frame.size <= SHORT_TAG:
            return STEP_MORE
        if whole:
            command_done(server, <const char *>message + 5, visible == STEP_FORWARD)
            if visible == STEP_FORWARD and server.client.ear != NULL:
                transaction_ended(server, <const char *>message + 5)
    if reply_came(&server.replies, tag, &answered) == REPLY_UNEXPECTED:
        return unexpected(w, server, tag)
    naming_drop(answered.naming)
    block_drop(&w.slab, &answered.before)
    if visible == STEP_FORWARD:
        answer_seen(w, server, tag)
        if tag == tags.READY_FOR_QUERY and ready_must_wait(server.client):
            return STEP_DROP
        if (tag == tags.READY_FOR_QUERY and server.status != tags.IDLE
                and load_i32(&server.client.pool.mode) == STATEMENT_MODE):
            return STEP_REFUSE
    elif tag == tags.COPY_IN_RESPONSE and server.client == NULL:
        end_copy(w, server)
    elif tag == tags.READY_FOR_QUERY and server.client != NULL:
        if server.client.curing:
            cured(server.client)
        elif server.asking:
            session_answered(w, server)
        else:
            if answered.change == CHANGE_LISTEN:
                listening_answered(server)
            server.telling = server.telling and server.settling
    return visible


cdef Step row_of_answer(Worker *w, Server *server, const Frame *frame, const uint8_t *message) noexcept nogil:
    """What we have asked comes in rows that are far smaller than a read, or is too much to be kept."""
    if frame.here < frame.size <= READ_SIZE:
        return STEP_MORE
    if frame.here < frame.size:
        server.overflowed = server.client != NULL
    elif server.client != NULL:
        session_row(w, server, message, frame.size)
    return STEP_DROP


cdef void answer_seen(Worker *w, Server *server, uint8_t tag) noexcept nogil:
    """The client gets an answer of type `tag`."""
    if server.client.group != NULL:
        forget_group(w, server.client)  # it cannot be repeated any more
    if tag == tags.READY_FOR_QUERY:
        server.client.cured = False
        count_query(w, server)


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
    observe(&tally.query, w.now_us - client.query_us)
    if server.status == tags.IDLE:
        relaxed_add_u64(&tally.transactions, 1)
        observe(&tally.transaction, w.now_us - client.request_us)


cdef Step parameter_changed(Worker *w, Server *server, const uint8_t *body, size_t size, Step visible) noexcept nogil:
    """ParameterStatus: something that the client has run has changed a setting, whatever its text said.  Of one that is
    to be taken back to what it was at login the client hears later, see `asking.say_ready`."""
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef Client *client = server.client
    if not read_parameter_status(body, size, &name, &value):
        return visible
    remember_parameter(server, name, value)
    if all_replied(&server.replies) or first_expected(&server.replies) & EXPECT_SWALLOW or not settable(name):
        return visible
    if client == NULL:
        server.soiled = True  # set by a client that has not waited for it
    elif visible == STEP_FORWARD and follows_client(client):
        setting_reported(client, name)
        if client.resets and settings_value(client.first_settings, name) != NULL:
            return STEP_DROP
    return visible


cdef void command_done(Server *server, const char *tag, bint by_client) noexcept nogil:
    """CommandComplete: has the command changed what is prepared there?"""
    if by_client and tag[0] == c'R' and strcmp(tag, "ROLLBACK") == 0:
        undone(server.client)
    if tag[0] != c'D' and tag[0] != c'P':
        return  # nothing of interest begins otherwise, and this is run for each command
    if by_client and strcmp(tag, "PREPARE") == 0 and first_owed(&server.replies).naming == NULL:
        server.client.sql_prepares = True
    if strcmp(tag, "DISCARD ALL") == 0 or strcmp(tag, "DEALLOCATE ALL") == 0:
        all_dropped(server, by_client)
    elif strcmp(tag, "DEALLOCATE") == 0:
        one_dropped(server)
    if by_client and (strcmp(tag, "DISCARD ALL") == 0 or strcmp(tag, "DISCARD SEQUENCES") == 0):
        sequences_discarded(server.client)


cdef bint settable(const char *name) noexcept nogil:
    """Reported parameters that no session can set, or that follow from others."""
    return not (strcmp(name, "is_superuser") == 0 or strcmp(name, "session_authorization") == 0
                or strcmp(name, "server_version") == 0 or strcmp(name, "server_encoding") == 0
                or strcmp(name, "integer_datetimes") == 0 or strcmp(name, "in_hot_standby") == 0)


cdef Step error_came(Worker *w, Server *server, const Frame *frame, const uint8_t *message,
                     Turn *turn) noexcept nogil:
    """ErrorResponse: what it takes with it is taken back.  Where a question of ours failed the client is not told so,
    but where something failed that was to be prepared for it, it is."""
    cdef const Owed *owed = first_owed(&server.replies)
    cdef uint8_t expected = owed.item if owed != NULL else 0
    cdef Naming *naming = naming_hold(owed.naming) if owed != NULL and owed.naming != NULL else NULL
    cdef bint visible = server.client != NULL and not server.settings_refused and not (
        expected & EXPECT_SWALLOW and expected & EXPECT_KIND >= EXPECT_SYNC)
    cdef bint whole = frame.here == frame.size
    cdef uint8_t change = owed.change if owed != NULL else CHANGE_NONE
    cdef int shift = owed.shift if owed != NULL else 0
    cdef Step step = STEP_FORWARD if visible else STEP_DROP
    cdef ErrorFields error
    if visible:
        undone(server.client)
    if expected & EXPECT_KIND == EXPECT_QUERY and change == CHANGE_PARSE:
        prepare_failed(server)
    all_taken_back(w, server)
    if visible and server.front_failed and expected & EXPECT_KIND == EXPECT_QUERY:
        server.front_failed = False
        return STEP_DROP
    if visible and expected & EXPECT_SWALLOW and first_expected(&server.replies) == (EXPECT_SYNC | EXPECT_SWALLOW):
        server.front_failed = True
    if whole and read_error(message + 5, frame.size - 5, &error):
        if strcmp(error.severity, "FATAL") == 0 or strcmp(error.severity, "PANIC") == 0:
            server.fatal_sent = visible
            server.ending = True
        elif expected == (EXPECT_QUERY | EXPECT_SWALLOW) and change == CHANGE_LISTEN:
            listening_failed(server)
        elif expected == (EXPECT_QUERY | EXPECT_SWALLOW):
            question_failed(w, server, &error)
        elif tells_of_stale(server, naming, &error) and visible and cure(w, server, &error):
            step = STEP_DROP
        elif (naming != NULL or shift) and visible:
            stage_reply(w, server, turn)
            say_renamed(w, frame, message, naming, shift, &error)
            step = STEP_DROP
    naming_drop(naming)
    if visible and not (server.client.curing and step == STEP_DROP):
        answer_seen(w, server, tags.ERROR_RESPONSE)
    return step


cdef void all_taken_back(Worker *w, Server *server) noexcept nogil:
    """The error at the front of what is owed, and what it takes with it."""
    cdef Owed owed
    reply_came(&server.replies, tags.ERROR_RESPONSE, &owed)
    while next_voided(&server.replies, &owed):
        take_back(w, server, &owed, server.replies.voided == 0)


cdef void say_renamed(Worker *w, const Frame *frame, const uint8_t *message, const Naming *naming,
                      int shift, const ErrorFields *error) noexcept nogil:
    """An error about a statement, by the name that the client knows."""
    cdef Writer said = staging(w)
    if naming == NULL:
        compose_renamed_error(&said, message + 5, frame.size - 5, b"", b"", shift)
    elif refusal_reason(naming) and strcmp(error.sqlstate, "26000") == 0:
        compose_error(&said, refusal_reason(naming), naming_name(naming))
    elif naming.statement == outdated() and strcmp(error.sqlstate, "26000") == 0:
        compose_outdated(&said)
    else:
        compose_renamed_error(&said, message + 5, frame.size - 5, naming.statement.name, naming_name(naming), shift)
    staged(w, &said)


cdef void question_failed(Worker *w, Server *server, const ErrorFields *error) noexcept nogil:
    """A query of ours did."""
    if server.client == NULL:
        server.question_failed = True
        return
    if server.asking:
        server.answer_lost = True
        return
    # The client is told when all that has been read of the server is dealt with.
    server.soiled = server.settings_refused = True
    snprintf(w.refusal_sqlstate, sizeof(w.refusal_sqlstate), b"%s", error.sqlstate)
    snprintf(w.refusal, sizeof(w.refusal), b"%s", error.message)


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
