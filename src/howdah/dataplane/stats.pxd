"""Counters."""

from libc.stdint cimport uint64_t

# One for each pool and worker, written by that worker alone, read by anybody for display.
cdef struct Tally:
    uint64_t server_assignments
    uint64_t transactions
    uint64_t queries
    uint64_t received  # bytes from clients
    uint64_t sent  # bytes to clients
    uint64_t transaction_us
    uint64_t query_us
    uint64_t wait_us
    uint64_t logins
    uint64_t client_parses  # of statements that follow their clients
    uint64_t server_parses  # ... by clients and by us
    uint64_t binds  # ... of them
    uint64_t[4] padding  # two cache lines, so that workers do not share one

cdef void tally_add(Tally *total, Tally *part) noexcept nogil
