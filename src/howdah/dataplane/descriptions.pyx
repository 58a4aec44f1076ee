"""What a client was told of a statement, and whether that still holds.

Many drivers have a statement described once and go by that from then on.  PostgreSQL never lets them down: where the
result has become another one, it says so ("cached plan must not change result type"), and the driver starts afresh.
Here the server's copy may be younger than what the client was told, and PostgreSQL sees nothing wrong.  So each
description that passes is compared with the last of the same statement, and a client that goes by an older one gets
the error that it would have got; before a server runs for it what it has yet to prepare, that is described.  Called by
`preparing` and `relay`.
"""

from libc.stdint cimport int32_t, uint8_t

from howdah.cdefs.atomics cimport load_i32
from howdah.dataplane.parties cimport Server
from howdah.dataplane.reply_queue cimport EXPECT_DESCRIBE, EXPECT_KIND, Owed
from howdah.dataplane.statements cimport shelf_edition
from howdah.dataplane.texts cimport Statement, is_older, statement_described
from howdah.dataplane.turn cimport Turn
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_error_of
from howdah.wire.extended cimport Mention, result_formats
from howdah.wire.frame cimport Frame
from howdah.wire.replies cimport parameters_shape, result_shape

cdef enum:
    HEADER = 5


cdef bint is_outdated(Statement *statement, int32_t edition) noexcept nogil:
    """Is it another one now than for a client that was told of it in this edition?"""
    return is_older(edition, load_i32(&statement.changed))


cdef bint goes_by_description(const Frame *frame, const uint8_t *message, const Mention *mention,
                              const Turn *turn) noexcept nogil:
    """Does the sender of this Bind go by an earlier description?  It does if it asks for none behind the Bind, or has
    chosen a format for each of the columns that it was told of.  (Of a large message not enough is at hand to say.)"""
    cdef int behind = type_behind(frame, turn)
    return behind >= 0 and (behind != tags.DESCRIBE or result_formats(message, frame.size, mention.end) > 1)


cdef int type_behind(const Frame *frame, const Turn *turn) noexcept nogil:
    """The type of the message behind the one at hand; -1: that has not come yet."""
    cdef size_t behind = turn.pos + frame.size
    return turn.data[behind] if behind < turn.size else -1


cdef bint describes(const Owed *owed) noexcept nogil:
    """Is a named statement to be described?"""
    return owed != NULL and owed.naming != NULL and owed.item & EXPECT_KIND == EXPECT_DESCRIBE


cdef void description_came(Server *server, const Owed *owed, const uint8_t *message, size_t size) noexcept nogil:
    """ParameterDescription, then RowDescription or NoData, of which these are whole."""
    cdef Statement *statement = owed.naming.statement
    cdef int32_t edition
    if message[0] == tags.PARAMETER_DESCRIPTION:
        server.described = parameters_shape(message + HEADER, size - HEADER)
        return
    if shelf_edition(&server.shelf, statement, &edition):
        statement_described(statement, edition, result_shape(server.described, message + HEADER, size - HEADER))


cdef void compose_outdated(Writer *w) noexcept nogil:
    """In PostgreSQL's words, by which drivers know what to do."""
    compose_error_of(w, "0A000", "cached plan must not change result type", "RevalidateCachedQuery")
