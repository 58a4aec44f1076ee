"""Cancel keys: the process number tells which worker and client a key is for, the secret that it is the right one.

Holds no socket and calls no one.  Called by `handshake` (keys given out) and `worker` (keys that come back).
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.cdefs.sockets cimport getrandom

cdef enum:
    SLOT_BITS = 24  # 16 million clients a worker; with 6 bits for the worker the number stays positive
    SLOT_MASK = (1 << SLOT_BITS) - 1


cdef uint32_t cancel_pid(int worker, uint32_t slot) noexcept nogil:
    """Never 0, which drivers take for "no key"."""
    return (<uint32_t>(worker + 1) << SLOT_BITS) | (slot & SLOT_MASK)


cdef int worker_of_pid(uint32_t pid) noexcept nogil:
    """-1 or more than there are workers: not one of ours."""
    return <int>(pid >> SLOT_BITS) - 1


cdef uint32_t slot_of_pid(uint32_t pid) noexcept nogil:
    return pid & SLOT_MASK


cdef bint same_secret(const uint8_t *a, const uint8_t *b, uint32_t size) noexcept nogil:
    """In a time that does not depend on where they differ."""
    cdef uint8_t difference = 0
    for i in range(size):
        difference |= a[i] ^ b[i]
    return difference == 0


cdef bint new_secret(uint8_t *secret, uint32_t size) noexcept nogil:
    return getrandom(secret, size, 0) == <ssize_t>size
