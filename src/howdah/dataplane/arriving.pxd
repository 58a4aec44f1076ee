"""Clients on their way in from another process."""

from howdah.dataplane.parties cimport Arrival, Worker

cdef void arrive(Worker *w, Arrival *arrival) noexcept nogil
cdef void arrival_drop(Arrival *arrival) noexcept nogil
