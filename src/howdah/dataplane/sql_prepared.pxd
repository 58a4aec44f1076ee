"""Statements that are prepared, run and dropped by SQL."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.texts cimport Naming
from howdah.dataplane.turn cimport Step, Turn
from howdah.sql.effects cimport Analysis, NameUse
from howdah.wire.extended cimport Mention
from howdah.wire.frame cimport Frame

cpdef enum:
    LARGEST_LEAD = 4096  # bytes of a text in front of the statement's name

cdef Step prepare_by_query(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                           const char *name, uint32_t size, const Analysis *found, Turn *turn) noexcept nogil
cdef Step execute_by_query(Worker *w, Client *client, const Frame *frame, const uint8_t *message, const NameUse *use,
                           const char *name, uint32_t size, Turn *turn) noexcept nogil
cdef void prepare_failed(Server *server) noexcept nogil
cdef Naming *run_by_parse(const Client *client, const Frame *frame, const uint8_t *message, const Mention *mention,
                          const Analysis *found, int32_t **edition) noexcept nogil
cdef Step provide_executed(Worker *w, Client *client, Turn *turn) noexcept nogil
cdef Step parse_with_statement(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                               const Mention *mention, const Analysis *found, Naming *naming, int32_t edition,
                               Turn *turn) noexcept nogil
