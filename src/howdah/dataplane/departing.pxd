"""Clients on their way out to another process."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Departure, Shared, Worker

cdef bint goes(Worker *w, Client *client) noexcept nogil
cdef void let_depart(Worker *w) noexcept nogil
cdef Departure *departures_fetch(Shared *shared) noexcept nogil
cdef void departures_drop(Shared *shared) noexcept nogil
