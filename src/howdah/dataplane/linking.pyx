"""A client and a server are joined for a transaction, and part again.

`get_server` takes one from the pool or waits for one, `link` joins, `link_over` says whether a transaction's end is the
link's, `unlink` parts them.  Called by the modules of the relay.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from howdah.cdefs.atomics cimport load_i32, relaxed_add_u64
from howdah.cdefs.epoll cimport EPOLLIN
from howdah.dataplane.asking cimport ask_session, must_ask
from howdah.dataplane.assignment cimport take_living
from howdah.dataplane.buffers cimport block_data, block_drop
from howdah.dataplane.client cimport client_move, client_watch_deadline, set_ready
from howdah.dataplane.connecting cimport open_server
from howdah.dataplane.handshake cimport client_refused_by_pool
from howdah.dataplane.listening cimport listen_first, move_on, transaction_over
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_IDLE,
    CLIENT_WAITING,
    LEAVING,
    PIN_LISTEN,
    PIN_SESSION_MODE,
    PIN_UNKNOWN,
    PIN_UNNAMED_STATEMENT,
    SERVER_ACTIVE,
    UNNAMED_NONE,
    UNNAMED_THERE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport pins_end
from howdah.dataplane.pool cimport TAKE_GOT, TAKE_OPEN, TAKE_REFUSED, TakeVerdict
from howdah.dataplane.recycle cimport watch_client, watch_server
from howdah.dataplane.reply_queue cimport (
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    OWE_NO_MEMORY,
    OWE_NOTED,
    OweVerdict,
    all_replied,
    ends_with_ready,
    expect,
    owe,
    replies_shrink,
)
from howdah.dataplane.routes cimport SESSION_MODE
from howdah.dataplane.sequences cimport pin_sequences
from howdah.dataplane.server cimport at_rest, server_move
from howdah.dataplane.settling cimport is_settled, settle_first
from howdah.dataplane.stats cimport Tally, observe
from howdah.dataplane.texts cimport Naming, naming_drop
from howdah.dataplane.turn cimport (
    STEP_FORWARD,
    STEP_GONE,
    STEP_WAIT,
    Step,
    Turn,
    refuse,
    stage_request,
    staged,
    staging,
)
from howdah.wire.bytes cimport Writer, write_bytes
from howdah.wire.tags cimport IDLE

from howdah.reasons import NUMBERS

cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]


cdef Step get_server(Worker *w, Client *client, uint32_t effects, Turn *turn) noexcept nogil:
    """A server for the message at hand, which has these effects: the client's, or one from the pool, now or later."""
    cdef Step step = STEP_FORWARD
    cdef bint begins
    if client.server == NULL:
        step = take_server(w, client)
    if step != STEP_FORWARD:
        return step
    begins = at_rest(client.server)
    if begins:
        client.request_us = w.now_us  # a transaction begins
        client.server.pins &= ~<uint16_t>PIN_UNKNOWN  # at its end the server is asked once more
        if not is_settled(client, client.server):
            step = settle_first(w, client, turn)
            if step != STEP_FORWARD:
                return step
    if client.ear != NULL:
        step = listen_first(w, client, effects, begins, turn)
        if step != STEP_FORWARD:
            return step
    return STEP_FORWARD if client.begin == NULL else begin_first(w, client, turn)


