"""A simple query, which ends the unnamed statement and may drop named ones.

Some drivers say DEALLOCATE where others send a Close.  PostgreSQL knows the statement under another name, and maybe on
another server: without a server at hand the client's name goes at once; else a DEALLOCATE that PostgreSQL can carry
out goes in place of the client's, and the name with the answer.  Called by `relay`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.cdefs.atomics cimport load_i32
from howdah.dataplane.deferral cimport say
from howdah.dataplane.linking cimport get_server, note_owed
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.reply_queue cimport (
    CHANGE_CLOSE,
    CHANGE_DEALLOCATE,
    CHANGE_NONE,
    CHANGE_PARSE,
    CHANGE_PREPARE,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    Owed,
    all_replied,
    first_owed,
    owed_at,
)
from howdah.dataplane.preparing cimport stall
from howdah.dataplane.statements cimport (
    SHELF_LACKS,
    names_clear,
    names_find,
    names_put,
    names_take,
    shelf_clear,
    shelf_find,
    shelf_put,
    shelf_remove,
)
from howdah.dataplane.texts cimport Naming, naming_drop, naming_hold, naming_name
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, Step, Turn, stage_request, staged, staging
from howdah.dataplane.unnamed cimport forget_unnamed, note_change
from howdah.sql.deallocate cimport LARGEST_IDENTIFIER, deallocated_name
from howdah.sql.effects cimport may_drop_statements
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_query
from howdah.wire.frame cimport Frame
from howdah.wire.tags cimport IDLE, IN_FAILED_TRANSACTION, IN_TRANSACTION

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    HEADER = 5
    LARGEST_DEALLOCATE = 512  # bytes of a message that may be one
    LARGEST_TEXT = 128


cdef Step query_begins(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                       Turn *turn) noexcept nogil:
    cdef Naming *naming = NULL
    cdef bint drops = client.names.count and may_drop_statements(message + HEADER, frame.here - HEADER)
    cdef Step step
    if drops:
        naming = deallocated(client, frame, message)
        if naming != NULL and client.server == NULL:
            return deallocate_at_once(w, client, naming)
    step = get_server(w, client, turn)
    if step != STEP_FORWARD or client.server.replies.skipping:
        return step
    if naming != NULL and not client.server.replies.copying_in:
        return deallocate(w, client, frame, naming, turn)
    if drops:
        client.server.replies.dropping = True
    return note_change(w, client, EXPECT_QUERY, turn)


# ---- DEALLOCATE of one ---------------------------------------------------------------------------------------------

cdef Naming *deallocated(const Client *client, const Frame *frame, const uint8_t *message) noexcept nogil:
    """The statement that this Query is a DEALLOCATE of, if it is one of the client's.  (What was prepared by SQL is
    not.)"""
    cdef char[LARGEST_IDENTIFIER + 1] name
    cdef uint32_t size
    cdef int32_t *edition
    if frame.here < frame.size or frame.size > LARGEST_DEALLOCATE or message[frame.size - 1] != 0:
        return NULL
    size = deallocated_name(message + HEADER, frame.size - HEADER - 1, name)
    return names_find(&client.names, name, size, &edition) if size else NULL


cdef Step deallocate_at_once(Worker *w, Client *client, Naming *naming) noexcept nogil:
    """The client has no server and nothing under way."""
    naming_drop(names_take(&client.names, naming_name(naming), naming.size))
    forget_unnamed(w, client)
    client.request_us = w.now_us if client.begin == NULL else client.request_us
    return say(w, client, "DEALLOCATE", IDLE if client.begin == NULL else IN_TRANSACTION)


cdef Step deallocate(Worker *w, Client *client, const Frame *frame, Naming *naming, Turn *turn) noexcept nogil:
    """Let PostgreSQL do it under the name it knows; what is owed comes first, so that it is known how things stand."""
    cdef Server *server = client.server
    cdef char[LARGEST_TEXT] text
    cdef Step step = STEP_FORWARD
    if not all_replied(&server.replies):
        server.replies.dropping = True
        return stall(w, client, turn)
    if not stage_request(w, client, turn):
        return STEP_GONE
    if shelf_find(&server.shelf, naming.statement, 0) == SHELF_LACKS and server.status != IN_FAILED_TRANSACTION:
        snprintf(text, LARGEST_TEXT, b"PREPARE %s AS SELECT 1", naming.statement.name)
        step = put_query(w, client, text, CHANGE_NONE, NULL, EXPECT_QUERY | EXPECT_SWALLOW, turn)
    if step == STEP_FORWARD:
        snprintf(text, LARGEST_TEXT, b"DEALLOCATE %s", naming.statement.name)
        step = put_query(w, client, text, CHANGE_DEALLOCATE, naming_hold(naming), EXPECT_QUERY, turn)
    server.replies.dropping = True
    server.unnamed_owner = 0
    forget_unnamed(w, client)
    if step == STEP_FORWARD:
        turn.start = turn.pos + frame.size
    return step


cdef Step put_query(Worker *w, Client *client, const char *text, uint8_t change, Naming *naming, uint8_t expected,
                    Turn *turn) noexcept nogil:
    """A Query of ours on the stage."""
    cdef Writer message = staging(w)
    compose_query(&message, text)
    staged(w, &message)
    return note_owed(client, expected, change, naming, turn)


# ---- what came of it -----------------------------------------------------------------------------------------------

cdef void one_dropped(Server *server) noexcept nogil:
    """CommandComplete of a DEALLOCATE; of one of ours?"""
    cdef const Owed *owed = first_owed(&server.replies)
    if owed == NULL or owed.change != CHANGE_DEALLOCATE:
        return
    shelf_remove(&server.shelf, owed.naming.statement)
    if server.client != NULL:
        naming_drop(names_take(&server.client.names, naming_name(owed.naming), owed.naming.size))


cdef void all_dropped(Server *server, bint by_client) noexcept nogil:
    """DEALLOCATE ALL or DISCARD ALL has been run there.  What was sent behind it is still to come."""
    cdef const Owed *owed
    shelf_clear(&server.shelf)
    if by_client:
        names_clear(&server.client.names)
    for i in range(server.replies.count):
        owed = owed_at(&server.replies, i)
        if owed.change == CHANGE_PARSE or owed.change == CHANGE_PREPARE:
            shelf_put(&server.shelf, owed.naming.statement, load_i32(&owed.naming.statement.edition))
        if not by_client:
            continue
        if owed.change == CHANGE_PARSE and not names_put(
                &server.client.names, naming_hold(owed.naming), load_i32(&owed.naming.statement.edition)):
            naming_drop(owed.naming)
        elif owed.change == CHANGE_CLOSE:
            naming_drop(names_take(&server.client.names, naming_name(owed.naming), owed.naming.size))
