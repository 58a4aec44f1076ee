"""Clocks, in microseconds."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    static inline uint64_t howdah_clock_us(clockid_t id) {
        struct timespec t;
        clock_gettime(id, &t);
        return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
    }
    """
    enum:
        CLOCK_MONOTONIC
        CLOCK_REALTIME
    uint64_t clock_us "howdah_clock_us"(int clock_id) noexcept nogil
