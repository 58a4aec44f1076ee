from libc.stdint cimport uint8_t

cdef int one_input(const uint8_t *data, size_t size) noexcept nogil
