"""Counters: how a pool's numbers are kept apart by worker and added up for display.

Called by `relay` and `handshake` (counting, with `relaxed_add_u64` and `observe`) and `engine` (adding up).
"""

from libc.stdint cimport uint64_t

from howdah.cdefs.atomics cimport relaxed_load_u64


cdef void tally_add(Tally *total, Tally *part) noexcept nogil:
    """Add what one worker counted to `total`."""
    cdef uint64_t *to = <uint64_t *>total
    cdef uint64_t *of = <uint64_t *>part
    for i in range(sizeof(Tally) // sizeof(uint64_t)):
        to[i] += relaxed_load_u64(&of[i])
