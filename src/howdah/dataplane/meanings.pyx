"""What else than its text decides what a statement means.

PostgreSQL reads a text when it is prepared: names are looked up in the search_path, and what stands in quotes becomes a
value there and then ('2024-01-01'::timestamptz in the TimeZone of that moment).  So clients share a statement only
where they agree in all the settings that this depends on.  While nobody knows whether they do (something was sent that
may have changed one, or there are temporary tables) a client has its statements for itself.  Called by `preparing` and
`sql_prepared`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport strlen

from howdah.cdefs.atomics cimport add_u64, load_i32
from howdah.dataplane.noting cimport is_noted
from howdah.dataplane.parties cimport PIN_TEMP, Client, Worker
from howdah.dataplane.session_state cimport settings_value
from howdah.dataplane.statements cimport SHELF_HAS, names_find, names_put, names_take, shelf_find
from howdah.dataplane.texts cimport (
    Naming,
    Statement,
    naming_drop,
    naming_name,
    naming_new,
    statement_drop,
    statement_new,
    text_data,
)
from howdah.sql.effects cimport (
    EFFECT_DISCARD,
    EFFECT_SETTINGS,
    EFFECT_TEMP,
    Analysis,
    analysis_start,
)
from howdah.wire.bytes cimport Writer, write_bytes, write_u8, writer

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    LARGEST_KEY = 2048
    ALONE = 1  # begins the key of a statement that nobody shares
    FIRST_MARK = 2  # each setting that has a value begins with a mark of its own
    DECIDING = 17
    LOOKED_AT_AGAIN = 3  # so many of them PostgreSQL compares itself each time it runs a statement
    UNSURE = EFFECT_SETTINGS | EFFECT_TEMP | EFFECT_DISCARD

# "$user" in a search_path is the role.  The last two are what functions go by that PostgreSQL takes for immutable.
cdef const char *deciding[DECIDING]
deciding[0] = b"search_path"
deciding[1] = b"role"
deciding[2] = b"session_authorization"
deciding[3] = b"client_encoding"
deciding[4] = b"DateStyle"
deciding[5] = b"IntervalStyle"
deciding[6] = b"TimeZone"
deciding[7] = b"timezone_abbreviations"
deciding[8] = b"standard_conforming_strings"
deciding[9] = b"backslash_quote"
deciding[10] = b"transform_null_equals"
deciding[11] = b"array_nulls"
deciding[12] = b"xmloption"
deciding[13] = b"lc_monetary"
deciding[14] = b"default_text_search_config"
deciding[15] = b"bytea_output"
deciding[16] = b"extra_float_digits"


cdef Statement *statement_for(Worker *w, const Client *client, const uint8_t *data, uint32_t size,
                              const Analysis *found) noexcept nogil:
    """The statement that this text, with its types, is for this client now; held.  NULL: out of memory."""
    cdef char[LARGEST_KEY + 1] key
    return statement_new(data, size, found, client.pool, write_key(w, client, key))


cdef const char *write_key(Worker *w, const Client *client, char *key) noexcept nogil:
    """What it depends on, as a string; NULL: all of that is the pool's own."""
    cdef Writer written = writer(<uint8_t *>key, LARGEST_KEY)
    cdef const char *value
    cdef int i
    cdef bint unsure = client.effects & UNSURE != 0 or (
        client.server != NULL and client.server.pins & PIN_TEMP != 0)
    for i in range(DECIDING):
        unsure = unsure or (i >= LOOKED_AT_AGAIN and client.noted != NULL and is_noted(client, deciding[i]))
        value = settings_value(client.settings, deciding[i])
        if value != NULL:
            write_u8(&written, <uint8_t>(FIRST_MARK + i))
            write_bytes(&written, value, strlen(value))
    if unsure or not written.ok:
        snprintf(key, LARGEST_KEY, b"%c%llu", <int>ALONE, <unsigned long long>add_u64(&w.shared.last_id, 1))
        return key
    key[written.used] = 0
    return key if written.used else NULL


cdef Naming *as_of_now(Worker *w, Client *client, Naming *naming, int32_t **edition) noexcept nogil:
    """What the client calls so, where its server is to be given it first: that happens in the settings of today, which
    must not become those of others.  NULL: out of memory."""
    cdef Statement *before = naming.statement
    cdef Statement *statement
    cdef Naming *renewed
    cdef Analysis unread
    if shelf_find(&client.server.shelf, before, edition[0][0]) == SHELF_HAS:
        return naming
    analysis_start(&unread)  # the text is known
    statement = statement_for(w, client, text_data(before.text), before.text.size, &unread)
    if statement == before:
        statement_drop(statement)
        return naming
    renewed = naming_new(naming_name(naming), naming.size, statement) if statement != NULL else NULL
    statement_drop(statement)
    if renewed == NULL:
        return NULL
    names_take(&client.names, naming_name(naming), naming.size)
    names_put(&client.names, renewed, edition_of(before, statement))  # there is room: one has gone
    naming_drop(naming)
    return names_find(&client.names, naming_name(renewed), renewed.size, edition)


cdef int32_t edition_of(Statement *before, Statement *now) noexcept nogil:
    """In which the client knows it: one from before the last change if it gives something else than what that gave."""
    if before.shape and now.shape and before.shape != now.shape:
        return load_i32(&now.changed) - 1
    return load_i32(&now.edition)
