"""Texts of prepared statements and names for them, each stored once for all clients.

A text has one name of ours at all servers of a pool.  What is in here is counted by whoever holds it and goes with
the last.  Called by all who deal with named statements.
"""

import os

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, strlen, strncmp

from howdah.cdefs.atomics cimport add_i32, add_u64, drop_unless_last, store_i32
from howdah.cdefs.threads cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from howdah.sql.effects cimport Analysis, settings_size, write_settings

cdef enum:
    FIRST_TABLE = 256
    CHUNK_BITS = 10
    CHUNK = 1 << CHUNK_BITS  # namings of which the numbers are given out together
    MOST_CHUNKS = 1 << 18

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

# Names of ours at servers: "howdah_" and a number in hexadecimal.  No client can use one: see `nowhere`.
cdef const char *PREFIX = b"howdah_"
cdef size_t PREFIX_SIZE = 7

# Things of one kind, by hash.  Changes under the lock: a Parse with a name goes through it, a Bind does not.
cdef struct Table:
    Interned **slots
    uint32_t room
    uint32_t count

cdef Table texts
cdef Table statements
cdef Table namings
cdef pthread_mutex_t table_lock
cdef uint64_t last_number = 0
cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")  # which texts share a slot is nobody's to choose
pthread_mutex_init(&table_lock, NULL)


# ---- things stored once --------------------------------------------------------------------------------------------

cdef uint32_t bytes_hash(const uint8_t *data, size_t size) noexcept nogil:
    cdef uint64_t h = seed ^ size
    cdef uint64_t word
    while size >= 8:
        memcpy(&word, data, 8)
        h = (h ^ word) * <uint64_t>0x9E3779B97F4A7C15
        h ^= h >> 29
        data += 8
        size -= 8
    word = 0
    memcpy(&word, data, size)
    h = (h ^ word) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(h >> 32)


cdef bint lay(Table *table) noexcept nogil:
    """Room for one more; False: out of memory."""
    cdef uint32_t room = table.room * 2 if table.room else FIRST_TABLE
    cdef Interned **slots
    cdef Interned *one
    cdef Interned *next_one
    if table.count < table.room:
        return True
    slots = <Interned **>calloc(room, sizeof(Interned *))
    if slots == NULL:
        return table.room > 0  # longer chains will do
    for i in range(table.room):
        one = table.slots[i]
        while one != NULL:
            next_one = one.next
            one.next = slots[one.hash & (room - 1)]
            slots[one.hash & (room - 1)] = one
            one = next_one
    free(table.slots)
    table.slots = slots
    table.room = room
    return True


cdef void add(Table *table, Interned *one, uint32_t hash_) noexcept nogil:
    one.hash = hash_
    one.holders = 0
    one.next = table.slots[hash_ & (table.room - 1)]
    table.slots[hash_ & (table.room - 1)] = one
    table.count += 1


cdef void remove(Table *table, Interned *one) noexcept nogil:
    cdef Interned **link = &table.slots[one.hash & (table.room - 1)]
    while link[0] != one:
        link = &link[0].next
    link[0] = one.next
    table.count -= 1


# ---- texts ---------------------------------------------------------------------------------------------------------

cdef Text *find_text(uint32_t h, const uint8_t *data, uint32_t size, const Analysis *analysis) noexcept nogil:
    """The one text of these bytes, which have this hash, held for the caller; NULL: out of memory.  Under the lock."""
    cdef Text *found
    if not lay(&texts):
        return NULL
    found = <Text *>texts.slots[h & (texts.room - 1)]
    while found != NULL:
        if found.shared.hash == h and found.size == size and memcmp(text_data(found), data, size) == 0:
            break
        found = <Text *>found.shared.next
    if found == NULL:
        found = <Text *>malloc(sizeof(Text) + size + settings_size(analysis))
        if found == NULL:
            return NULL
        found.size = size
        found.by_sql = memchr(data, 0, size) == data + size - 1
        found.effects = analysis.effects
        memcpy(found + 1, data, size)
        found.settings_size = write_settings(analysis, <char *>(found + 1) + size)
        add(&texts, &found.shared, h)
    found.shared.holders += 1
    return found


cdef void drop_text(Text *text) noexcept nogil:
    """Under the lock."""
    text.shared.holders -= 1
    if text.shared.holders == 0:
        remove(&texts, &text.shared)
        free(text)


cdef const char *text_settings(const Text *text) noexcept nogil:
    return <const char *>text_data(text) + text.size


cdef const uint8_t *text_data(const Text *text) noexcept nogil:
    return <const uint8_t *>(text + 1)


# ---- statements ----------------------------------------------------------------------------------------------------

