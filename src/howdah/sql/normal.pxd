"""Texts without what is particular to one run of them."""

from libc.stdint cimport uint8_t

cdef size_t normal_text(const uint8_t *text, size_t size, char *to, size_t room) noexcept nogil
