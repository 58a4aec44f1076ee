"""What a text may do to the session it runs in."""

from libc.stdint cimport uint8_t

cdef bint may_drop_statements(const uint8_t *text, size_t size) noexcept nogil
