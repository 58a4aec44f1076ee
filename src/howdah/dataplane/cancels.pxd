"""Cancel keys."""

from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t cancel_pid(int worker, uint32_t slot) noexcept nogil
cdef int worker_of_pid(uint32_t pid) noexcept nogil
cdef uint32_t slot_of_pid(uint32_t pid) noexcept nogil
cdef bint same_secret(const uint8_t *a, const uint8_t *b, uint32_t size) noexcept nogil
cdef bint new_secret(uint8_t *secret, uint32_t size) noexcept nogil
