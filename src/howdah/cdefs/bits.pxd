"""Bits of a number."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    static inline int howdah_bit_length(uint64_t x) { return x ? 64 - __builtin_clzll(x) : 0; }
    """
    int bit_length "howdah_bit_length"(uint64_t x) noexcept nogil
