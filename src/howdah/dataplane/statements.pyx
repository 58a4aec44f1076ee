"""What is prepared where.

Each client has a table from its own names to texts, each server a shelf of the texts it has prepared, of which the
least recently used goes.  What has to be prepared where follows from the two.  Holds no socket and calls no one.
Called by `preparing`.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from howdah.dataplane.texts cimport (
    Naming,
    Statement,
    is_older,
    name_hash,
    naming_drop,
    naming_name,
    naming_numbered,
    same_name,
    statement_drop,
    statement_hold,
)

cdef enum:
    FIRST_ROOM = 4


# ---- a client's names ----------------------------------------------------------------------------------------------

cdef uint32_t place_of(const Names *names, uint32_t hash_, const char *name, uint32_t size) noexcept nogil:
    """The slot where the name is, or the free one where it would be.  There is one: the table is never full."""
    cdef uint32_t at = hash_ & (names.room - 1)
    cdef const Naming *naming
    while names.slots[at].naming:
        naming = naming_numbered(names.slots[at].naming)
        if naming.shared.hash == hash_ and same_name(naming, name, size):
            break
        at = (at + 1) & (names.room - 1)
    return at


cdef Naming *names_find(const Names *names, const char *name, uint32_t size, int32_t **edition) noexcept nogil:
    """What the client calls so, and the edition in which it knows it; NULL: nothing."""
    cdef Named *named
    if names.count == 0:
        return NULL
    named = &names.slots[place_of(names, name_hash(name, size), name, size)]
    edition[0] = &named.edition
    return naming_numbered(named.naming)


cdef Naming *names_find_ours(const Names *names, const char *name, uint32_t size, int32_t **edition) noexcept nogil:
    """The same for what servers call so.  Looks through all: for rare occasions."""
    cdef Naming *naming
    for i in range(names.room):
        naming = naming_numbered(names.slots[i].naming)
        if (naming != NULL and naming.statement.name_size == size
                and memcmp(naming.statement.name, name, size) == 0):
            edition[0] = &names.slots[i].edition
            return naming
    return NULL


cdef void names_init(Names *names) noexcept nogil:
    names.slots = NULL
    names.room = names.count = names.text = 0


cdef bint names_full(const Names *names) noexcept nogil:
    """Has the client so many that further ones are to be kept by PostgreSQL alone?"""
    return names.count >= MOST_NAMES or names.text >= MOST_TEXT


cdef bint widen(Names *names) noexcept nogil:
    """Room for more; False: out of memory."""
    cdef Names wider
    cdef const Naming *naming
    wider.room = names.room * 2 if names.room else FIRST_ROOM
    wider.slots = <Named *>calloc(wider.room, sizeof(Named))
    if wider.slots == NULL:
        return False
    for i in range(names.room):
        naming = naming_numbered(names.slots[i].naming)
        if naming != NULL:
            wider.slots[place_of(&wider, naming.shared.hash, naming_name(naming), naming.size)] = names.slots[i]
    free(names.slots)
    names.slots = wider.slots
    names.room = wider.room
    return True


cdef bint names_put(Names *names, Naming *naming, int32_t edition) noexcept nogil:
    """Add a naming, whose hold becomes the table's; its name is not there yet.  False: out of memory."""
    cdef Named *named
    if (names.count + 1) * 8 > names.room * 7 and not widen(names):
        return False
    named = &names.slots[place_of(names, naming.shared.hash, naming_name(naming), naming.size)]
    named.naming = naming.number
    named.edition = edition
    names.count += 1
    names.text += naming.statement.text.size + naming.size
    return True


cdef Naming *names_take(Names *names, const char *name, uint32_t size) noexcept nogil:
    """Take a name out; its hold becomes the caller's.  NULL: there is none."""
    cdef Naming *taken_out
    cdef uint32_t mask = names.room - 1
    cdef uint32_t hole
    cdef uint32_t at
    if names.count == 0:
        return NULL
    hole = at = place_of(names, name_hash(name, size), name, size)
    taken_out = naming_numbered(names.slots[at].naming)
    if taken_out == NULL:
        return NULL
    names.count -= 1
    names.text -= taken_out.statement.text.size + taken_out.size
    while True:  # what comes behind moves up, unless it would come before the slot that its hash asks for
        names.slots[hole].naming = 0
        while True:
            at = (at + 1) & mask
            if names.slots[at].naming == 0:
                return taken_out
            if ((at - naming_numbered(names.slots[at].naming).shared.hash) & mask) >= ((at - hole) & mask):
                break
        names.slots[hole] = names.slots[at]
        hole = at


cdef void names_clear(Names *names) noexcept nogil:
    for i in range(names.room):
        naming_drop(naming_numbered(names.slots[i].naming))
    free(names.slots)
    names_init(names)


