"""What is known of passwords: to check clients by, and to log in at servers with."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from howdah.cdefs.threads cimport pthread_mutex_t
from howdah.wire.bytes cimport Reader, Writer
from howdah.wire.scram cimport ScramKeys

cpdef enum:
    LOOKUP_SLOTS = 4096
    MOST_LOOKUPS = 100000

# Made by `secret_new` from plan.Secret, counted by whoever holds it, freed (and wiped) with the last `secret_drop`.
# Immutable but for `keys`, which are derived when first needed.
cdef struct Secret:
    int32_t holders
    char *password  # NULL: not known in clear
    uint32_t password_size
    char *prepared  # after SASLprep; NULL with `password`
    uint32_t prepared_size
    char[36] md5  # "md5..." or ""
    bint scram  # only the keys are known
    int32_t derived  # `keys` are there
    ScramKeys keys

# An answer of auth_query.  Belongs to its `Lookups`.
cdef struct Lookup:
    Lookup *next
    Secret *secret
    uint64_t until_us
    char *database
    char *user

# What auth_query has said of late; shared by all workers, behind its lock.
cdef struct Lookups:
    pthread_mutex_t lock
    Lookup *slots[LOOKUP_SLOTS]
    uint32_t count

cdef Secret *secret_new(object secret) except NULL
cdef void secret_write(Writer *to, const Secret *secret) noexcept nogil
cdef Secret *secret_read(Reader *r) noexcept nogil
cdef Secret *secret_hold(Secret *secret) noexcept nogil
cdef void secret_drop(Secret *secret) noexcept nogil
cdef bint secret_same(const Secret *a, const Secret *b) noexcept nogil
cdef bint secret_keys(Secret *secret, const uint8_t *process_key, const char *user, uint32_t iterations,
                      ScramKeys *keys) noexcept nogil
cdef bint secret_md5(const Secret *secret, const char *user, char *to) noexcept nogil
cdef bint lookups_init(Lookups *lookups) noexcept nogil
cdef void lookups_clear(Lookups *lookups) noexcept nogil
cdef Secret *lookup_find(Lookups *lookups, const char *database, const char *user, uint64_t now_us) noexcept nogil
cdef void lookup_keep(Lookups *lookups, const char *database, const char *user, Secret *secret,
                      uint64_t until_us) noexcept nogil
cdef void lookup_forget(Lookups *lookups, const char *database, const char *user) noexcept nogil
