"""How we prove to a server who we are."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Entry, Server, Worker
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.routes cimport Route
from howdah.wire.bytes cimport Reader

cdef void take_secret(Worker *w, Entry *entry, Pool *pool, const Route *found) noexcept nogil
cdef bint asked_for_proof(Worker *w, Server *server, uint32_t method, Reader *r) noexcept nogil
