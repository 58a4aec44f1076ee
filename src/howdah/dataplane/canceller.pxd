"""Cancel requests of ours on their way to PostgreSQL."""

from howdah.dataplane.parties cimport Cancel, Mail, Server, Worker

cpdef enum CancelVerdict:
    CANCEL_GOES_ON
    CANCEL_ENDED  # delivered, or given up: `cancel_end` wants to be called

cdef void cancel_asked(Worker *w, Mail *mail) noexcept nogil
cdef bint cancel_start(Worker *w, Server *target) noexcept nogil
cdef CancelVerdict cancel_event(Worker *w, Cancel *cancel, unsigned int events) noexcept nogil
cdef Server *cancel_end(Worker *w, Cancel *cancel) noexcept nogil
