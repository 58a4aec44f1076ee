"""Cancel keys: made, known by whose they are, and what they say to other processes."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.cdefs.threads cimport pthread_mutex_t

cpdef enum:
    SECRET_SIZE = 32  # of the longest secret we give
    KEY_SIZE = 4 + SECRET_SIZE
    MOST_HOPS = 3  # how often a request may be passed on from peer to peer

# One client's key, and where that client is.  Part of the client, whose worker fills it and gives it; from then until
# it is taken back any worker may read it, under the lock of `CancelKeys`.
cdef struct CancelKey:
    CancelKey *next  # in its bucket
    CancelKey *prev
    bint given
    int worker
    uint32_t slot
    uint32_t pid  # what BackendKeyData calls the process
    uint32_t size  # of the secret
    uint8_t[SECRET_SIZE] secret

# All keys of this process that are given.  Made and freed by `engine`.
cdef struct CancelKeys:
    pthread_mutex_t lock
    CancelKey **buckets

# Where the client of a key is.
cdef struct KeyOwner:
    int worker  # -1: it is nobody's
    uint32_t slot

cdef bint keys_init(CancelKeys *keys) noexcept nogil
cdef void keys_clear(CancelKeys *keys) noexcept nogil
cdef void key_fill(CancelKey *key, const uint8_t *random, uint32_t size, int peer_id) noexcept nogil
cdef bint key_give(CancelKeys *keys, CancelKey *key) noexcept nogil
cdef void key_take_back(CancelKeys *keys, CancelKey *key) noexcept nogil
cdef KeyOwner key_owner(CancelKeys *keys, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil
cdef int peer_of_key(uint32_t pid) noexcept nogil
cdef int hops_of_key(const uint8_t *secret, uint32_t size) noexcept nogil
cdef void use_hop(uint8_t *secret) noexcept nogil
cdef bint new_secret(uint8_t *secret, uint32_t size) noexcept nogil
