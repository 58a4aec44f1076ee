"""Accepting clients."""

from howdah.dataplane.conn cimport Conn
from howdah.dataplane.parties cimport Worker

cdef bint accept_clients(Worker *w, Conn *listening) noexcept nogil
cdef void tune_listeners(Worker *w) noexcept nogil
cdef bint is_local(const Conn *listening) noexcept nogil
cdef void watch_listeners(Worker *w, bint on) noexcept nogil
