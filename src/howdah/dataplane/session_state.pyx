"""The settings of a session that differ from the server's own.

A client's settings follow it from server to server: where the client's pointer and the server's differ, `settling` puts
a query in front of the client's first message that makes them equal.  Sets are interned, so the comparison that every
transaction pays is of two pointers.  Holds no socket and calls no one.  Called by `handshake`, `settling`, `asking`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, strcmp, strlen

from howdah.cdefs.atomics cimport add_i32
from howdah.cdefs.threads cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, begin_message, end_message, write_bytes, write_u8

cdef enum:
    TABLE_SIZE = 4096

cdef const char *NO_COLUMNS = b" OFFSET 0)s"  # of a SELECT of assignments
# How a transaction of ours begins.  Its isolation is named because one that is the session's default may be made to
# wait.
cdef const char *BEGIN_OURS = b"BEGIN ISOLATION LEVEL READ COMMITTED;"

cdef enum:
    TIMEOUTS = 5

# Those that may end something of ours, or the session while nobody uses it.
cdef const char *timeouts[TIMEOUTS]
timeouts[0] = b"statement_timeout"
timeouts[1] = b"transaction_timeout"
timeouts[2] = b"lock_timeout"
timeouts[3] = b"idle_in_transaction_session_timeout"
timeouts[4] = b"idle_session_timeout"

cdef Settings nothing  # no names

# All sets in use, by hash.  Changes under the lock; logins and SETs go through it, transactions do not.
cdef Settings *table[TABLE_SIZE]
cdef pthread_mutex_t table_lock
pthread_mutex_init(&table_lock, NULL)


cdef const char *settings_data(const Settings *settings) noexcept nogil:
    return <const char *>(settings + 1)


cdef bint same_name(const char *a, const char *b) noexcept nogil:
    """Names of settings are compared as PostgreSQL does: ASCII letters without regard to case."""
    cdef uint8_t x, y
    while True:
        x = a[0]
        y = b[0]
        if c'A' <= x <= c'Z':
            x += 32
        if c'A' <= y <= c'Z':
            y += 32
        if x != y:
            return False
        if x == 0:
            return True
        a += 1
        b += 1


cdef void draft_init(Draft *draft) noexcept nogil:
    draft.count = draft.size = 0


cdef void draft_from(Draft *draft, const Settings *settings) noexcept nogil:
    """Start from an existing set (which must outlive the draft)."""
    cdef const char *at = settings_data(settings)
    cdef const char *value
    draft_init(draft)
    for i in range(settings.count):
        value = at + strlen(at) + 1
        draft.names[i] = at
        draft.values[i] = value
        at = value + strlen(value) + 1
    draft.count = settings.count
    draft.size = settings.size


cdef bint draft_set(Draft *draft, const char *name, const char *value) noexcept nogil:
    """Set one name; a later value replaces an earlier one.  False: more names or bytes than a session may have."""
    cdef uint32_t at = 0
    cdef uint32_t i
    cdef int order
    draft.size += <uint32_t>(strlen(name) + strlen(value) + 2)
    if draft.size > LARGEST_SETTINGS:
        return False
    while at < draft.count:
        if same_name(draft.names[at], name):
            draft.size -= <uint32_t>(strlen(name) + strlen(draft.values[at]) + 2)
            draft.values[at] = value
            return True
        order = strcmp(draft.names[at], name)
        if order > 0:
            break
        at += 1
    # Sorted by bytes, so a name in another case may stand further on.
    for i in range(at, draft.count):
        if same_name(draft.names[i], name):
            draft.size -= <uint32_t>(strlen(name) + strlen(draft.values[i]) + 2)
            draft.values[i] = value
            return True
    if draft.count == MOST_SETTINGS:
        return False
    for i in range(draft.count, at, -1):
        draft.names[i] = draft.names[i - 1]
        draft.values[i] = draft.values[i - 1]
    draft.names[at] = name
    draft.values[at] = value
    draft.count += 1
    return True


cdef void draft_remove(Draft *draft, const char *name) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint32_t i
    while at < draft.count and not same_name(draft.names[at], name):
        at += 1
    if at == draft.count:
        return
    draft.size -= <uint32_t>(strlen(draft.names[at]) + strlen(draft.values[at]) + 2)
    draft.count -= 1
    for i in range(at, draft.count):
        draft.names[i] = draft.names[i + 1]
        draft.values[i] = draft.values[i + 1]


cdef uint32_t write_draft(const Draft *draft, char *to) noexcept nogil:
    cdef uint32_t at = 0
    cdef size_t size
    for i in range(draft.count):
        size = strlen(draft.names[i]) + 1
        memcpy(to + at, draft.names[i], size)
        at += <uint32_t>size
        size = strlen(draft.values[i]) + 1
        memcpy(to + at, draft.values[i], size)
        at += <uint32_t>size
    return at


cdef uint32_t data_hash(const char *data, uint32_t size) noexcept nogil:
    cdef uint32_t h = 2166136261u
    for i in range(size):
        h = (h ^ <uint8_t>data[i]) * 16777619u
    return h


cdef Settings *intern(const Draft *draft, Settings *plain) noexcept nogil:
    """The one set with these names and values, held for the caller.  Takes over the caller's hold on `plain`
    (NULL: the set is its own plain form)."""
    cdef char[LARGEST_SETTINGS] data
    cdef uint32_t size = write_draft(draft, data)
    cdef uint32_t h = data_hash(data, size)
    cdef Settings *found
    cdef bint made = False
    pthread_mutex_lock(&table_lock)
    found = table[h % TABLE_SIZE]
    while found != NULL:
        if found.hash == h and found.size == size and memcmp(settings_data(found), data, size) == 0:
            break
        found = found.next
    if found == NULL:
        found = <Settings *>malloc(sizeof(Settings) + size)
        if found != NULL:
            made = True
            found.plain = found if plain == NULL else plain
            found.holders = 0
            found.hash = h
            found.count = draft.count
            found.size = size
            memcpy(<char *>settings_data(found), data, size)
            found.has_identity = (settings_value(found, "role") != NULL
                                  or settings_value(found, "session_authorization") != NULL)
            found.has_timeout = any_timeout(found)
            found.next = table[h % TABLE_SIZE]
            table[h % TABLE_SIZE] = found
    if found != NULL:
        add_i32(&found.holders, 1)
    pthread_mutex_unlock(&table_lock)
    if not made:
        settings_drop(plain)
    return found


cdef Settings *settings_new(const Draft *draft) noexcept nogil:
    """The set with what is in the draft, held once for the caller; NULL: out of memory."""
    cdef Draft rest
    cdef Settings *plain
    draft_init(&rest)
    for i in range(draft.count):
        if not same_name(draft.names[i], "application_name"):
            draft_set(&rest, draft.names[i], draft.values[i])
    if rest.count == draft.count:
        return intern(draft, NULL)
    plain = intern(&rest, NULL)
    return intern(draft, plain) if plain != NULL else NULL


cdef Settings *settings_hold(Settings *settings) noexcept nogil:
    add_i32(&settings.holders, 1)
    return settings


cdef void settings_drop(Settings *settings) noexcept nogil:
    cdef Settings **link
    cdef Settings *plain = NULL
    if settings == NULL:
        return
    pthread_mutex_lock(&table_lock)
    if add_i32(&settings.holders, -1) == 0:
        link = &table[settings.hash % TABLE_SIZE]
        while link[0] != settings:
            link = &link[0].next
        link[0] = settings.next
        if settings.plain != settings:
            plain = settings.plain
        free(settings)
    pthread_mutex_unlock(&table_lock)
    settings_drop(plain)


cdef const char *settings_value(const Settings *settings, const char *name) noexcept nogil:
    """The value of `name`, NULL where the session has the server's own."""
    cdef const char *at = settings_data(settings)
    cdef const char *value
    for _ in range(settings.count):
        value = at + strlen(at) + 1
        if same_name(at, name):
            return value
        at = value + strlen(value) + 1
    return NULL


