"""Texts that would pin a server, where that may not be."""

from libc.stdint cimport uint16_t, uint32_t

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.texts cimport Naming
from howdah.dataplane.turn cimport Step, Turn

cdef Naming *refusal(Worker *w, Client *client, uint32_t effects) noexcept nogil
cdef Naming *refusal_of(Worker *w, Client *client, uint16_t pins) noexcept nogil
cdef Step refuse_run(Worker *w, Client *client, Naming *why, bint query, Turn *turn) noexcept nogil
cdef int refusal_reason(const Naming *naming) noexcept nogil
