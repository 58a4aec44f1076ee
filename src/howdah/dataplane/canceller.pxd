"""Cancel requests of ours on their way to PostgreSQL."""

from howdah.dataplane.parties cimport Cancel, Client, Server, Worker

cpdef enum CancelVerdict:
    CANCEL_GOES_ON
    CANCEL_ENDED  # delivered, or given up: `cancel_end` wants to be called

cdef bint cancel_start(Worker *w, Server *target, Client *asker, unsigned long asker_id,
                       int asker_worker) noexcept nogil
cdef CancelVerdict cancel_event(Worker *w, Cancel *cancel, unsigned int events) noexcept nogil
cdef Server *cancel_end(Worker *w, Cancel *cancel) noexcept nogil
