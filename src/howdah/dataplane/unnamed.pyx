"""The unnamed statement, which is a client's own and is never shared.

It lives, as in PostgreSQL, until the next unnamed Parse or simple query, also over the ends of transactions.  So its
Parse is kept with the client, and lent to the server that the client is linked to when it is used again there.  Called
by `preparing`, `simple_query` and `deferral`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.buffers cimport Block, block_data, block_drop, hold
from howdah.dataplane.linking cimport note_owed
from howdah.dataplane.noting cimport hold_settings, note_effects
from howdah.dataplane.parties cimport (
    LARGEST_KEPT,
    PIN_SESSION_MODE,
    UNNAMED_KEPT,
    UNNAMED_NONE,
    UNNAMED_THERE,
    Client,
    Server,
    Worker,
)
from howdah.dataplane.reply_queue cimport (
    CHANGE_LENT,
    CHANGE_NONE,
    CHANGE_UNNAMED,
    CHANGE_UNNAMED_AGAIN,
    CHANGE_UNNAMED_KEPT,
    EXPECT_BIND,
    EXPECT_CLOSE,
    EXPECT_FUNCTION,
    EXPECT_KIND,
    EXPECT_PARSE,
    EXPECT_SWALLOW,
    EXPECT_SYNC,
    Owed,
    ReplyQueue,
    owed_at,
)
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, Step, Turn, stage_bytes, stage_request, staged, staging
from howdah.sql.effects cimport EFFECT_ANYTHING, EFFECT_DEALLOCATE, EFFECT_SETTINGS, Analysis
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_close
from howdah.wire.frame cimport Frame


cdef uint8_t unnamed_change(const Client *client) noexcept nogil:
    """How to take back what is about to happen to the unnamed statement."""
    if client.unnamed == UNNAMED_NONE:
        return CHANGE_UNNAMED
    return CHANGE_UNNAMED_AGAIN if client.server.unnamed_owner == client.id else CHANGE_UNNAMED_KEPT


cdef Step note_change(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil:
    """The message at hand ends the unnamed statement, whose Parse goes with what is owed: it may yet be skipped."""
    cdef ReplyQueue *replies = &client.server.replies
    cdef uint32_t count = replies.count
    cdef Step step = note_owed(client, expected, unnamed_change(client), NULL, turn)
    if replies.count > count:
        owed_at(replies, count).before = client.unnamed_parse
        client.unnamed_parse = NULL
    else:
        block_drop(&w.slab, &client.unnamed_parse)
    client.unnamed = UNNAMED_NONE
    client.server.unnamed_owner = 0
    return step


cdef Step parse_unnamed(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const Analysis *found,
                        Turn *turn) noexcept nogil:
    """The Parse is kept with the client; one too large to be kept keeps the server until it is used up."""
    cdef Step step = note_change(w, client, EXPECT_PARSE, turn)
    client.server.unnamed_owner = client.id
    client.unnamed = UNNAMED_THERE
    if (not client.server.pins & PIN_SESSION_MODE and frame.here == frame.size <= LARGEST_KEPT
            and hold(&w.slab, &client.unnamed_parse, message, frame.size)):
        client.unnamed = UNNAMED_KEPT
    block_drop(&w.slab, &client.unnamed_settings)
    client.unnamed_effects = found.effects
    client.unnamed_executes = False
    if not hold_settings(w, &client.unnamed_settings, found):
        client.unnamed_effects |= EFFECT_SETTINGS
    return step


cdef bint unnamed_unsure(const Client *client) noexcept nogil:
    """Does it depend on answers still to come what the unnamed statement is?  (Where it was parsed in the run at hand,
    what uses it is skipped with the Parse.)"""
    cdef const ReplyQueue *replies = &client.server.replies
    cdef const Owed *owed
    cdef bint earlier = False
    cdef uint32_t left = 0 if replies.copying_in else replies.count
    while left:
        left -= 1
        owed = owed_at(replies, left)
        earlier = earlier or EXPECT_SYNC <= owed.item & EXPECT_KIND <= EXPECT_FUNCTION
        if CHANGE_UNNAMED <= owed.change <= CHANGE_LENT:
            return earlier
    return False


cdef Step use_unnamed(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil:
    """Bind or Describe of it.  What the server has under no name may be another client's."""
    cdef Step step = STEP_FORWARD
    if ((client.server.unnamed_owner != client.id or client.unnamed == UNNAMED_NONE)
            and not client.server.pooled.dedicated):
        step = lend_unnamed(w, client, turn)
    if step != STEP_FORWARD:
        return step
    if expected == EXPECT_BIND:
        note_unnamed_run(w, client)
    return note_owed(client, expected, CHANGE_NONE, NULL, turn)


