"""A client proves who it is."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.wire.startup cimport Startup

cdef void ask_for_proof(Worker *w, Client *client, const Startup *packet) noexcept nogil
cdef void proof_came(Worker *w, Client *client) noexcept nogil
cdef void proof_held(Worker *w, Client *client) noexcept nogil
cdef void refuse_password(Worker *w, Client *client) noexcept nogil
cdef void outside_answered(Worker *w, Client *client, uint8_t verdict, void *data) noexcept nogil
