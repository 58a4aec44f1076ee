"""A server is kept for its client."""

from libc.stdint cimport uint16_t

from howdah.dataplane.parties cimport Client, Worker

cdef bint follows_client(const Client *client) noexcept nogil
cdef void pin(Worker *w, Client *client, uint16_t why, int number) noexcept nogil
