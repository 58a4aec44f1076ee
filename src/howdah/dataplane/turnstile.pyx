"""Who may try to log in now: logins a second by address and by user, and the pause after wrong passwords.

Memory is fixed however many keys come: a key has one of the `TURN_WAYS` places its hash picks, and takes the one that
was longest unused.  What is lost that way errs on the side of letting in.  A turnstile knows keys only by their hash
(SipHash-2-4, https://www.aumasson.jp/siphash/siphash.pdf, with a secret), so nobody can aim at somebody else's place.

Called while clients log in, on any worker; the clock is the caller's, and workers may differ by a little.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.cdefs.threads cimport (
    c_assert, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock,
)
from howdah.wire.bytes cimport Reader, left, read_u8, reader


cdef inline uint64_t turned(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef void sip_round(uint64_t *v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = turned(v[1], 13) ^ v[0]
    v[3] = turned(v[3], 16) ^ v[2]
    v[0] = turned(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = turned(v[1], 17) ^ v[2]
    v[3] = turned(v[3], 21) ^ v[0]
    v[2] = turned(v[2], 32)


cdef void sip_word(uint64_t *v, uint64_t word) noexcept nogil:
    v[3] ^= word
    sip_round(v)
    sip_round(v)
    v[0] ^= word


cdef uint64_t little_endian(Reader *r, size_t size) noexcept nogil:
    cdef uint64_t word = 0
    cdef size_t i
    for i in range(size):
        word |= <uint64_t>read_u8(r) << (8 * i)
    return word


cdef uint64_t keyed_hash(const uint64_t *secret, const void *key, size_t size) noexcept nogil:
    """SipHash-2-4 of `key` with the two words of `secret`."""
    cdef Reader r = reader(<const uint8_t *>key, size)
    cdef uint64_t[4] v
    v[0] = secret[0] ^ 0x736f6d6570736575u
    v[1] = secret[1] ^ 0x646f72616e646f6du
    v[2] = secret[0] ^ 0x6c7967656e657261u
    v[3] = secret[1] ^ 0x7465646279746573u
    while left(&r) >= 8:
        sip_word(v, little_endian(&r, 8))
    sip_word(v, little_endian(&r, left(&r)) | <uint64_t>(size & 0xff) << 56)
    v[2] ^= 0xff
    for _ in range(4):
        sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


cdef bint turnstile_init(Turnstile *t, uint64_t seed) noexcept nogil:
    """`seed` is random.  False: no memory; nothing to clear then."""
    cdef size_t places = TURN_SETS * TURN_WAYS
    t.secret[0] = seed
    t.secret[1] = ~seed * 0x9e3779b97f4a7c15u
    t.failing = 0
    t.addresses = <Turn *>calloc(3 * places, sizeof(Turn))
    if t.addresses == NULL:
        return False
    t.users = t.addresses + places
    t.failures = t.users + places
    pthread_mutex_init(&t.lock, NULL)
    return True


cdef void turnstile_clear(Turnstile *t) noexcept nogil:
    free(t.addresses)  # the other two tables are parts of it
    t.addresses = t.users = t.failures = NULL
    pthread_mutex_destroy(&t.lock)


cdef uint64_t turn_id(const Turnstile *t, const void *key, size_t size) noexcept nogil:
    cdef uint64_t id = keyed_hash(t.secret, key, size)
    return id if id else 1


cdef Turn *find_turn(Turn *turns, uint64_t id) noexcept nogil:
    """The key's place, NULL: it has none.  Under the lock."""
    cdef Turn *of_set = turns + (id & (TURN_SETS - 1)) * TURN_WAYS
    for i in range(TURN_WAYS):
        if of_set[i].id == id:
            return &of_set[i]
    return NULL


cdef Turn *oldest_turn(Turn *turns, uint64_t id) noexcept nogil:
    """The place a new key takes: a free one, else the one longest unused.  Under the lock."""
    cdef Turn *of_set = turns + (id & (TURN_SETS - 1)) * TURN_WAYS
    cdef Turn *oldest = of_set
    for i in range(TURN_WAYS):
        if of_set[i].id == 0:
            return &of_set[i]
        if of_set[i].when_us < oldest.when_us:
            oldest = &of_set[i]
    return oldest


