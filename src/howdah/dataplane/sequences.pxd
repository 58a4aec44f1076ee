"""What a session remembers of sequences."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.turn cimport Step, Turn

cdef void note_sequences(Worker *w, Client *client, uint32_t effects) noexcept nogil
cdef void sequences_discarded(Client *client) noexcept nogil
cdef bint goes_by_sequences(const Client *client, uint32_t effects) noexcept nogil
cdef bint others_numbers(const Server *server, const Client *client) noexcept nogil
cdef bint must_forget(const Server *server, const Client *client) noexcept nogil
cdef void pin_sequences(Worker *w, Client *client) noexcept nogil
cdef Step discard_sequences(Worker *w, Client *client, uint32_t effects, Turn *turn) noexcept nogil
