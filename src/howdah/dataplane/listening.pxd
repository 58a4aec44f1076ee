"""LISTEN and UNLISTEN at a client's own server, and the way from there to the hub."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.turn cimport Step, Turn

cdef Step listen_first(Worker *w, Client *client, uint32_t effects, bint alone, Turn *turn) noexcept nogil
cdef void listening_failed(Server *server) noexcept nogil
cdef void listening_answered(Server *server) noexcept nogil
cdef void transaction_ended(Server *server, const char *tag) noexcept nogil
cdef void transaction_over(Client *client) noexcept nogil
cdef void channels_answered(Worker *w, Server *server) noexcept nogil
cdef bint move_on(Worker *w, Server *server) noexcept nogil
cdef bint listening_goes_on(Worker *w, Client *client) noexcept nogil
