"""BEGIN is put off until there is something to do in the transaction."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.turn cimport Step
from howdah.wire.frame cimport Frame

cdef Step query_without_server(Worker *w, Client *client, const Frame *frame, const uint8_t *message) noexcept nogil
cdef Step sync_without_server(Worker *w, Client *client) noexcept nogil