cdef Step begin_first(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Put the BEGIN that was answered before in front of the message at hand."""
    cdef Server *server = client.server
    cdef Writer message
    if not expect(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW):
        return refuse(turn, TOO_MANY_REPLIES)
    if not stage_request(w, client, turn):
        return STEP_GONE
    message = staging(w)
    write_bytes(&message, block_data(client.begin), client.begin.end)
    staged(w, &message)
    block_drop(&w.slab, &client.begin)
    server.unnamed_owner = 0  # a Query ends it
    return STEP_FORWARD


cdef Step forward_with(Worker *w, Client *client, uint8_t expected, uint8_t change, Turn *turn) noexcept nogil:
    """Forward the message at hand, which is answered by `expected`, once there is a server for it."""
    cdef Step step = get_server(w, client, 0, turn)
    return note_owed(client, expected, change, NULL, turn) if step == STEP_FORWARD else step


cdef Step note_owed(Client *client, uint8_t expected, uint8_t change, Naming *naming, Turn *turn) noexcept nogil:
    """The message at hand goes to the client's server.  The hold on `naming` is taken over."""
    cdef Server *server = client.server
    cdef OweVerdict verdict
    if expected == EXPECT_QUERY and server.replies.unsynced:
        server.unsettled = True
    verdict = owe(&server.replies, expected, change, naming)
    if verdict != OWE_NOTED:
        naming_drop(naming)
    return refuse(turn, TOO_MANY_REPLIES) if verdict == OWE_NO_MEMORY else STEP_FORWARD


cdef Step take_server(Worker *w, Client *client) noexcept nogil:
    """One from the pool, or a place in the line."""
    cdef TakeVerdict verdict = take_living(w, client)
    cdef Server *server
    client.request_us = w.now_us
    if verdict == TAKE_GOT:
        server = <Server *>client.line.granted.owner
        client.line.granted = NULL
        link(w, client, server, 0)
        return STEP_FORWARD
    client_move(client, CLIENT_WAITING)
    if verdict == TAKE_REFUSED:
        client_refused_by_pool(w, client)
        return STEP_GONE
    client.owed = True
    client.notified = False
    client_watch_deadline(client)
    if verdict == TAKE_OPEN:
        open_server(w, client.pool)
    return STEP_WAIT if client.state == CLIENT_WAITING else STEP_GONE


cdef void link(Worker *w, Client *client, Server *server, uint64_t waited_us) noexcept nogil:
    """Join the two, after so long a wait for it."""
    cdef Tally *tally = &client.pool.tallies[w.index]
    client_move(client, CLIENT_ACTIVE)
    server_move(server, SERVER_ACTIVE)
    client.server = server
    server.client = client
    server.request_us = client.query_us = w.now_us
    server.fatal_sent = server.front_failed = server.overflowed = False
    server.forbidden = 0
    server.reset_wanted = w.plan.server_reset_query_always
    relaxed_add_u64(&tally.server_assignments, 1)
    observe(&tally.checkout, waited_us)
    if load_i32(&client.pool.mode) == SESSION_MODE:
        server.pins |= PIN_SESSION_MODE


cdef bint link_over(Worker *w, Server *server) noexcept nogil:
    """After ReadyForQuery: has the client no more claim on this server?  To know that, the server may have to be asked
    first what the client has done to its session."""
    cdef Client *client = server.client
    if client == NULL or client.state != CLIENT_ACTIVE or not all_replied(&server.replies):
        return False
    if not ends_with_ready(&server.replies):
        return False
    if server.status != IDLE:
        if client.limits.idle_transaction_us:
            client.query_us = w.now_us
            client_watch_deadline(client)
        return False
    if must_ask(client) and client.remain == 0 and not server.pins & PIN_UNKNOWN:
        ask_session(w, server)
        return False
    if server.pins & PIN_LISTEN and client.remain == 0 and move_on(w, server):
        return False
    if client.ear != NULL:
        transaction_over(client)
    pin_sequences(w, client)
    if client.unnamed == UNNAMED_THERE:
        server.pins |= PIN_UNNAMED_STATEMENT
    else:
        server.pins &= ~<uint16_t>PIN_UNNAMED_STATEMENT
    if server.pins_counted or server.has_share:
        still_kept(w, server)
    block_drop(&w.slab, &client.suspects)
    return server.pins == 0 and client.remain == 0


cdef void still_kept(Worker *w, Server *server) noexcept nogil:
    """Which of its pins are over?  Those that are not have their time from now on, in which the client does nothing."""
    cdef Client *client = server.client
    if client.effects == 0 or server.pins_counted:
        pins_end(w, server, server.pins)
    if server.pins_counted and client.limits.pin_us:
        client.query_us = w.now_us
        client_watch_deadline(client)


cdef void unlink(Worker *w, Server *server) noexcept nogil:
    """The transaction is over: the client is idle; `recycle` gets the server when the bytes read are dealt with."""
    cdef Client *client = server.client
    replies_shrink(&server.replies)
    server.client = NULL
    client.server = NULL
    client.stalled = client.sql_prepares = False  # nothing is owed any more
    client.left_effects = 0
    client_move(client, CLIENT_IDLE)
    client.request_us = w.now_us
    if client.unnamed == UNNAMED_NONE:
        block_drop(&w.slab, &client.unnamed_parse)
    watch_server(w, server)  # a slow client may have stopped it
    if client.goodbye or client.ear != NULL:
        set_ready(client)
    if client.goodbye:
        return
    if client.limits.idle_us:
        client_watch_deadline(client)
    if client.held != NULL or w.draining or w.leaving == LEAVING or load_i32(&client.pool.removed):
        set_ready(client)
    if server.conn.out.size or not client.conn.interest & EPOLLIN:
        watch_client(w, client)