cdef bint any_timeout(const Settings *settings) noexcept nogil:
    for i in range(TIMEOUTS):
        if settings_value(settings, timeouts[i]) != NULL:
            return True
    return False


cdef bint plain_text(const char *text) noexcept nogil:
    """Printable ASCII of fewer than 64 bytes: PostgreSQL takes such an application_name as it stands."""
    cdef size_t size = strlen(text)
    if size > 63:
        return False
    for i in range(size):
        if not 32 <= <uint8_t>text[i] <= 126:
            return False
    return True


cdef void write_text(Writer *w, const char *text) noexcept nogil:
    write_bytes(w, text, strlen(text))


cdef void write_hex(Writer *w, uint8_t byte) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    write_u8(w, digits[byte >> 4])
    write_u8(w, digits[byte & 15])


cdef void write_literal(Writer *w, const char *text) noexcept nogil:
    """An E'' literal of ASCII alone, which is read in the server's encoding: whatever client_encoding is in force, no
    byte of `text` can end it."""
    cdef size_t plain = 0  # bytes before this one that stand for themselves
    cdef uint8_t byte = text[0]
    write_bytes(w, b"E'", 2)
    while byte:
        if byte >= 127 or byte < 32 or byte == c"'" or byte == c"\\":
            write_bytes(w, text, plain)
            write_bytes(w, b"\\x", 2)
            write_hex(w, byte)
            text += plain + 1
            plain = 0
        else:
            plain += 1
        byte = text[plain]
    write_bytes(w, text, plain)
    write_u8(w, c"'")


