"""Which server a client gets."""

from howdah.dataplane.parties cimport Client, Worker
from howdah.dataplane.pool cimport PooledServer, TakeVerdict

cdef TakeVerdict take_living(Worker *w, Client *client) noexcept nogil
cdef void check_idle(Worker *w, PooledServer *pooled, int watched_by) noexcept nogil