cdef Statement *statement_new(const uint8_t *data, uint32_t size, const Analysis *analysis, const void *pool,
                              const char *path) noexcept nogil:
    """The pool's one statement with this text, these types and this search_path (NULL: the pool's own), held for the
    caller; NULL: out of memory."""
    cdef uint32_t h = bytes_hash(data, size)
    cdef Statement *found = NULL
    cdef Text *text
    pthread_mutex_lock(&table_lock)
    text = find_text(h, data, size, analysis)
    if text != NULL:
        found = find_statement(text, pool, bytes_hash(<const uint8_t *>path, strlen(path)) if path != NULL else 0)
        drop_text(text)
    pthread_mutex_unlock(&table_lock)
    return found


cdef Statement *find_statement(Text *text, const void *pool, uint32_t path) noexcept nogil:
    cdef uint32_t h = text.shared.hash ^ path ^ bytes_hash(<const uint8_t *>&pool, sizeof(pool))
    cdef Statement *found
    if not lay(&statements):
        return NULL
    found = <Statement *>statements.slots[h & (statements.room - 1)]
    while found != NULL:
        if found.text == text and found.pool == pool and found.path == path:
            break
        found = <Statement *>found.shared.next
    if found == NULL:
        found = <Statement *>calloc(1, sizeof(Statement))
        if found == NULL:
            return NULL
        found.text = text
        text.shared.holders += 1
        found.pool = pool
        found.path = path
        found.name_size = <uint8_t>snprintf(
            found.name, sizeof(found.name), b"%s%llx", PREFIX, <unsigned long long>add_u64(&last_number, 1))
        add(&statements, &found.shared, h)
    add_i32(&found.shared.holders, 1)
    return found


cdef Statement *statement_hold(Statement *statement) noexcept nogil:
    add_i32(&statement.shared.holders, 1)
    return statement


cdef void statement_drop(Statement *statement) noexcept nogil:
    if statement == NULL or drop_unless_last(&statement.shared.holders):
        return
    pthread_mutex_lock(&table_lock)
    drop_locked(statement)
    pthread_mutex_unlock(&table_lock)


cdef void drop_locked(Statement *statement) noexcept nogil:
    if add_i32(&statement.shared.holders, -1) == 0:
        remove(&statements, &statement.shared)
        drop_text(statement.text)
        free(statement)


cdef void statement_changes(Statement *statement) noexcept nogil:
    """Its result is another one from now on."""
    pthread_mutex_lock(&table_lock)
    store_i32(&statement.changed, add_i32(&statement.edition, 1))
    pthread_mutex_unlock(&table_lock)


cdef void statement_described(Statement *statement, int32_t edition, uint32_t shape) noexcept nogil:
    """A server that prepared it in this edition has said what it takes and gives: is that something new?"""
    pthread_mutex_lock(&table_lock)
    if statement.shape != shape and not is_older(edition, statement.changed):
        if statement.shape:
            store_i32(&statement.changed, edition)
        statement.shape = shape
    pthread_mutex_unlock(&table_lock)


cdef int32_t statement_taken_over(Statement *statement, uint32_t shape, bint outdated) noexcept nogil:
    """A client of another process was told of it there, that it takes and gives this: in which edition it knows it."""
    cdef int32_t edition
    pthread_mutex_lock(&table_lock)
    if statement.shape == 0 and not outdated:
        statement.shape = shape
    edition = statement.changed
    if outdated or (shape and statement.shape != shape):
        edition -= 1
    pthread_mutex_unlock(&table_lock)
    return edition


# Some that no client prepares, held for ever.
cdef Statement nowhere_statement
cdef Statement outdated_statement
cdef Statement denied_statement
cdef Statement crowded_statement
cdef Statement *taken_statement


cdef void make_nameless(Statement *statement, const char *mark) noexcept:
    """Under whose name no server has anything."""
    statement.shared.holders = 1
    statement.name_size = <uint8_t>snprintf(statement.name, sizeof(statement.name), b"%s%s", PREFIX, mark)


cdef void make_special():
    global taken_statement
    cdef Analysis harmless
    harmless.effects = harmless.setting_count = 0
    make_nameless(&nowhere_statement, b"nowhere")
    make_nameless(&outdated_statement, b"outdated")
    make_nameless(&denied_statement, b"denied")
    make_nameless(&crowded_statement, b"crowded")
    taken_statement = statement_new(<const uint8_t *>b"\0\0\0", 3, &harmless, NULL, NULL)  # an empty query


cdef Statement *nowhere() noexcept nogil:
    """A statement that no server ever has: what a client asks for under a name of ours that is not the client's."""
    return &nowhere_statement


cdef Statement *outdated() noexcept nogil:
    """No server has it either: what a client asks for that must learn that a description it was given holds no more."""
    return &outdated_statement


