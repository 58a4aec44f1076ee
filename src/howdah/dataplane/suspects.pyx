"""The texts that may have brought a pin about, so that operators can be told which.

That a server is to be kept is known at the end of a transaction, and from the server; so the texts of the transaction
that may have to do with it are kept until then, without their values.  Called by `simple_query`, `preparing` and
`unnamed`, which send texts, and by `pinning`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, strlen

from howdah.cdefs.atomics cimport load_i32
from howdah.dataplane.buffers cimport Block, block_data, hold_more
from howdah.dataplane.parties cimport PIN_SEQUENCE, PIN_SESSION_MODE, SHOWN_TEXT, Client, Worker
from howdah.dataplane.routes cimport SEQUENCES_LEARN, SEQUENCES_PIN
from howdah.dataplane.texts cimport Text, text_data
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_CURSOR,
    EFFECT_LISTEN,
    EFFECT_LOAD,
    EFFECT_LOCK,
    EFFECT_NUMBERS,
    EFFECT_PREPARE,
    EFFECT_SEED,
    EFFECT_TEMP,
)
from howdah.sql.normal cimport normal_text

cdef enum:
    TEXT_OF_PARSE = 6  # where the text begins in a Parse without a name
    ENTRY = 4 + SHOWN_TEXT  # effects and a text
    MOST_KEPT = 4096  # bytes of a transaction's; what comes later is not known then
    SUSPICIOUS = (EFFECT_ANYTHING | EFFECT_CURSOR | EFFECT_LISTEN | EFFECT_LOAD | EFFECT_LOCK | EFFECT_PREPARE
                  | EFFECT_SEED | EFFECT_TEMP)


cdef void suspect(Worker *w, Client *client, uint32_t effects, const uint8_t *text, size_t size) noexcept nogil:
    """A text with these effects goes to the client's server."""
    cdef uint8_t[ENTRY] entry
    cdef size_t shown
    if text == NULL or client.server.pins & PIN_SESSION_MODE:
        return
    if not effects & SUSPICIOUS and not (effects & EFFECT_NUMBERS and numbers_count(w, client)):
        return
    if client.suspects != NULL and client.suspects.end + sizeof(entry) > MOST_KEPT:
        return
    memcpy(entry, &effects, sizeof(effects))
    shown = normal_text(text, size, <char *>entry + sizeof(effects), SHOWN_TEXT)
    hold_more(&w.slab, &client.suspects, entry, sizeof(effects) + shown + 1)


cdef void suspect_text(Worker *w, Client *client, const Text *text) noexcept nogil:
    """The same of a statement that follows the client."""
    suspect(w, client, text.effects, text_data(text), text.size)


cdef void suspect_unnamed(Worker *w, Client *client) noexcept nogil:
    """The same of the unnamed statement, where its Parse is at hand."""
    cdef Block *kept = client.unnamed_parse
    if kept != NULL and kept.end > TEXT_OF_PARSE:
        suspect(w, client, client.unnamed_effects, block_data(kept) + TEXT_OF_PARSE, kept.end - TEXT_OF_PARSE)


cdef bint numbers_count(Worker *w, Client *client) noexcept nogil:
    """May a server be kept for numbers of sequences?"""
    cdef uint8_t mode = w.plan.session_sequences
    return not client.server.pins & PIN_SEQUENCE and (
        mode == SEQUENCES_PIN or (mode == SEQUENCES_LEARN and load_i32(&client.pool.sequences)))


cdef void find_suspect(const Client *client, uint32_t certain, uint32_t effects, char *to) noexcept nogil:
    """The last text with one of the `certain` effects, else with one of `effects`, else one that may do anything, into
    `to`, which has room for SHOWN_TEXT bytes."""
    to[0] = 0
    if not (find(client, certain, to) or find(client, effects, to)):
        find(client, EFFECT_ANYTHING, to)


cdef bint find(const Client *client, uint32_t effects, char *to) noexcept nogil:
    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef uint32_t those = 0
    cdef bint found = False
    if client.suspects == NULL:
        return False
    at = block_data(client.suspects)
    end = at + client.suspects.end
    while at < end:
        memcpy(&those, at, sizeof(those))
        at += sizeof(those)
        if those & effects:
            memcpy(to, at, strlen(<const char *>at) + 1)
            found = True
        at += strlen(<const char *>at) + 1
    return found
