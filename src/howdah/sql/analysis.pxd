"""What a text may do to the session it runs in."""

from libc.stdint cimport uint8_t

from howdah.sql.effects cimport Analysis

cdef void analyse(const uint8_t *text, size_t size, Analysis *found) noexcept nogil
