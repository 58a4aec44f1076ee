"""Drives a `howdah.dataplane.turnstile` from Python."""

from libc.stdint cimport uint8_t, uint64_t

from howdah.dataplane cimport turnstile
from howdah.dataplane.turnstile cimport Turnstile as CTurnstile


cdef class Turnstile:
    cdef CTurnstile turnstile

    def __cinit__(self, uint64_t seed):
        if not turnstile.turnstile_init(&self.turnstile, seed):
            raise MemoryError

    def __dealloc__(self):
        turnstile.turnstile_clear(&self.turnstile)

    def admit(self, int kind, bytes key, double per_second, uint64_t now_us):
        cdef const char *octets = key
        cdef size_t size = len(key)
        cdef bint admitted
        with nogil:
            admitted = turnstile.turnstile_admit(
                &self.turnstile, <uint8_t>kind, octets, size, per_second, now_us
            )
        return admitted

    def admitted(self, int kind, list keys, double per_second, uint64_t now_us, uint64_t step_us):
        """How many of the logins with these keys, `step_us` apart, are let in: for measuring, and for threads."""
        cdef int count = 0
        cdef const char *octets
        for key in keys:
            octets = key
            count += turnstile.turnstile_admit(
                &self.turnstile, <uint8_t>kind, octets, len(key), per_second, now_us
            )
            now_us += step_us
        return count

    def failed(self, bytes address, uint64_t longest_us, uint64_t now_us):
        return turnstile.turnstile_failed(
            &self.turnstile, <const char *>address, len(address), longest_us, now_us
        )

    def passed(self, bytes address, uint64_t now_us):
        turnstile.turnstile_passed(&self.turnstile, <const char *>address, len(address), now_us)

    @property
    def failing(self):
        return self.turnstile.failing


def storm(Turnstile of, bytes key, double per_second, uint64_t now_us, int times):
    """The same key again and again, without the GIL; gives how many were let in."""
    cdef const char *octets = key
    cdef size_t size = len(key)
    cdef int count = 0
    with nogil:
        for _ in range(times):
            count += turnstile.turnstile_admit(&of.turnstile, 0, octets, size, per_second, now_us)
    return count


def keyed_hash(uint64_t first, uint64_t second, bytes key):
    cdef uint64_t[2] secret
    secret[0] = first
    secret[1] = second
    return turnstile.keyed_hash(secret, <const char *>key, len(key))
