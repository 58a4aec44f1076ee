"""A server is kept for its client, and it is known which, why and since when.

A pin counts from the end of the transaction that has brought it about to the end of the one that ends it, or of its
client.  Of a pool's servers only a share may be kept (`max_pinned`): it is taken when a text is sent that will pin, or
when a pin is found out afterwards.  Called by `asking`, `linking`, `noting`, `sequences`, `preparing`, `refusing` and
`recycle`.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from libc.stdlib cimport calloc
from libc.string cimport strlen

from howdah.cdefs.atomics cimport add_i32, load_i32, relaxed_add_u64
from howdah.dataplane.mailbox cimport tell_client
from howdah.dataplane.parties cimport (
    PIN_CURSOR,
    PIN_LISTEN,
    PIN_LOAD,
    PIN_LOCK,
    PIN_NAMED_STATEMENT,
    PIN_SEED,
    PIN_SEQUENCE,
    PIN_SESSION_MODE,
    PIN_TEMP,
    PIN_UNKNOWN,
    Client,
    PinRecord,
    Server,
    Worker,
)
from howdah.dataplane.pool cimport Pool
from howdah.dataplane.stats cimport PIN_KINDS, PinTally
from howdah.dataplane.suspects cimport find_suspect
from howdah.sql.effects cimport (
    EFFECT_CURSOR,
    EFFECT_DEALLOCATE,
    EFFECT_HOLDS,
    EFFECT_LISTEN,
    EFFECT_LOAD,
    EFFECT_LOCK,
    EFFECT_MAKES_TEMP,
    EFFECT_NUMBERS,
    EFFECT_PREPARE,
    EFFECT_SEED,
    EFFECT_TAKES_LOCK,
    EFFECT_TEMP,
)
from howdah.wire.compose cimport reason_message

from howdah.dataplane.rows import EventKind
from howdah.reasons import NUMBERS

cdef uint8_t EVENT_PIN = EventKind.PIN
cdef uint8_t EVENT_PIN_WARNED = EventKind.PIN_WARNED
cdef int DENIED_LATE = NUMBERS["pin_denied_late"]
cdef int MAX_PINNED_LATE = NUMBERS["max_pinned_late"]

PIN_SORTS[0] = PinSort(PIN_NAMED_STATEMENT, EFFECT_PREPARE | EFFECT_DEALLOCATE, 0, NUMBERS["pin_named_statement"])
PIN_SORTS[1] = PinSort(PIN_TEMP, EFFECT_TEMP, EFFECT_MAKES_TEMP, NUMBERS["pin_temporary_object"])
PIN_SORTS[2] = PinSort(PIN_CURSOR, EFFECT_CURSOR, EFFECT_HOLDS, NUMBERS["pin_holdable_cursor"])
PIN_SORTS[3] = PinSort(PIN_LOCK, EFFECT_LOCK, EFFECT_TAKES_LOCK, NUMBERS["pin_advisory_lock"])
PIN_SORTS[4] = PinSort(PIN_LISTEN, EFFECT_LISTEN, 0, NUMBERS["pin_listen"])
PIN_SORTS[5] = PinSort(PIN_LOAD, EFFECT_LOAD, EFFECT_LOAD, NUMBERS["pin_load"])
PIN_SORTS[6] = PinSort(PIN_SEED, EFFECT_SEED, EFFECT_SEED, NUMBERS["pin_random_seed"])
PIN_SORTS[7] = PinSort(PIN_UNKNOWN, 0, 0, NUMBERS["pin_unknown"])
PIN_SORTS[8] = PinSort(PIN_SEQUENCE, EFFECT_NUMBERS, 0, NUMBERS["pin_sequence"])


cdef bint follows_client(const Client *client) noexcept nogil:
    """Is it a session that goes from server to server?  (Otherwise the server is the client's own until it leaves.)"""
    return not (client.server.pins & PIN_SESSION_MODE or client.server.pooled.dedicated)


cdef void pin(Worker *w, Client *client, uint16_t why) noexcept nogil:
    """For this reason, of which the control plane is told once.  One that may not be is one all the same until the
    client, which then has to go, is gone."""
    cdef Server *server = client.server
    cdef bint is_new = not server.pins_counted & why
    server.pins |= why
    if not is_new:
        return
    begin(w, client, why)
    if client.rules.pin_deny & why:
        server.forbidden = DENIED_LATE
        server.forbidden_pin = why
    elif not take_share(client):
        server.forbidden = MAX_PINNED_LATE
        server.forbidden_pin = why
    else:
        tell(w, client, why)


cdef void begin(Worker *w, Client *client, uint16_t why) noexcept nogil:
    """It counts from now on."""
    cdef Server *server = client.server
    cdef int kind = kind_of(why)
    cdef PinRecord *record
    server.pins_counted |= why
    relaxed_add_u64(&client.pool.tallies[w.index].pins[kind].begun, 1)
    if server.pin_records == NULL:
        server.pin_records = <PinRecord *>calloc(PIN_KINDS, sizeof(PinRecord))
    if server.pin_records == NULL:
        return
    record = &server.pin_records[kind]
    record.since_us = w.now_us
    find_suspect(client, PIN_SORTS[kind].certain, PIN_SORTS[kind].effects, record.statement)


cdef void tell(Worker *w, Client *client, uint16_t why) noexcept nogil:
    cdef bint warned = client.rules.pin_warn & why != 0
    cdef const char *statement = b""
    if client.server.pin_records != NULL:
        statement = client.server.pin_records[kind_of(why)].statement
    if warned:
        client.server.pins_to_tell |= why
    tell_client(w, EVENT_PIN_WARNED if warned else EVENT_PIN, client, sort_of(why).reason, statement, strlen(statement))


cdef void pins_end(Worker *w, Server *server, uint16_t left) noexcept nogil:
    """Those that are not `left` are over."""
    cdef uint16_t over = server.pins_counted & ~left
    cdef PinTally *tally
    server.pins_counted &= left
    server.pins_to_tell &= left
    for kind in range(PIN_KINDS):
        if over & PIN_SORTS[kind].pin:
            tally = &server.pooled.pool.tallies[w.index].pins[kind]
            relaxed_add_u64(&tally.ended, 1)
            if server.pin_records != NULL:
                relaxed_add_u64(&tally.ended_us, w.now_us - server.pin_records[kind].since_us)
    if server.pins_counted == 0 and server.has_share:
        server.has_share = False
        add_i32(&server.pooled.pool.pinned, -1)


# ---- the share of a pool that may be kept --------------------------------------------------------------------------

cdef bint take_share(Client *client) noexcept nogil:
    """The client's server is, or is about to be, one of those that are kept; False: they are too many."""
    cdef Pool *pool = client.pool
    cdef int32_t most = load_i32(&pool.max_pinned)
    if client.server.has_share:
        return True
    if add_i32(&pool.pinned, 1) > most and most >= 0:
        add_i32(&pool.pinned, -1)
        return False
    client.server.has_share = True
    return True


cdef bint has_room(const Client *client) noexcept nogil:
    """Could one be taken now?"""
    cdef int32_t most = load_i32(&client.pool.max_pinned)
    return most < 0 or client.server.has_share or load_i32(&client.pool.pinned) < most


# ---- kinds ---------------------------------------------------------------------------------------------------------

cdef int kind_of(uint16_t pins) noexcept nogil:
    """The first of those in the set, which is not empty."""
    for kind in range(PIN_KINDS):
        if pins & PIN_SORTS[kind].pin:
            return kind
    return 0


cdef const PinSort *sort_of(uint16_t pins) noexcept nogil:
    return &PIN_SORTS[kind_of(pins)]


cdef const char *pin_name(uint16_t pins) noexcept nogil:
    """What people call the first of them."""
    return reason_message(sort_of(pins).reason)
