"""Cancel requests on their way to peers."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.dataplane.parties cimport Forward, Mail, PeerPool, Shared, Worker
from howdah.dataplane.routes cimport CPlan

cdef int forward_refusal(const CPlan *plan, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil
cdef int forwarder_of(const Worker *w, int peer_id) noexcept nogil
cdef void forward_asked(Worker *w, Mail *mail) noexcept nogil
cdef void forward_event(Worker *w, Forward *forward) noexcept nogil
cdef void forward_late(Worker *w, Forward *forward) noexcept nogil
cdef void forwards_go_on(Worker *w, PeerPool *pool) noexcept nogil
cdef void peers_changed(Worker *w) noexcept nogil
cdef void forwards_end(Worker *w) noexcept nogil
cdef void peer_pools_free(Shared *shared) noexcept nogil
