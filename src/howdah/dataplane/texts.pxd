"""Texts of prepared statements and names for them, each stored once for all clients."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from howdah.sql.effects cimport Analysis

cpdef enum:
    LARGEST_NAME = 63  # bytes of a name that PostgreSQL compares (NAMEDATALEN - 1)
    SERVER_NAME_SIZE = 28

# What both tables of shared things begin with.
cdef struct Interned:
    Interned *next  # in its slot
    int32_t holders
    uint32_t hash

# A text with its parameter types, as they stand behind the name in a Parse; only one exists for the same bytes.
# Immutable.
cdef struct Text:
    Interned shared
    uint32_t size
    bint by_sql  # what stands behind the name in a PREPARE, with its NUL: no Parse has its only NUL at the end
    uint32_t effects  # of running it, see `sql.effects`
    uint32_t settings_size  # bytes of names of settings that it shows, see `sql.effects.write_settings`
    # `size` bytes of text and the names follow

# A text as one pool's servers understand it, in one search_path: other tables give other results.  Made by
# `statement_new`, freed with the last `statement_drop`, by whichever thread that is in.
cdef struct Statement:
    Interned shared
    Text *text  # held
    const void *pool
    uint32_t path  # of the search_path in which its names are looked up, a hash; 0: the pool's own
    int32_t edition  # grows with each Parse: what the text means may have changed by then
    int32_t changed  # the edition from which on it has another result, or other parameters, than before
    uint32_t shape  # of these, see `wire.replies`; 0: not known yet
    uint8_t name_size
    char[SERVER_NAME_SIZE] name  # what it is called at servers

# What a client calls a statement, in full; only one exists for the same name and statement, whoever uses it.  As above.
cdef struct Naming:
    Interned shared  # `hash` is the name's
    Statement *statement  # held
    uint32_t number  # see `naming_numbered`
    uint32_t size  # of the name, of which LARGEST_NAME bytes count
    # the name and a NUL follow

cdef Statement *statement_new(const uint8_t *data, uint32_t size, const Analysis *analysis, const void *pool,
                              const char *path) noexcept nogil
cdef const char *text_settings(const Text *text) noexcept nogil
cdef Statement *statement_hold(Statement *statement) noexcept nogil
cdef void statement_drop(Statement *statement) noexcept nogil
cdef void statement_changes(Statement *statement) noexcept nogil
cdef int32_t statement_taken_over(Statement *statement, uint32_t shape, bint outdated) noexcept nogil
cdef void statement_described(Statement *statement, int32_t edition, uint32_t shape) noexcept nogil
cdef const uint8_t *text_data(const Text *text) noexcept nogil
cdef bint same_name(const Naming *naming, const char *name, uint32_t size) noexcept nogil
cdef uint32_t bytes_hash(const uint8_t *data, size_t size) noexcept nogil
cdef uint32_t name_hash(const char *name, uint32_t size) noexcept nogil
cdef inline bint is_older(int32_t edition, int32_t than) noexcept nogil:
    """Editions begin anew after 2^32."""
    return <int32_t>(<uint32_t>edition - <uint32_t>than) < 0

cdef Statement *nowhere() noexcept nogil
cdef Statement *taken() noexcept nogil
cdef Statement *outdated() noexcept nogil
cdef Statement *denied() noexcept nogil
cdef Statement *crowded() noexcept nogil
cdef bint is_ours(const char *name, uint32_t size) noexcept nogil
cdef Naming *naming_new(const char *name, uint32_t size, Statement *statement) noexcept nogil
cdef Naming *naming_numbered(uint32_t number) noexcept nogil
cdef Naming *naming_hold(Naming *naming) noexcept nogil
cdef void naming_drop(Naming *naming) noexcept nogil
cdef const char *naming_name(const Naming *naming) noexcept nogil
