"""Cancel keys: random numbers by which a client is known again on another connection.

A key is a process number of four bytes and a secret, of four bytes or, where the protocol has room for it, SECRET_SIZE.
In a group of processes that pass cancel requests on to each other ([peers]) two parts of it are not random: the second
and third byte of the number are the `peer_id` of the process that gave it, low byte first, and the last two bits of the
secret's fourth byte say how often a request with it may still be passed on.  That is PgBouncer's layout, so that both
can be in one group, and it leaves 45 random bits even to the shortest key: nothing else in it says whose it is, which
only a look into the table of all keys tells.

Holds no socket and calls no one.  Called by `handshake` and `client` (keys given and taken back), by `opening`,
`canceller` and `forwarding` (keys that come back).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from howdah.cdefs.sockets cimport getrandom
from howdah.cdefs.threads cimport (
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)

cdef enum:
    BUCKETS = 1 << 14
    HOPS_AT = 3  # the byte of the secret
    HOPS_MASK = MOST_HOPS
    SHORTEST = HOPS_AT + 1  # secret that can be one of ours, or a peer's


cdef bint keys_init(CancelKeys *keys) noexcept nogil:
    pthread_mutex_init(&keys.lock, NULL)
    keys.buckets = <CancelKey **>calloc(BUCKETS, sizeof(CancelKey *))
    return keys.buckets != NULL


cdef void keys_clear(CancelKeys *keys) noexcept nogil:
    """The keys themselves are their clients'."""
    free(keys.buckets)
    keys.buckets = NULL
    pthread_mutex_destroy(&keys.lock)


cdef void key_fill(CancelKey *key, const uint8_t *random, uint32_t size, int peer_id) noexcept nogil:
    """Of KEY_SIZE random bytes make a key with a secret of `size` bytes; `peer_id` 0: of no group."""
    key.pid = <uint32_t>random[0] << 24 | random[1] << 16 | random[2] << 8 | random[3]
    key.pid &= 0x7FFFFFFF  # some drivers take the number for one with a sign
    if peer_id:
        key.pid = key.pid & 0x7F0000FF | (peer_id & 0xFF) << 16 | (peer_id >> 8 & 0xFF) << 8
    key.size = size
    memcpy(key.secret, random + 4, SECRET_SIZE)
    key.secret[HOPS_AT] |= HOPS_MASK


cdef uint32_t bucket_of(uint32_t pid, const uint8_t *secret) noexcept nogil:
    """By bits that are random in every key."""
    return (pid & 0xFF | secret[0] << 8) & (BUCKETS - 1)


cdef bint same_secret(const uint8_t *a, const uint8_t *b, uint32_t size) noexcept nogil:
    """Whatever hops are left; in a time that does not depend on where they differ."""
    cdef uint8_t difference = 0
    for i in range(size):
        difference |= (a[i] ^ b[i]) & (<uint8_t>~HOPS_MASK if i == HOPS_AT else 0xFF)
    return difference == 0


cdef bint key_give(CancelKeys *keys, CancelKey *key) noexcept nogil:
    """Make `key` known.  False: it will not do, and a new one must be made of other random bytes."""
    cdef CancelKey **bucket = &keys.buckets[bucket_of(key.pid, key.secret)]
    cdef CancelKey *other
    if key.pid == 0:
        return False  # which drivers take for "no key"
    pthread_mutex_lock(&keys.lock)
    other = bucket[0]
    while other != NULL and not (other.pid == key.pid and same_secret(other.secret, key.secret, SHORTEST)):
        other = other.next
    if other == NULL:
        key.given = True
        key.prev = NULL
        key.next = bucket[0]
        if key.next != NULL:
            key.next.prev = key
        bucket[0] = key
    pthread_mutex_unlock(&keys.lock)
    return other == NULL


cdef void key_take_back(CancelKeys *keys, CancelKey *key) noexcept nogil:
    """If it has been given."""
    if not key.given:
        return
    pthread_mutex_lock(&keys.lock)
    if key.prev == NULL:
        keys.buckets[bucket_of(key.pid, key.secret)] = key.next
    else:
        key.prev.next = key.next
    if key.next != NULL:
        key.next.prev = key.prev
    key.given = False
    pthread_mutex_unlock(&keys.lock)


cdef KeyOwner key_owner(CancelKeys *keys, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil:
    cdef KeyOwner owner
    cdef CancelKey *key
    owner.worker = -1
    owner.slot = 0
    if size < SHORTEST:
        return owner
    pthread_mutex_lock(&keys.lock)
    key = keys.buckets[bucket_of(pid, secret)]
    while key != NULL:
        if key.pid == pid and key.size == size and same_secret(key.secret, secret, size):
            owner.worker = key.worker
            owner.slot = key.slot
            break
        key = key.next
    pthread_mutex_unlock(&keys.lock)
    return owner


cdef int peer_of_key(uint32_t pid) noexcept nogil:
    """The `peer_id` of the process that has given this key, if it is one of a group."""
    return pid >> 16 & 0xFF | (pid >> 8 & 0xFF) << 8


cdef int hops_of_key(const uint8_t *secret, uint32_t size) noexcept nogil:
    """How often a request with this key may still be passed on."""
    return secret[HOPS_AT] & HOPS_MASK if size >= SHORTEST else 0


cdef void use_hop(uint8_t *secret) noexcept nogil:
    """It is passed on; there is a hop left."""
    secret[HOPS_AT] -= 1


cdef bint new_secret(uint8_t *secret, uint32_t size) noexcept nogil:
    return getrandom(secret, size, 0) == <ssize_t>size
