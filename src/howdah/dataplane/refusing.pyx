"""Texts that would pin a server are not run where that may not be: `pin` denies it, or `max_pinned` are pinned already.

In the place of such a message another one goes to the server, which fails there as the client's would have: an error
ends what it ends in PostgreSQL, a transaction or a run of messages up to a Sync, and nothing of it has been done.  The
client gets our words for it (`relay.say_renamed`).  What no text shows is found out afterwards, see `pinning`.  Called
by `simple_query` and `preparing`.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, strlen

from howdah.cdefs.atomics cimport load_i32
from howdah.dataplane.linking cimport note_owed
from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport PIN_NAMED_STATEMENT, PIN_SEQUENCE, SHOWN_TEXT, Client, Worker
from howdah.dataplane.pinning cimport PIN_SORTS, follows_client, has_room, pin_name, take_share
from howdah.dataplane.reply_queue cimport CHANGE_NONE, EXPECT_DESCRIBE, EXPECT_QUERY
from howdah.dataplane.routes cimport SEQUENCES_IGNORE
from howdah.dataplane.sequences cimport goes_by_sequences
from howdah.dataplane.stats cimport PIN_KINDS
from howdah.dataplane.suspects cimport find_suspect
from howdah.dataplane.texts cimport Naming, Statement, crowded, denied, naming_drop, naming_name, naming_new
from howdah.dataplane.turn cimport STEP_DROP, STEP_FORWARD, STEP_GONE, Step, Turn, stage_request, staged, staging
from howdah.dataplane.unnamed cimport forget_unnamed
from howdah.sql.effects cimport (
    EFFECT_LOAD,
    EFFECT_NUMBERS,
    EFFECT_PREPARE,
    EFFECT_SEED,
    EFFECT_SEQUENCE,
    EFFECT_SEVERAL,
    EFFECTS_FOR_CERTAIN,
)
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_describe, compose_query
from howdah.wire.tags cimport IN_FAILED_TRANSACTION

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef enum:
    LARGEST_QUERY = 64
    LARGEST_NAME = 64
    MAY_PIN = EFFECTS_FOR_CERTAIN | EFFECT_LOAD | EFFECT_SEED | EFFECT_PREPARE | EFFECT_SEQUENCE
    ALL_EFFECTS = 0xFFFFFFFF

cdef uint8_t STATEMENT_REFUSED = EventKind.STATEMENT_REFUSED
cdef int DENIED = NUMBERS["pin_denied"]
cdef int MAX_PINNED = NUMBERS["max_pinned"]


cdef Naming *refusal(Worker *w, Client *client, uint32_t effects) noexcept nogil:
    """Why a text with these effects may not run, as the naming of what is to fail in its place; held.  NULL: it may,
    and the server has its share of those that may be kept, if it will be."""
    cdef uint16_t pins = 0
    if not effects & MAY_PIN or not follows_client(client):
        return NULL
    for kind in range(PIN_KINDS):
        if effects & PIN_SORTS[kind].certain:
            pins |= PIN_SORTS[kind].pin
    if effects & EFFECT_PREPARE and effects & EFFECT_SEVERAL:
        pins |= PIN_NAMED_STATEMENT
    pins &= ~client.server.pins
    return refusal_of(w, client, pins) if pins else refusal_of_look(w, client, effects)


cdef Naming *refusal_of(Worker *w, Client *client, uint16_t pins) noexcept nogil:
    """Of something that will pin the client's server in these ways.  (In a failed transaction nothing will run.)"""
    if client.server.status == IN_FAILED_TRANSACTION:
        return NULL
    if client.rules.pin_deny & pins:
        return naming_of(denied(), client, client.rules.pin_deny & pins)
    return NULL if take_share(client) else naming_of(crowded(), client, pins)


cdef Naming *refusal_of_look(Worker *w, Client *client, uint32_t effects) noexcept nogil:
    """Of a text that begins a transaction with a look at numbers that no server has been kept for.  What took them was
    not refused: most who take numbers never ask for them again."""
    if (effects & EFFECT_NUMBERS or w.plan.session_sequences == SEQUENCES_IGNORE
            or not goes_by_sequences(client, effects)):
        return NULL
    if client.rules.pin_deny & PIN_SEQUENCE:
        return naming_of(denied(), client, PIN_SEQUENCE)
    return NULL if has_room(client) else naming_of(crowded(), client, PIN_SEQUENCE)


cdef Naming *naming_of(Statement *special, const Client *client, uint16_t pins) noexcept nogil:
    """Its name is what the error will say."""
    cdef char[2 * LARGEST_NAME] said
    cdef int most = load_i32(&client.pool.max_pinned)
    if special == denied():
        snprintf(said, sizeof(said), b"%s", pin_name(pins))
    else:
        snprintf(said, sizeof(said), b"%s would keep one more than %d of this pool", pin_name(pins), most)
    return naming_new(said, <uint32_t>strlen(said), special)


cdef Step refuse_run(Worker *w, Client *client, Naming *why, bint query, Turn *turn) noexcept nogil:
    """The message at hand, a Query or one of the extended protocol, is dropped, and what fails is staged in its place.
    The hold on `why` is taken over."""
    cdef const char *name = why.statement.name
    cdef char[LARGEST_QUERY] text
    cdef Writer message
    cdef Step step
    tell_refused(w, client, why)
    if not stage_request(w, client, turn):
        naming_drop(why)
        return STEP_GONE
    if query:
        forget_unnamed(w, client)  # a Query ends it
        client.server.unnamed_owner = 0
    step = note_owed(client, EXPECT_QUERY if query else EXPECT_DESCRIBE, CHANGE_NONE, why, turn)
    if step != STEP_FORWARD:
        return step
    message = staging(w)
    if query:
        snprintf(text, sizeof(text), b"EXECUTE %s", name)
        compose_query(&message, text)
    else:
        compose_describe(&message, name)
    staged(w, &message)
    return STEP_DROP


cdef void tell_refused(Worker *w, Client *client, const Naming *why) noexcept nogil:
    cdef char[2 * LARGEST_NAME + SHOWN_TEXT] detail
    cdef size_t size = min(<size_t>why.size, <size_t>(2 * LARGEST_NAME - 1)) + 1
    memcpy(detail, naming_name(why), size)
    detail[size - 1] = 0
    find_suspect(client, ALL_EFFECTS, 0, detail + size)
    tell_client(w, STATEMENT_REFUSED, client, refusal_reason(why), detail, size + strlen(detail + size))


cdef int refusal_reason(const Naming *naming) noexcept nogil:
    """In howdah.reasons; 0: it is no naming of that kind."""
    if naming.statement == denied():
        return DENIED
    return MAX_PINNED if naming.statement == crowded() else 0