cdef void write_assignment(Writer *w, const char *name, const char *value, bint *first) noexcept nogil:
    """Part of a SELECT: `value` for `name`, or its reset where that is NULL (src/backend/utils/misc/guc_funcs.c)."""
    write_text(w, "SELECT FROM(SELECT pg_catalog.set_config(" if first[0] else ",pg_catalog.set_config(")
    first[0] = False
    write_literal(w, name)
    write_u8(w, c",")
    if value == NULL:
        write_text(w, "NULL")
    else:
        write_literal(w, value)
    write_text(w, ",false)")


cdef bint is_identity(const char *name) noexcept nogil:
    """Who the session is: decides what it may set, so it is left before anything else is set, and taken on last."""
    return same_name(name, "role") or same_name(name, "session_authorization")


cdef bint differs(const Settings *now, const Settings *wanted, const char *name) noexcept nogil:
    cdef const char *value = settings_value(wanted, name)
    cdef const char *other = settings_value(now, name)
    if value == NULL or other == NULL:
        return value != other
    return strcmp(value, other) != 0


cdef bint compose_change(Writer *w, const Settings *now, const Settings *wanted, bint reset,
                         bint forget) noexcept nogil:
    """The Query that takes a session from `now` to `wanted`, all of it or nothing; False: there is nothing to do.

    `reset`: the session may have more settings than `now` says, so that all of them are reset before; which is also
    the one way that PostgreSQL allows to everybody, whoever has set them.  `forget`: the numbers of sequences.

    It is one transaction, which a failure leaves open and failed: what is sent behind them then does nothing but to
    fail, too.  The rows have no columns, so that the answer is short; PostgreSQL leaves no volatile function out
    (src/backend/optimizer/path/allpaths.c, remove_unused_subquery_outputs).
    """
    cdef bint identity = ((now.has_identity or wanted.has_identity)
                          and (reset or differs(now, wanted, "session_authorization") or differs(now, wanted, "role")))
    cdef const Settings *known = now
    cdef bint first = True
    cdef size_t start = w.used
    cdef size_t mark = begin_message(w, tags.QUERY)
    write_text(w, BEGIN_OURS)
    if now.has_timeout:
        write_patience(w, now)
    reset = reset or (identity and now.has_identity)
    if reset:
        known = &nothing
        write_text(w, "RESET ALL;")
    if forget:
        write_text(w, "DISCARD SEQUENCES;")
    if identity:
        leave_identity(w, now, &first)
    write_changes(w, known, wanted, &first)
    if identity:
        take_identity(w, wanted, &first)
    if first and not (reset or forget):
        w.used = start
        return False
    if not first:
        write_text(w, NO_COLUMNS)
        write_u8(w, c";")
    write_text(w, "COMMIT")
    write_u8(w, 0)
    end_message(w, mark)
    return True


cdef void write_patience(Writer *w, const Settings *now) noexcept nogil:
    """What the last client allowed its own statements is no measure for these."""
    for i in range(TIMEOUTS):
        if settings_value(now, timeouts[i]) != NULL:
            write_text(w, "SET LOCAL ")
            write_text(w, timeouts[i])
            write_text(w, "=0;")


cdef void leave_identity(Writer *w, const Settings *now, bint *first) noexcept nogil:
    if settings_value(now, "role") != NULL:
        write_assignment(w, "role", NULL, first)
    if settings_value(now, "session_authorization") != NULL:
        write_assignment(w, "session_authorization", NULL, first)


cdef void take_identity(Writer *w, const Settings *wanted, bint *first) noexcept nogil:
    """The order matters: a new session_authorization ends the role."""
    cdef const char *user = settings_value(wanted, "session_authorization")
    cdef const char *role = settings_value(wanted, "role")
    if user != NULL:
        write_assignment(w, "session_authorization", user, first)
    if role != NULL:
        write_assignment(w, "role", role, first)


cdef void write_changes(Writer *w, const Settings *now, const Settings *wanted, bint *first) noexcept nogil:
    cdef const char *at = settings_data(now)
    cdef const char *hint = settings_data(wanted)
    cdef const char *value
    cdef const char *other
    for _ in range(now.count):
        value = at + strlen(at) + 1
        if value_beside(wanted, at, &hint) == NULL and not is_identity(at):
            write_assignment(w, at, NULL, first)
        at = value + strlen(value) + 1
    at = settings_data(wanted)
    hint = settings_data(now)
    for _ in range(wanted.count):
        value = at + strlen(at) + 1
        other = value_beside(now, at, &hint)
        if (other == NULL or strcmp(value, other) != 0) and not is_identity(at):
            write_assignment(w, at, value, first)
        at = value + strlen(value) + 1


cdef const char *value_beside(const Settings *settings, const char *name, const char **hint) noexcept nogil:
    """`settings_value`, found at once where sets with the same names are gone through side by side."""
    cdef const char *value
    if hint[0] == settings_data(settings) + settings.size or strcmp(hint[0], name) != 0:
        return settings_value(settings, name)
    value = hint[0] + strlen(name) + 1
    hint[0] = value + strlen(value) + 1
    return value
