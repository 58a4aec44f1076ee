"""What is prepared where: the names of each client, the shelf of each server."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.dataplane.texts cimport Naming, Statement

cpdef enum:
    MOST_NAMES = 10000  # that follow one client
    MOST_TEXT = 33554432  # bytes of their texts and names together

cpdef enum ShelfVerdict:
    SHELF_HAS  # it is there
    SHELF_STALE  # it is there, but must be prepared again before it is used: too old, or something has changed
    SHELF_LACKS

# One name that a client uses.  Thousands of clients have hundreds each: every byte counts.
cdef struct Named:
    uint32_t naming  # held; its number, see `naming_numbered`; 0: a free slot
    int32_t edition  # of the statement when the client parsed or described it

# What one client has prepared, by name: open addressing.  Lives inside its client; touched by its worker alone.
cdef struct Names:
    Named *slots
    uint32_t room  # a power of two, or 0
    uint32_t count
    uint32_t text  # bytes

cdef struct Shelved:
    Statement *statement  # held; NULL: a free slot
    uint32_t used  # grows with each use
    int32_t edition  # when it was prepared there
    uint8_t stale

# What one server has prepared: open addressing.  Lives inside its server; touched by the worker that owns that.
cdef struct Shelf:
    Shelved *slots
    uint32_t room
    uint32_t count
    uint32_t uses

cdef Naming *names_find(const Names *names, const char *name, uint32_t size, int32_t **edition) noexcept nogil
cdef Naming *names_find_ours(const Names *names, const char *name, uint32_t size, int32_t **edition) noexcept nogil
cdef bint names_full(const Names *names) noexcept nogil
cdef void names_init(Names *names) noexcept nogil
cdef bint names_put(Names *names, Naming *naming, int32_t edition) noexcept nogil
cdef Naming *names_take(Names *names, const char *name, uint32_t size) noexcept nogil
cdef void names_clear(Names *names) noexcept nogil
cdef void shelf_init(Shelf *shelf) noexcept nogil
cdef ShelfVerdict shelf_find(Shelf *shelf, const Statement *statement, int32_t edition) noexcept nogil
cdef bint shelf_put(Shelf *shelf, Statement *statement, int32_t edition) noexcept nogil
cdef bint shelf_edition(const Shelf *shelf, const Statement *statement, int32_t *edition) noexcept nogil
cdef Statement *shelf_evict(Shelf *shelf, uint32_t most, const Statement *newcomer) noexcept nogil
cdef void shelf_remove(Shelf *shelf, const Statement *statement) noexcept nogil
cdef void shelf_stale(Shelf *shelf) noexcept nogil
cdef void shelf_clear(Shelf *shelf) noexcept nogil
