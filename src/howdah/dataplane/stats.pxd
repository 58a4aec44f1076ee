"""Counters."""

from libc.stdint cimport uint64_t

cpdef enum:
    PIN_KINDS = 9  # of plan.PinKind, in its order

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
    uint64_t transaction_us
    uint64_t query_us
    uint64_t wait_us
    uint64_t logins
    uint64_t client_parses  # of statements that follow their clients
    uint64_t server_parses  # ... by clients and by us
    uint64_t binds  # ... of them
    PinTally[PIN_KINDS] pins
    uint64_t[1] padding  # whole cache lines, so that workers do not share one

cdef void tally_add(Tally *total, Tally *part) noexcept nogil
