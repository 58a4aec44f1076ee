"""Who may try to log in now, and how long a wrong password waits for its answer."""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from howdah.cdefs.threads cimport pthread_mutex_t

cpdef enum TurnKind:
    TURN_ADDRESS = 0
    TURN_USER = 1

cpdef enum:
    TURN_WAYS = 4  # places a key may have
    TURN_SETS = 4096  # a power of two
    FIRST_FAILURE_US = 100_000
    FORGET_FAILURES_US = 60_000_000

# What is known of one key.
cdef struct Turn:
    uint64_t id  # the key's hash; 0: a free place
    uint64_t when_us  # of the last look; of failures: when the last one's wait is over
    double amount  # logins left at that time; of failures: how many in a row

# Made by `turnstile_init` in memory of the caller's, emptied by `turnstile_clear`; shared by all workers, behind its
# lock.  Its size does not depend on how many keys come: the oldest of a set makes room.
cdef struct Turnstile:
    uint64_t[2] secret  # of the hash, so that a stranger cannot aim for the places of somebody else's keys
    pthread_mutex_t lock
    Turn *addresses  # TURN_SETS * TURN_WAYS places; likewise the next two
    Turn *users
    Turn *failures  # by address
    int32_t failing  # places of `failures` in use

cdef bint turnstile_init(Turnstile *t, uint64_t seed) noexcept nogil
cdef void turnstile_clear(Turnstile *t) noexcept nogil
cdef bint turnstile_admit(
    Turnstile *t, uint8_t kind, const void *key, size_t size, double per_second, uint64_t now_us
) noexcept nogil
cdef uint64_t turnstile_failed(
    Turnstile *t, const void *address, size_t size, uint64_t longest_us, uint64_t now_us
) noexcept nogil
cdef void turnstile_passed(Turnstile *t, const void *address, size_t size, uint64_t now_us) noexcept nogil
cdef uint64_t keyed_hash(const uint64_t *secret, const void *key, size_t size) noexcept nogil
