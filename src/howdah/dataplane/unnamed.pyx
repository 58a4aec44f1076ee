"""The unnamed statement, which is a client's own and is never shared.

It lives, as in PostgreSQL, until the next unnamed Parse or simple query, also over the ends of transactions.  So its
Parse is kept with the client, and lent to the server that the client is linked to when it is used again there.  Called
by `preparing`, `simple_query` and `deferral`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from howdah.dataplane.buffers cimport Block, block_data, block_drop, hold
from howdah.dataplane.linking cimport note_owed
from howdah.dataplane.parties cimport (
    PIN_SESSION_MODE,
    READ_SIZE,
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
    EXPECT_CLOSE,
    EXPECT_KIND,
    EXPECT_PARSE,
    EXPECT_SWALLOW,
    Owed,
    owed_at,
)
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, Step, Turn, stage_request, staged, staging
from howdah.sql.effects cimport may_drop_statements
from howdah.wire.bytes cimport Writer, write_bytes
from howdah.wire.compose cimport compose_close
from howdah.wire.frame cimport Frame

cdef enum:
    HEADER = 5
    LARGEST_LENT = READ_SIZE  # of a Parse: fits on the stage


cdef uint8_t unnamed_change(const Client *client) noexcept nogil:
    """How to take back what is about to happen to the unnamed statement."""
    if client.unnamed == UNNAMED_NONE:
        return CHANGE_UNNAMED
    return CHANGE_UNNAMED_AGAIN if client.server.unnamed_owner == client.id else CHANGE_UNNAMED_KEPT


cdef Step parse_unnamed(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                        Turn *turn) noexcept nogil:
    """The Parse is kept with the client; one too large to be kept keeps the server until it is used up."""
    cdef bint may_be_skipped = client.server.replies.unsynced
    cdef Step step = note_owed(client, EXPECT_PARSE, unnamed_change(client), NULL, turn)
    if not may_be_skipped:
        block_drop(&w.slab, &client.unnamed_before)
    elif client.unnamed_before == NULL:
        client.unnamed_before = client.unnamed_parse
        client.unnamed_parse = NULL
    client.server.unnamed_owner = client.id
    client.unnamed = UNNAMED_THERE
    if not client.server.pins & PIN_SESSION_MODE and keep(w, client, message, frame.size, frame.here):
        client.unnamed = UNNAMED_KEPT
    client.unnamed_drops = client.names.count and may_drop_statements(message + HEADER, frame.here - HEADER)
    return step


cdef bint keep(Worker *w, Client *client, const uint8_t *message, uint32_t size, uint32_t here) noexcept nogil:
    """Keep the Parse in the client's block, where it fits well enough.  False: it is too large or not all there, or
    memory is out."""
    cdef Block *block = client.unnamed_parse
    cdef bint fits = here == size and size <= LARGEST_LENT
    if fits and block != NULL and block.capacity >= size >= block.capacity // 16:
        memcpy(block_data(block), message, size)
        block.end = size
        return True
    block_drop(&w.slab, &client.unnamed_parse)
    return fits and hold(&w.slab, &client.unnamed_parse, message, size)


cdef bint unnamed_unsure(const Client *client) noexcept nogil:
    """Has the client none, but would have one if what was to end it turns out to be skipped?"""
    return (client.unnamed == UNNAMED_NONE and next_change(client.server) != NULL
            and not client.server.replies.copying_in)


cdef Step use_unnamed(Worker *w, Client *client, uint8_t expected, Turn *turn) noexcept nogil:
    """Bind or Describe of it.  What the server has under no name may be another client's."""
    cdef Step step = STEP_FORWARD
    if ((client.server.unnamed_owner != client.id or client.unnamed == UNNAMED_NONE)
            and not client.server.pooled.dedicated):
        step = lend_unnamed(w, client, turn)
    if step != STEP_FORWARD:
        return step
    if client.unnamed_drops:
        client.server.replies.dropping = True
    return note_owed(client, expected, CHANGE_NONE, NULL, turn)


cdef Step lend_unnamed(Worker *w, Client *client, Turn *turn) noexcept nogil:
    """Give the server the client's unnamed statement; or take it another's, so that PostgreSQL says what it would say
    to a session without one."""
    cdef Server *server = client.server
    cdef Block *kept = client.unnamed_parse
    cdef Writer message
    cdef Step step
    if not stage_request(w, client, turn):
        return STEP_GONE
    message = staging(w)
    if client.unnamed == UNNAMED_KEPT:
        step = note_owed(client, EXPECT_PARSE | EXPECT_SWALLOW, CHANGE_LENT, NULL, turn)
        write_bytes(&message, block_data(kept), kept.end)
        server.unnamed_owner = client.id
    else:
        step = note_owed(client, EXPECT_CLOSE | EXPECT_SWALLOW, CHANGE_NONE, NULL, turn)
        compose_close(&message, "")
        server.unnamed_owner = 0
    staged(w, &message)
    return step


cdef Step end_unnamed(Client *client, uint8_t expected, Turn *turn) noexcept nogil:
    """Forward a message that ends it: a Query, or its Close."""
    cdef Step step = note_owed(client, expected, unnamed_change(client), NULL, turn)
    client.unnamed = UNNAMED_NONE
    client.server.unnamed_owner = 0
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


cdef void unnamed_back(Worker *w, Server *server, const Owed *owed, bint failed) noexcept nogil:
    """A Parse that fails has ended what was there before; a message that is skipped has not.

    Where another change stands behind the Sync, it is the one before which there was what is there now.
    """
    cdef Client *client = server.client
    cdef bint replaced = owed.item & EXPECT_KIND == EXPECT_PARSE or client.unnamed_before != NULL
    cdef Owed *later = next_change(server)
    if later != NULL:
        if later.change != CHANGE_LENT:
            later.change = CHANGE_UNNAMED if failed else owed.change
    elif failed or owed.change == CHANGE_UNNAMED:
        client.unnamed = UNNAMED_NONE
        server.unnamed_owner = 0
    elif owed.change == CHANGE_UNNAMED_AGAIN:
        server.unnamed_owner = client.id
        client.unnamed = UNNAMED_THERE if replaced or client.unnamed_parse == NULL else UNNAMED_KEPT
    else:
        server.unnamed_owner = 0
        if client.unnamed_before != NULL:
            block_drop(&w.slab, &client.unnamed_parse)
            client.unnamed_parse = client.unnamed_before
            client.unnamed_before = NULL
        client.unnamed = UNNAMED_KEPT if client.unnamed_parse != NULL else UNNAMED_NONE
