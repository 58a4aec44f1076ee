"""A server is brought to its client's settings."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.turn cimport Step, Turn

cdef bint is_settled(const Client *client, const Server *server) noexcept nogil
cdef Step settle_first(Worker *w, Client *client, Turn *turn) noexcept nogil
cdef bint settle_now(Worker *w, Client *client, Server *server) noexcept nogil
cdef void settling_goes_on(Server *server) noexcept nogil
cdef bint must_settle(const Client *client, uint32_t effects) noexcept nogil
