"""What operators do to pools that run: see `operations.pyx`."""

from howdah.dataplane.parties cimport Killing, Worker
from howdah.dataplane.pool cimport Limit, Pools
from howdah.dataplane.routes cimport CPlan

cdef bint set_paused(Pools *pools, const char *database, bint paused) noexcept nogil
cdef bint set_disabled(Pools *pools, const char *database, bint disabled) noexcept nogil
cdef Limit *limit_of(Pools *pools, const char *database) noexcept nogil
cdef void renew_servers(Pools *pools, const char *database) noexcept nogil
cdef void keep_states(Pools *pools, CPlan *plan) noexcept nogil
cdef int servers_left(Pools *pools, const char *database, bint superseded_ones) noexcept nogil
cdef int clients_left(Pools *pools) noexcept nogil
cdef void pools_changed(Worker *w) noexcept nogil
cdef void kill_clients(Worker *w, const Limit *database) noexcept nogil
cdef void kill_client(Worker *w, Killing *killing) noexcept nogil
