"""Texts that rely on their session are counted, so that it is known what transaction mode would make of them.

Only where `session_lint` is on, in whatever pool mode, and nothing else is changed by it.  A text counts when it is
sent: a Query each time, a prepared statement when it is prepared.  The table is the process's and bounded: what finds
no room is counted by the way it relies on its session, for all together.  Called by `simple_query` and `preparing`, and
by `engine`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memset, strncpy

from howdah.cdefs.threads cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from howdah.dataplane.hashes cimport HASH_START, hash_on
from howdah.dataplane.parties cimport SHOWN_TEXT, Client, Worker
from howdah.dataplane.session_state cimport settings_value
from howdah.sql.analysis cimport analyse
from howdah.sql.effects cimport (
    EFFECT_DISCARD,
    EFFECT_HOLDS,
    EFFECT_LISTENS,
    EFFECT_LOAD,
    EFFECT_MAKES_TEMP,
    EFFECT_PREPARE,
    EFFECT_ROLE,
    EFFECT_SEED,
    EFFECT_SEQUENCE,
    EFFECT_SETTING,
    EFFECT_SETTINGS,
    EFFECT_SEVERAL,
    EFFECT_TAKES_LOCK,
    Analysis,
)
from howdah.sql.normal cimport normal_text

cdef enum:
    SLOTS = 2048

cdef enum:
    PREPARED = 2

LINT[0] = LintSort(EFFECT_SETTING | EFFECT_SETTINGS, False, b"setting")
LINT[1] = LintSort(EFFECT_ROLE, False, b"role")
LINT[PREPARED] = LintSort(EFFECT_PREPARE, False, b"named_statement")  # it pins among several statements in one text
LINT[3] = LintSort(EFFECT_MAKES_TEMP, True, b"temporary_object")
LINT[4] = LintSort(EFFECT_HOLDS, True, b"holdable_cursor")
LINT[5] = LintSort(EFFECT_TAKES_LOCK, True, b"advisory_lock")
LINT[6] = LintSort(EFFECT_LISTENS, False, b"listen")
LINT[7] = LintSort(EFFECT_LOAD, True, b"load")
LINT[8] = LintSort(EFFECT_SEED, True, b"random_seed")
LINT[9] = LintSort(EFFECT_SEQUENCE, True, b"sequence")

cdef pthread_mutex_t table_lock
cdef LintEntry *slots[SLOTS]
cdef uint32_t entry_count = 0
cdef LintEntry[LINT_SORTS] others  # those that found no room
cdef uint32_t EVERYTHING = 0
for _sort in range(LINT_SORTS):
    EVERYTHING |= LINT[_sort].effects
    others[_sort].sort = _sort
    others[_sort].pins = LINT[_sort].pins
pthread_mutex_init(&table_lock, NULL)


cdef void lint(Worker *w, Client *client, const uint8_t *text, size_t size) noexcept nogil:
    """A client whose texts are to be counted has sent this one.  (It is looked at for this alone: what others make of
    texts is not to depend on whether they are counted.)"""
    cdef Analysis found
    cdef LintEntry seen
    cdef const char *application
    cdef uint32_t effects
    analyse(text, size, &found)
    effects = found.effects
    if not effects & EVERYTHING or effects & EFFECT_DISCARD:
        return
    memset(&seen, 0, sizeof(seen))
    application = settings_value(client.settings, "application_name") if client.settings != NULL else NULL
    if application != NULL:
        strncpy(seen.application, application, sizeof(seen.application) - 1)
    strncpy(seen.user, client.user.name, sizeof(seen.user) - 1)
    strncpy(seen.database, client.pool.database, sizeof(seen.database) - 1)
    normal_text(text, size, seen.text, SHOWN_TEXT)
    for sort in range(LINT_SORTS):
        if effects & LINT[sort].effects:
            seen.sort = <uint8_t>sort
            seen.pins = LINT[sort].pins or (sort == PREPARED and effects & EFFECT_SEVERAL != 0)
            count(&seen, w.now_us + w.shared.wall_offset_us)


cdef void count(LintEntry *seen, uint64_t now_us) noexcept nogil:
    cdef LintEntry *entry
    seen.hash = hash_of(seen)
    pthread_mutex_lock(&table_lock)
    entry = slots[seen.hash % SLOTS]
    while entry != NULL and not is_same(entry, seen):
        entry = entry.next
    if entry == NULL and entry_count < MOST_LINTED:
        entry = add(seen)
    if entry == NULL:
        entry = &others[seen.sort]
    entry.count += 1
    entry.first_us = entry.first_us or now_us
    entry.last_us = now_us
    pthread_mutex_unlock(&table_lock)


cdef LintEntry *add(const LintEntry *seen) noexcept nogil:
    """Under the lock; NULL: out of memory."""
    global entry_count
    cdef LintEntry *entry = <LintEntry *>calloc(1, sizeof(LintEntry))
    if entry != NULL:
        entry[0] = seen[0]
        entry.count = entry.first_us = 0
        entry.next = slots[seen.hash % SLOTS]
        slots[seen.hash % SLOTS] = entry
        entry_count += 1
    return entry


cdef bint is_same(const LintEntry *a, const LintEntry *b) noexcept nogil:
    """Strings are padded with NULs."""
    return (a.hash == b.hash and a.sort == b.sort and a.pins == b.pins
            and memcmp(a.application, b.application, sizeof(a.application)) == 0
            and memcmp(a.user, b.user, sizeof(a.user)) == 0
            and memcmp(a.database, b.database, sizeof(a.database)) == 0
            and memcmp(a.text, b.text, sizeof(a.text)) == 0)


cdef uint32_t hash_of(const LintEntry *seen) noexcept nogil:
    cdef uint32_t h = <uint32_t>HASH_START + seen.sort
    h = hash_on(h, seen.application)
    h = hash_on(h, seen.user)
    h = hash_on(h, seen.database)
    return hash_on(h, seen.text)


cdef size_t lint_entries(LintEntry *to, LintEntry *rest) noexcept nogil:
    """Copy all there are to `to`, which has room for MOST_LINTED, and the others to `rest`, for LINT_SORTS; gives the
    number of the former."""
    cdef LintEntry *entry
    cdef size_t copied = 0
    pthread_mutex_lock(&table_lock)
    for slot in range(SLOTS):
        entry = slots[slot]
        while entry != NULL:
            to[copied] = entry[0]
            copied += 1
            entry = entry.next
    for sort in range(LINT_SORTS):
        rest[sort] = others[sort]
    pthread_mutex_unlock(&table_lock)
    return copied
