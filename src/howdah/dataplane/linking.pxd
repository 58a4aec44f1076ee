"""A client and a server are joined for a transaction, and part again."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.texts cimport Naming
from howdah.dataplane.turn cimport Step, Turn

cdef Step get_server(Worker *w, Client *client, uint32_t effects, Turn *turn) noexcept nogil
cdef Step forward_with(Worker *w, Client *client, uint8_t expected, uint8_t change, Turn *turn) noexcept nogil
cdef Step note_owed(Client *client, uint8_t expected, uint8_t change, Naming *naming, Turn *turn) noexcept nogil
cdef void link(Worker *w, Client *client, Server *server, uint64_t waited_us) noexcept nogil
cdef bint link_over(Worker *w, Server *server) noexcept nogil
cdef void unlink(Worker *w, Server *server) noexcept nogil
