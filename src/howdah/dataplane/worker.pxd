"""One worker thread."""

from howdah.dataplane.parties cimport Shared, Worker

cdef bint worker_init(Worker *w, Shared *shared, int index) noexcept nogil
cdef void worker_run(Worker *w) noexcept nogil
cdef void worker_free(Worker *w) noexcept nogil
