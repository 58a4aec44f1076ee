"""Room for servers that no pool hands out."""

from libc.stdint cimport uint64_t

from howdah.dataplane.pool cimport Pool, PooledServer, Pools, TakeVerdict, WaitingClient

cdef TakeVerdict take_room(Pools *pools, Pool *pool, WaitingClient *client, uint64_t now_us) noexcept nogil
cdef WaitingClient *next_alone(Pools *pools, PooledServer **victim) noexcept nogil
cdef void room_not_used(Pools *pools, WaitingClient *client) noexcept nogil
cdef void keep_for_hub(Pools *pools, Pool *pool, int by) noexcept nogil
cdef bint take_room_for_hub(Pools *pools, Pool *pool) noexcept nogil
cdef void room_for_hub_not_used(Pools *pools, Pool *pool) noexcept nogil