# ---- a server's shelf ----------------------------------------------------------------------------------------------

cdef Shelved *shelved(const Shelf *shelf, const Statement *statement) noexcept nogil:
    """Its slot, or the free one where it would be."""
    cdef uint32_t at = statement.shared.hash & (shelf.room - 1)
    while shelf.slots[at].statement != NULL and shelf.slots[at].statement != statement:
        at = (at + 1) & (shelf.room - 1)
    return &shelf.slots[at]


cdef void shelf_init(Shelf *shelf) noexcept nogil:
    shelf.slots = NULL
    shelf.room = shelf.count = 0
    shelf.uses = 0


cdef ShelfVerdict shelf_find(Shelf *shelf, const Statement *statement, int32_t edition) noexcept nogil:
    """Is it there, and not from before `edition`?  That it is asked for counts as a use."""
    cdef Shelved *slot
    if shelf.count == 0:
        return SHELF_LACKS
    slot = shelved(shelf, statement)
    if slot.statement == NULL:
        return SHELF_LACKS
    shelf.uses += 1
    slot.used = shelf.uses
    return SHELF_STALE if slot.stale or is_older(slot.edition, edition) else SHELF_HAS


cdef bint shelf_edition(const Shelf *shelf, const Statement *statement, int32_t *edition) noexcept nogil:
    """In which it was prepared there; False: it was not."""
    cdef const Shelved *slot
    if shelf.count == 0:
        return False
    slot = shelved(shelf, statement)
    edition[0] = slot.edition
    return slot.statement != NULL


cdef bint shelf_put(Shelf *shelf, Statement *statement, int32_t edition) noexcept nogil:
    """It is prepared there now, and fresh.  False: out of memory."""
    cdef Shelf wider
    cdef Shelved *slot
    if (shelf.count + 1) * 8 > shelf.room * 7:
        wider.room = max(shelf.room * 2, <uint32_t>FIRST_ROOM)
        wider.slots = <Shelved *>calloc(wider.room, sizeof(Shelved))
        if wider.slots == NULL:
            return False
        for i in range(shelf.room):
            if shelf.slots[i].statement != NULL:
                shelved(&wider, shelf.slots[i].statement)[0] = shelf.slots[i]
        free(shelf.slots)
        shelf.slots = wider.slots
        shelf.room = wider.room
    slot = shelved(shelf, statement)
    if slot.statement == NULL:
        slot.statement = statement_hold(statement)
        shelf.count += 1
    shelf.uses += 1
    slot.used = shelf.uses
    slot.edition = edition
    slot.stale = False
    return True


cdef void take_slot(Shelf *shelf, uint32_t hole) noexcept nogil:
    """Empty a slot whose hold has gone elsewhere."""
    cdef uint32_t mask = shelf.room - 1
    cdef uint32_t at = hole
    shelf.count -= 1
    while True:
        shelf.slots[hole].statement = NULL
        while True:
            at = (at + 1) & mask
            if shelf.slots[at].statement == NULL:
                return
            if ((at - shelf.slots[at].statement.shared.hash) & mask) >= ((at - hole) & mask):
                break
        shelf.slots[hole] = shelf.slots[at]
        hole = at


cdef Statement *shelf_evict(Shelf *shelf, uint32_t most, const Statement *newcomer) noexcept nogil:
    """Take out the least recently used where there is no room under `most` for a newcomer; its hold becomes the
    caller's.  NULL: there is room, or the newcomer is there already."""
    cdef uint32_t oldest = 0
    cdef bint found = False
    cdef Statement *evicted
    if shelf.count < most or shelf.count == 0 or shelved(shelf, newcomer).statement != NULL:
        return NULL
    for i in range(shelf.room):
        if shelf.slots[i].statement != NULL and (not found or shelf.slots[i].used < shelf.slots[oldest].used):
            oldest = i
            found = True
    evicted = shelf.slots[oldest].statement
    take_slot(shelf, oldest)
    return evicted


cdef void shelf_remove(Shelf *shelf, const Statement *statement) noexcept nogil:
    """It is not there any more, if it was."""
    cdef Shelved *slot
    if shelf.count == 0:
        return
    slot = shelved(shelf, statement)
    if slot.statement != NULL:
        statement_drop(slot.statement)
        take_slot(shelf, <uint32_t>(slot - shelf.slots))


cdef void shelf_stale(Shelf *shelf) noexcept nogil:
    """Something has changed in the database: all are to be prepared anew before they are used again."""
    for i in range(shelf.room):
        shelf.slots[i].stale = True


cdef void shelf_clear(Shelf *shelf) noexcept nogil:
    """The server has none any more."""
    for i in range(shelf.room):
        statement_drop(shelf.slots[i].statement)
    free(shelf.slots)
    shelf_init(shelf)