cdef void note_unnamed_run(Worker *w, Client *client) noexcept nogil:
    """It is about to be run."""
    cdef const char *names = NULL
    cdef uint32_t size = 0
    if client.unnamed_settings != NULL:
        names = <const char *>block_data(client.unnamed_settings)
        size = client.unnamed_settings.end
    note_effects(w, client, client.unnamed_effects, names, size)
    if client.unnamed_effects & EFFECT_DEALLOCATE:
        client.server.replies.dropping = True


cdef Step lend_unnamed(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Give the server the client's unnamed statement; or take it another's, so that PostgreSQL says what it would say
    to a session without one."""
    cdef Server *server = client.server
    cdef Block *kept = client.unnamed_parse
    cdef Writer message
    cdef Step step
    if not stage_request(w, client, turn):
        return STEP_GONE
    if client.unnamed == UNNAMED_KEPT:
        step = note_owed(client, EXPECT_PARSE | EXPECT_SWALLOW, CHANGE_LENT, NULL, turn)
        server.unnamed_owner = client.id
        return step if stage_bytes(w, client, block_data(kept), kept.end) else STEP_GONE
    step = note_owed(client, EXPECT_CLOSE | EXPECT_SWALLOW, CHANGE_NONE, NULL, turn)
    server.unnamed_owner = 0
    message = staging(w)
    compose_close(&message, "")
    staged(w, &message)
    return step


cdef void forget_unnamed(Worker *w, Client *client) noexcept nogil:
    """The same without a server."""
    client.unnamed = UNNAMED_NONE
    block_drop(&w.slab, &client.unnamed_parse)


cdef Owed *next_change(const Server *server) noexcept nogil:
    """The first message owed that changes the unnamed one (once more); NULL: there is none."""
    cdef Owed *owed
    for i in range(server.replies.count):
        owed = owed_at(&server.replies, i)
        if CHANGE_UNNAMED <= owed.change <= CHANGE_LENT:
            return owed
    return NULL


cdef void unnamed_back(Worker *w, Server *server, Owed *owed, bint failed) noexcept nogil:
    """A Parse that fails has ended what was there before; a message that is skipped has not.

    Where another change stands behind the Sync, it is the one before which there was what is there now.
    """
    cdef Client *client = server.client
    cdef Owed *later = next_change(server)
    if failed:
        block_drop(&w.slab, &owed.before)
        owed.change = CHANGE_UNNAMED
    if later != NULL and later.change != CHANGE_LENT:
        block_drop(&w.slab, &later.before)
        later.before = owed.before
        later.change = owed.change
    elif later != NULL:
        block_drop(&w.slab, &owed.before)
    else:
        block_drop(&w.slab, &client.unnamed_parse)
        client.unnamed_parse = owed.before
        server.unnamed_owner = client.id if owed.change == CHANGE_UNNAMED_AGAIN else 0
        client.unnamed = UNNAMED_KEPT
        client.unnamed_effects = EFFECT_ANYTHING  # it is seldom that one comes back: nobody has kept what it does
        client.unnamed_executes = True
        block_drop(&w.slab, &client.unnamed_settings)
        if owed.before == NULL:
            client.unnamed = UNNAMED_THERE if owed.change == CHANGE_UNNAMED_AGAIN else UNNAMED_NONE
    owed.before = NULL
