"""When servers cannot be opened, whom to open one for, and which have had their time."""

from libc.stdint cimport uint64_t

from howdah.dataplane.pool cimport Pool, PooledServer, Pools, WaitingClient

cdef WaitingClient *open_failed(Pools *pools, Pool *pool, int reason, bint refused, const char *sqlstate,
                                const char *message, uint64_t now_us) noexcept nogil
cdef PooledServer *make_room(Pools *pools, Pool *pool, int wanted) noexcept nogil
cdef Pool *next_to_open(Pools *pools, bint fill, uint64_t now_us, PooledServer **victim) noexcept nogil
cdef PooledServer *next_outdated(Pools *pools, uint64_t now_us) noexcept nogil
