"""DEALLOCATE of one statement."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum:
    LARGEST_IDENTIFIER = 63  # bytes; PostgreSQL cuts longer ones

cdef uint32_t deallocated_name(const uint8_t *text, size_t size, char *name) noexcept nogil
