"""SUSPEND: a worker stands still, see `suspension.pyx`."""

from libc.stdint cimport int32_t, uint32_t

from howdah.dataplane.conn cimport Conn
from howdah.dataplane.parties cimport Mail, Worker

cdef void suspend(Worker *w) noexcept nogil
cdef void still_event(Worker *w, Conn *conn, uint32_t events) noexcept nogil
cdef void still_watch(Worker *w, Conn *conn) noexcept nogil
cdef void suspend_overdue(Worker *w) noexcept nogil
cdef bint put_off(Worker *w, Mail *mail) noexcept nogil
cdef Mail *end_suspension(Worker *w) noexcept nogil
