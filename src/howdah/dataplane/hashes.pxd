"""FNV-1a, for tables of names that no stranger chooses."""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    HASH_START = 2166136261


cdef inline uint32_t hash_on(uint32_t h, const char *text) noexcept nogil:
    """Go on with a text, up to its NUL."""
    while text[0]:
        h = (h ^ <uint8_t>text[0]) * 16777619u
        text += 1
    return h


cdef inline uint32_t text_hash(const char *text) noexcept nogil:
    return hash_on(<uint32_t>HASH_START, text)


cdef inline uint32_t pair_hash(const char *database, const char *user) noexcept nogil:
    return hash_on(text_hash(database) * 16777619u, user)
