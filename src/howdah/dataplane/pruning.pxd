"""Pools that nobody uses."""

from libc.stdint cimport uint64_t

from howdah.dataplane.pool cimport Pool, Pools

cdef Pool *prune(Pools *pools, uint64_t now_us) noexcept nogil
