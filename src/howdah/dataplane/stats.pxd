"""Counters."""

from libc.stdint cimport uint64_t

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.cdefs.bits cimport bit_length

cpdef enum:
    PIN_KINDS = 9  # of plan.PinKind, in its order
    BUCKETS = 22
    FIRST_BOUND_US = 64  # of the first bucket; each next one's is twice that, the last has none

# How often something took how long.
cdef struct Histogram:
    uint64_t[BUCKETS] counts
    uint64_t sum_us

# Pins of one kind.
cdef struct PinTally:
    uint64_t begun
    uint64_t ended
    uint64_t ended_us  # how long those lasted that have ended

# One for each pool and worker, written by that worker alone, read by anybody for display.
cdef struct Tally:
    uint64_t server_assignments
    uint64_t transactions
    uint64_t queries
    uint64_t received  # bytes from clients
    uint64_t sent  # bytes to clients
    uint64_t logins
    uint64_t client_parses  # of statements that follow their clients
    uint64_t server_parses  # ... by clients and by us
    uint64_t binds  # ... of them
    PinTally[PIN_KINDS] pins
    Histogram transaction
    Histogram query
    Histogram wait  # in line for a server, of those that had to
    Histogram checkout  # from wanting a server to having one, of all
    Histogram login  # of clients, from their coming to the first ReadyForQuery
    Histogram tls  # of clients: the handshake
    uint64_t[2] padding  # whole cache lines, so that workers do not share one

cdef void tally_add(Tally *total, Tally *part) noexcept nogil


cdef inline void observe(Histogram *histogram, uint64_t took_us) noexcept nogil:
    """Count something that took so long."""
    cdef int bucket = bit_length((took_us - 1) // FIRST_BOUND_US) if took_us else 0
    relaxed_add_u64(&histogram.counts[min(bucket, BUCKETS - 1)], 1)
    relaxed_add_u64(&histogram.sum_us, took_us)
