"""A simple query, which ends the unnamed statement and may drop named ones."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.turn cimport Step, Turn
from howdah.wire.frame cimport Frame

cdef Step query_begins(Worker *w, Client *client, const Frame *frame, const uint8_t *message,
                       Turn *turn) noexcept nogil
cdef void one_dropped(Server *server) noexcept nogil
cdef void all_dropped(Server *server, bint by_client) noexcept nogil