cdef Statement *denied() noexcept nogil:
    """The same: what stands in the place of a text that may not run (see `refusing`); its naming says why not."""
    return &denied_statement


cdef Statement *crowded() noexcept nogil:
    """The same where too many have done it already."""
    return &crowded_statement


cdef Statement *taken() noexcept nogil:
    """A statement under whose name a client's Parse gets "already exists" where, and only where, PostgreSQL would
    say it: behind the errors of the text itself."""
    return taken_statement


cdef bint is_ours(const char *name, uint32_t size) noexcept nogil:
    """Does this look like a name that we give?"""
    return size >= PREFIX_SIZE and strncmp(name, PREFIX, PREFIX_SIZE) == 0


cdef Naming *naming_new(const char *name, uint32_t size, Statement *statement) noexcept nogil:
    """`statement` under this name; held for the caller.  NULL: out of memory."""
    cdef uint32_t h = name_hash(name, size)
    cdef Naming *found = NULL
    pthread_mutex_lock(&table_lock)
    if lay(&namings):
        found = <Naming *>namings.slots[h & (namings.room - 1)]
        while found != NULL:
            if found.statement == statement and found.size == size and memcmp(found + 1, name, size) == 0:
                break
            found = <Naming *>found.shared.next
        if found == NULL:
            found = make_naming(name, size, statement)
            if found != NULL:
                add(&namings, &found.shared, h)
    if found != NULL:
        add_i32(&found.shared.holders, 1)
    pthread_mutex_unlock(&table_lock)
    return found


cdef Naming *make_naming(const char *name, uint32_t size, Statement *statement) noexcept nogil:
    cdef Naming *made = <Naming *>malloc(sizeof(Naming) + size + 1)
    cdef char *to = <char *>(made + 1)
    if made == NULL:
        return NULL
    made.number = next_number()
    if made.number == 0:
        free(made)
        return NULL
    numbered(made.number)[0] = made
    made.statement = statement_hold(statement)
    made.size = size
    memcpy(to, name, size)
    to[size] = 0
    return made


# Each naming by a number that is half as long as its address, as each client has hundreds.  A chunk stays where it is,
# so that whoever holds a naming finds it without the lock.
cdef Naming **chunks[MOST_CHUNKS]
cdef uint32_t numbers_given = 1  # 0 is no naming's
cdef uint32_t first_unused = 0  # a number given before and free again; in its place stands the next such


cdef Naming **numbered(uint32_t number) noexcept nogil:
    return &chunks[number >> CHUNK_BITS][number & (CHUNK - 1)]


cdef Naming *naming_numbered(uint32_t number) noexcept nogil:
    """The one that has this number and is held; NULL for 0."""
    return numbered(number)[0] if number else NULL


cdef uint32_t next_number() noexcept nogil:
    """One that is free; 0: out of memory.  Under the lock."""
    cdef uint32_t number = first_unused
    global first_unused, numbers_given
    if number:
        first_unused = <uint32_t><size_t>numbered(number)[0]
        return number
    number = numbers_given
    if number >> CHUNK_BITS == MOST_CHUNKS:
        return 0
    if chunks[number >> CHUNK_BITS] == NULL:
        chunks[number >> CHUNK_BITS] = <Naming **>calloc(CHUNK, sizeof(Naming *))
        if chunks[number >> CHUNK_BITS] == NULL:
            return 0
    numbers_given += 1
    return number


cdef void free_number(uint32_t number) noexcept nogil:
    """Under the lock."""
    global first_unused
    numbered(number)[0] = <Naming *><size_t>first_unused
    first_unused = number


cdef bint same_name(const Naming *naming, const char *name, uint32_t size) noexcept nogil:
    """As far as names count."""
    size = min(size, <uint32_t>LARGEST_NAME)
    return min(naming.size, <uint32_t>LARGEST_NAME) == size and memcmp(naming + 1, name, size) == 0


cdef uint32_t name_hash(const char *name, uint32_t size) noexcept nogil:
    """Of the bytes that count."""
    return bytes_hash(<const uint8_t *>name, min(size, <uint32_t>LARGEST_NAME))


cdef Naming *naming_hold(Naming *naming) noexcept nogil:
    add_i32(&naming.shared.holders, 1)
    return naming


cdef void naming_drop(Naming *naming) noexcept nogil:
    if naming == NULL or drop_unless_last(&naming.shared.holders):
        return
    pthread_mutex_lock(&table_lock)
    if add_i32(&naming.shared.holders, -1) == 0:
        remove(&namings, &naming.shared)
        free_number(naming.number)
        drop_locked(naming.statement)
        free(naming)
    pthread_mutex_unlock(&table_lock)


cdef const char *naming_name(const Naming *naming) noexcept nogil:
    return <const char *>(naming + 1)


make_special()
