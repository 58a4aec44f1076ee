"""What is known of passwords: to check clients by, and to log in at servers with.

A secret is counted, because a login may outlive the plan that brought it.  Answers of auth_query are kept for a while,
so that a storm of one user's logins asks once.  Holds no socket and calls no one.  Called by `routes` and `engine`
(making), `proof`, `server_login` and `server_proof`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, strcmp, strdup

from howdah.cdefs.atomics cimport add_i32, load_i32, store_i32
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.threads cimport (
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    pthread_mutex_t,
)
from howdah.dataplane.hashes cimport pair_hash
from howdah.wire.bytes cimport Reader, Writer, left, read_bytes, read_u8, read_u32, write_bytes, write_u8, write_u32
from howdah.wire.password cimport md5_of_password
from howdah.wire.scram cimport SCRAM_KEY, SCRAM_LARGEST_SALT, ScramKeys, scram_derive, scram_mock

cdef enum:
    MD5_SIZE = 35  # "md5" and 32 hexadecimal digits

cdef pthread_mutex_t deriving  # for the moment of writing `Secret.keys`
pthread_mutex_init(&deriving, NULL)


cdef char *octets(bytes value, uint32_t *size) except NULL:
    """A copy with a NUL behind it."""
    cdef char *copy = <char *>malloc(len(value) + 1)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char *>value, len(value) + 1)
    size[0] = <uint32_t>len(value)
    return copy


cdef int fill_scram(ScramKeys *keys, object scram) except -1:
    if not 1 <= len(scram.salt) <= SCRAM_LARGEST_SALT:
        raise ValueError(f"a SCRAM salt has 1 to {SCRAM_LARGEST_SALT} bytes, not {len(scram.salt)}")
    if len(scram.stored_key) != SCRAM_KEY or len(scram.server_key) != SCRAM_KEY or scram.iterations < 1:
        raise ValueError("a SCRAM secret has two keys of 32 bytes and at least one iteration")
    keys.iterations = scram.iterations
    keys.salt_size = <uint8_t>len(scram.salt)
    memcpy(keys.salt, <const char *><bytes>scram.salt, len(scram.salt))
    memcpy(keys.stored_key, <const char *><bytes>scram.stored_key, SCRAM_KEY)
    memcpy(keys.server_key, <const char *><bytes>scram.server_key, SCRAM_KEY)
    return 0


cdef Secret *secret_new(object secret) except NULL:
    """The C form of a plan.Secret, held once."""
    cdef Secret *made = <Secret *>calloc(1, sizeof(Secret))
    if made == NULL:
        raise MemoryError
    made.holders = 1
    try:
        if secret.password is not None:
            made.password = octets(secret.password, &made.password_size)
            prepared = secret.password if secret.prepared is None else secret.prepared
            made.prepared = octets(prepared, &made.prepared_size)
        elif secret.md5:
            encoded = secret.md5.encode("ascii")
            if len(encoded) != 35:
                raise ValueError("an MD5 secret is md5 and 32 hexadecimal digits")
            memcpy(made.md5, <const char *>encoded, 36)
        else:
            fill_scram(&made.keys, secret.scram)
            made.scram = made.derived = True
    except BaseException:
        secret_drop(made)
        raise
    return made


cdef Secret *secret_hold(Secret *secret) noexcept nogil:
    if secret != NULL:
        add_i32(&secret.holders, 1)
    return secret


cdef void secret_drop(Secret *secret) noexcept nogil:
    if secret == NULL or add_i32(&secret.holders, -1) > 0:
        return
    if secret.password != NULL:
        OPENSSL_cleanse(secret.password, secret.password_size)
        free(secret.password)
    if secret.prepared != NULL:
        OPENSSL_cleanse(secret.prepared, secret.prepared_size)
        free(secret.prepared)
    OPENSSL_cleanse(secret, sizeof(Secret))
    free(secret)


# ---- for another process -------------------------------------------------------------------------------------------

# What a secret is written down as: a number means the same for ever.
cdef enum:
    WRITTEN_PASSWORD = 1  # as given and after SASLprep, a size in front of each
    WRITTEN_MD5 = 2  # 35 characters
    WRITTEN_SCRAM = 3  # iterations (4), both keys, the salt


cdef void secret_write(Writer *to, const Secret *secret) noexcept nogil:
    if secret.password != NULL:
        write_u8(to, WRITTEN_PASSWORD)
        write_u32(to, secret.password_size)
        write_bytes(to, secret.password, secret.password_size)
        write_u32(to, secret.prepared_size)
        write_bytes(to, secret.prepared, secret.prepared_size)
    elif secret.scram:
        write_u8(to, WRITTEN_SCRAM)
        write_u32(to, secret.keys.iterations)
        write_bytes(to, secret.keys.stored_key, SCRAM_KEY)
        write_bytes(to, secret.keys.server_key, SCRAM_KEY)
        write_bytes(to, secret.keys.salt, secret.keys.salt_size)
    else:
        write_u8(to, WRITTEN_MD5)
        write_bytes(to, secret.md5, MD5_SIZE)


cdef Secret *secret_read(Reader *r) noexcept nogil:
    """Held once; NULL: it is none, or memory is out."""
    cdef Secret *made = <Secret *>calloc(1, sizeof(Secret))
    cdef uint8_t kind = read_u8(r)
    cdef bint done = False
    if made == NULL:
        return NULL
    made.holders = 1
    if kind == WRITTEN_PASSWORD:
        done = (read_octets(r, &made.password, &made.password_size)
                and read_octets(r, &made.prepared, &made.prepared_size))
    elif kind == WRITTEN_MD5 and left(r) == MD5_SIZE:
        memcpy(made.md5, read_bytes(r, MD5_SIZE), MD5_SIZE)
        done = True
    elif kind == WRITTEN_SCRAM:
        done = read_scram(r, &made.keys)
        made.scram = made.derived = done
    if done and left(r) == 0:
        return made
    secret_drop(made)
    return NULL


cdef bint read_octets(Reader *r, char **value, uint32_t *size) noexcept nogil:
    """A copy with a NUL behind it."""
    cdef uint32_t count = read_u32(r)
    cdef const uint8_t *data = read_bytes(r, count)
    value[0] = <char *>malloc(<size_t>count + 1) if data != NULL else NULL
    if value[0] == NULL:
        return False
    memcpy(value[0], data, count)
    value[0][count] = 0
    size[0] = count
    return True


cdef bint read_scram(Reader *r, ScramKeys *keys) noexcept nogil:
    cdef const uint8_t *stored
    cdef const uint8_t *server
    keys.iterations = read_u32(r)
    stored = read_bytes(r, SCRAM_KEY)
    server = read_bytes(r, SCRAM_KEY)
    if not r.ok or keys.iterations < 1 or not 1 <= left(r) <= SCRAM_LARGEST_SALT:
        return False
    memcpy(keys.stored_key, stored, SCRAM_KEY)
    memcpy(keys.server_key, server, SCRAM_KEY)
    keys.salt_size = <uint8_t>left(r)
    memcpy(keys.salt, read_bytes(r, keys.salt_size), keys.salt_size)
    return True


cdef bint secret_same(const Secret *a, const Secret *b) noexcept nogil:
    if a == b:
        return True
    if a == NULL or b == NULL or (a.password == NULL) != (b.password == NULL) or a.scram != b.scram:
        return False
    if a.password != NULL:
        return a.password_size == b.password_size and memcmp(a.password, b.password, a.password_size) == 0
    if a.scram:
        return memcmp(&a.keys.stored_key, &b.keys.stored_key, SCRAM_KEY) == 0
    return strcmp(a.md5, b.md5) == 0


cdef bint secret_keys(Secret *secret, const uint8_t *process_key, const char *user, uint32_t iterations,
                      ScramKeys *keys) noexcept nogil:
    """What a SCRAM login is checked by.  False: there is nothing (no secret, or only MD5): `keys` fit no password.

    Of a password in clear they are derived once.  Its salt is made in the way of that for users there are not, so that
    the two cannot be told apart.
    """
    scram_mock(process_key, user, iterations, keys)
    if secret == NULL or (secret.prepared == NULL and not secret.scram):
        return False
    if not load_i32(&secret.derived):
        scram_derive(secret.prepared, secret.prepared_size, keys.salt, keys.salt_size, iterations, keys, NULL)
        pthread_mutex_lock(&deriving)
        if not secret.derived:
            memcpy(&secret.keys, keys, sizeof(ScramKeys))
            store_i32(&secret.derived, True)
        pthread_mutex_unlock(&deriving)
    memcpy(keys, &secret.keys, sizeof(ScramKeys))
    return True


cdef bint secret_md5(const Secret *secret, const char *user, char *to) noexcept nogil:
    """"md5" and the hash that MD5 logins are checked by (36 bytes at `to`); False: it is not known."""
    if secret == NULL or secret.scram:
        return False
    if secret.md5[0]:
        memcpy(to, secret.md5, 36)
    else:
        md5_of_password(secret.password, user, to)
    return True


# ---- answers of auth_query -----------------------------------------------------------------------------------------

cdef bint lookups_init(Lookups *lookups) noexcept nogil:
    return pthread_mutex_init(&lookups.lock, NULL) == 0


cdef uint32_t slot_of(const char *database, const char *user) noexcept nogil:
    return pair_hash(database, user) % LOOKUP_SLOTS


cdef void lookup_free(Lookup *lookup) noexcept nogil:
    secret_drop(lookup.secret)
    free(lookup.database)
    free(lookup.user)
    free(lookup)


cdef void empty(Lookups *lookups) noexcept nogil:
    cdef Lookup *lookup
    for i in range(LOOKUP_SLOTS):
        while lookups.slots[i] != NULL:
            lookup = lookups.slots[i]
            lookups.slots[i] = lookup.next
            lookup_free(lookup)
    lookups.count = 0


cdef void lookups_clear(Lookups *lookups) noexcept nogil:
    """Forget all answers."""
    pthread_mutex_lock(&lookups.lock)
    empty(lookups)
    pthread_mutex_unlock(&lookups.lock)


cdef Lookup **place_of(Lookups *lookups, const char *database, const char *user) noexcept nogil:
    cdef Lookup **link = &lookups.slots[slot_of(database, user)]
    while link[0] != NULL and (strcmp(link[0].database, database) != 0 or strcmp(link[0].user, user) != 0):
        link = &link[0].next
    return link


cdef void take_out(Lookups *lookups, Lookup **link) noexcept nogil:
    cdef Lookup *lookup = link[0]
    link[0] = lookup.next
    lookups.count -= 1
    lookup_free(lookup)


cdef Secret *lookup_find(Lookups *lookups, const char *database, const char *user, uint64_t now_us) noexcept nogil:
    """The secret that auth_query gave of late, held for the caller; NULL: it must be asked."""
    cdef Lookup **link
    cdef Secret *secret = NULL
    pthread_mutex_lock(&lookups.lock)
    link = place_of(lookups, database, user)
    if link[0] != NULL:
        if now_us < link[0].until_us:
            secret = secret_hold(link[0].secret)
        else:
            take_out(lookups, link)
    pthread_mutex_unlock(&lookups.lock)
    return secret


cdef void lookup_keep(Lookups *lookups, const char *database, const char *user, Secret *secret,
                      uint64_t until_us) noexcept nogil:
    """Use this answer until then."""
    cdef Lookup *lookup = <Lookup *>calloc(1, sizeof(Lookup))
    cdef Lookup **link
    if lookup == NULL:
        return
    lookup.database = strdup(database)
    lookup.user = strdup(user)
    if lookup.database == NULL or lookup.user == NULL:
        lookup_free(lookup)
        return
    lookup.secret = secret_hold(secret)
    lookup.until_us = until_us
    pthread_mutex_lock(&lookups.lock)
    if lookups.count >= MOST_LOOKUPS:
        empty(lookups)
    link = place_of(lookups, database, user)
    if link[0] != NULL:
        take_out(lookups, link)
        link = place_of(lookups, database, user)
    lookup.next = link[0]
    link[0] = lookup
    lookups.count += 1
    pthread_mutex_unlock(&lookups.lock)


cdef void lookup_forget(Lookups *lookups, const char *database, const char *user) noexcept nogil:
    cdef Lookup **link
    pthread_mutex_lock(&lookups.lock)
    link = place_of(lookups, database, user)
    if link[0] != NULL:
        take_out(lookups, link)
    pthread_mutex_unlock(&lookups.lock)