cdef double logins_left(const Turn *turn, double per_second, double burst, uint64_t now_us) noexcept nogil:
    """A bucket fills up by `per_second` and holds no more than `burst`."""
    cdef double gained = per_second * <double>(now_us - turn.when_us) / 1e6 if now_us > turn.when_us else 0
    return min(turn.amount + gained, burst)


cdef bint take_turn(Turn *turns, uint64_t id, double per_second, uint64_t now_us) noexcept nogil:
    """Under the lock."""
    cdef double burst = max(per_second, 1.0)
    cdef Turn *turn = find_turn(turns, id)
    if turn == NULL:
        turn = oldest_turn(turns, id)
        turn.id, turn.when_us, turn.amount = id, now_us, burst
    turn.amount = logins_left(turn, per_second, burst, now_us)
    turn.when_us = max(turn.when_us, now_us)
    if turn.amount < 1:
        return False
    turn.amount -= 1
    return True


cdef bint turnstile_admit(
    Turnstile *t, uint8_t kind, const void *key, size_t size, double per_second, uint64_t now_us
) noexcept nogil:
    """Is this login within `per_second` for its key?  A burst of one second's worth is; 0: no limit."""
    cdef uint64_t id
    cdef bint admitted
    c_assert(kind <= TURN_USER)
    if per_second <= 0:
        return True
    id = turn_id(t, key, size)
    pthread_mutex_lock(&t.lock)
    admitted = take_turn(t.users if kind == TURN_USER else t.addresses, id, per_second, now_us)
    pthread_mutex_unlock(&t.lock)
    return admitted


cdef uint64_t pause_after(double failures, uint64_t longest_us) noexcept nogil:
    """`FIRST_FAILURE_US`, doubled for each failure after the first."""
    cdef uint64_t pause_us = FIRST_FAILURE_US
    while failures > 1 and pause_us < longest_us:
        pause_us *= 2
        failures -= 1
    return min(pause_us, longest_us)


cdef Turn *failures_of(Turnstile *t, uint64_t id, uint64_t now_us) noexcept nogil:
    """The failures in a row, none if they are forgotten.  Under the lock."""
    cdef Turn *turn = find_turn(t.failures, id)
    if turn == NULL:
        turn = oldest_turn(t.failures, id)
        store_i32(&t.failing, t.failing + (turn.id == 0))
        turn.id, turn.when_us, turn.amount = id, now_us, 0
    if now_us > turn.when_us and now_us - turn.when_us >= FORGET_FAILURES_US:
        turn.amount = 0
    return turn


cdef uint64_t turnstile_failed(
    Turnstile *t, const void *address, size_t size, uint64_t longest_us, uint64_t now_us
) noexcept nogil:
    """Count a wrong password; gives how long its answer has to wait.

    The pause doubles with each failure in a row.  They are forgotten `FORGET_FAILURES_US` after the last pause ended.
    """
    cdef uint64_t id
    cdef uint64_t pause_us
    cdef Turn *turn
    if longest_us == 0:
        return 0
    id = turn_id(t, address, size)
    pthread_mutex_lock(&t.lock)
    turn = failures_of(t, id, now_us)
    turn.amount += 1
    pause_us = pause_after(turn.amount, longest_us)
    turn.when_us = max(turn.when_us, now_us + pause_us)
    pthread_mutex_unlock(&t.lock)
    return pause_us


cdef void turnstile_passed(Turnstile *t, const void *address, size_t size, uint64_t now_us) noexcept nogil:
    """Forget the failures of an address that knew a password.  Takes no lock while nobody has failed."""
    cdef Turn *turn
    cdef uint64_t id
    if load_i32(&t.failing) == 0:
        return
    id = turn_id(t, address, size)
    pthread_mutex_lock(&t.lock)
    turn = find_turn(t.failures, id)
    if turn != NULL:
        turn.id = 0
        store_i32(&t.failing, t.failing - 1)
    pthread_mutex_unlock(&t.lock)
