"""Base64 as RFC 4648 has it, and nothing more: no white space, correct padding, no stray bits."""

from libc.stdint cimport uint8_t

cdef ssize_t base64_encode(const uint8_t *data, size_t size, char *to, size_t room) noexcept nogil
cdef ssize_t base64_decode(const char *text, size_t size, uint8_t *to, size_t room) noexcept nogil
