# cython: language_level=3
"""Times `howdah.sql.analysis`, without Python in between."""

from libc.stdint cimport uint8_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from howdah.sql.analysis cimport analyse
from howdah.sql.effects cimport Analysis


cdef double now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return t.tv_sec * 1e9 + t.tv_nsec


def nanoseconds(bytes text, int times):
    """(of one analysis, the effects found)."""
    cdef const uint8_t *data = text
    cdef size_t size = len(text) + 1
    cdef Analysis found
    cdef double start = now()
    for _ in range(times):
        analyse(data, size, &found)
    return (now() - start) / times, found.effects
