"""What a client was told of a statement, and whether that still holds."""

from libc.stdint cimport int32_t, uint8_t

from howdah.dataplane.parties cimport Server
from howdah.dataplane.reply_queue cimport Owed
from howdah.dataplane.texts cimport Statement
from howdah.dataplane.turn cimport Turn
from howdah.wire.bytes cimport Writer
from howdah.wire.extended cimport Mention
from howdah.wire.frame cimport Frame

cdef bint is_outdated(Statement *statement, int32_t edition) noexcept nogil
cdef bint goes_by_description(const Frame *frame, const uint8_t *message, const Mention *mention,
                              const Turn *turn) noexcept nogil
cdef int type_behind(const Frame *frame, const Turn *turn) noexcept nogil
cdef bint describes(const Owed *owed) noexcept nogil
cdef void description_came(Server *server, const Owed *owed, const uint8_t *message, size_t size) noexcept nogil
cdef void compose_outdated(Writer *w) noexcept nogil
