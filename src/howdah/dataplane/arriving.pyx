"""Clients that come from another process, with all they are in bytes that have been found sound.

Each takes its place as if it had logged in here and done all it has done; it was let in before, so no limit keeps it
out.  Where its database is none of ours it is told so.  What was notified to it while it was on its way nobody has
heard: it is warned when our hub listens to its channels.  Called by `worker`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from howdah.cdefs.atomics cimport add_i32
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.sockets cimport AF_UNIX, close
from howdah.dataplane.baggage cimport (
    ADDRESS_SIZE,
    ITEM_CHANNELS,
    ITEM_CLIENT_KEY,
    ITEM_DATABASE,
    ITEM_FIRST_SETTING,
    ITEM_KEY,
    ITEM_PEER,
    ITEM_PROTOCOL,
    ITEM_SECRET,
    ITEM_SETTING,
    ITEM_STATEMENT,
    ITEM_TIMES,
    ITEM_UNNAMED,
    ITEM_USER,
    KEY_SIZE,
    Packed,
    next_item,
    read_u64,
)
from howdah.dataplane.buffers cimport hold
from howdah.dataplane.cancels cimport key_give
from howdah.dataplane.client cimport client_move, client_new, client_watch_deadline, set_ready
from howdah.dataplane.credentials cimport Secret, secret_drop, secret_read
from howdah.dataplane.ears cimport ear_confirmed, ear_new, seats_renew, told_put
from howdah.dataplane.handover cimport TELLER_HUB
from howdah.dataplane.handshake cimport pool_terms_of
from howdah.dataplane.meanings cimport statement_for
from howdah.dataplane.noting cimport hold_settings
from howdah.dataplane.parties cimport (
    CLIENT_IDLE,
    UNNAMED_KEPT,
    Arrival,
    Client,
    Worker,
)
from howdah.dataplane.pool cimport JOIN_DONE, PoolTerms
from howdah.dataplane.pool_terms cimport pool_join, pool_secret
from howdah.dataplane.recycle cimport client_refuse, watch_client
from howdah.dataplane.routes cimport Route, find_route, find_session_rules, find_time_limits
from howdah.dataplane.session_state cimport Draft, draft_init, draft_set, settings_new
from howdah.dataplane.statements cimport names_find, names_put
from howdah.dataplane.texts cimport Naming, Statement, naming_drop, naming_new, statement_drop, statement_taken_over
from howdah.sql.analysis cimport analyse
from howdah.sql.effects cimport EFFECT_PREPARE, EFFECT_SETTINGS, Analysis
from howdah.wire.bytes cimport Reader, left, read_bytes, read_string, read_u8, read_u16, read_u32, reader
from howdah.wire.startup cimport PROTOCOL_3_2

from howdah.reasons import NUMBERS

cdef enum:
    PARSE_HEADER = 6  # of a Parse of the unnamed statement

cdef int NO_DATABASE = NUMBERS["no_such_database"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]
cdef const char *PREPARE = b"PREPARE x"
cdef size_t PREPARE_SIZE = 9

# What is known of a client before it has a place; points into the bytes it came with.  Lives on the stack.
cdef struct Traveller:
    const char *database
    const char *user
    Draft settings
    Draft first_settings
    bint fits  # ... into what a session may have
    Secret *secret  # held
    const uint8_t *client_key


cdef void arrival_drop(Arrival *arrival) noexcept nogil:
    """It is done with, or nobody has met it."""
    if arrival.fd >= 0:
        close(arrival.fd)
    OPENSSL_cleanse(arrival + 1, arrival.size)
    free(arrival)


cdef void arrive(Worker *w, Arrival *arrival) noexcept nogil:
    cdef Client *client = client_new(w, arrival.fd)
    cdef Traveller traveller
    if client != NULL:
        arrival.fd = -1
        client.conn.shared = True
        meet(client, arrival, &traveller)
        if take_place(w, client, &traveller):
            unpack(w, client, arrival)
            settle_in(w, client)
        secret_drop(traveller.secret)
    arrival_drop(arrival)


# ---- who it is -----------------------------------------------------------------------------------------------------

cdef Reader contents(const Arrival *arrival) noexcept nogil:
    return reader(<const uint8_t *>(arrival + 1), arrival.size)


cdef void meet(Client *client, const Arrival *arrival, Traveller *traveller) noexcept nogil:
    """Read all that it needs no place for."""
    cdef Reader r = contents(arrival)
    cdef Packed found
    cdef size_t size = 0
    draft_init(&traveller.settings)
    draft_init(&traveller.first_settings)
    traveller.fits = True
    traveller.secret = NULL
    traveller.client_key = NULL
    client.peer.family = AF_UNIX
    while next_item(&r, &found):
        if found.item == ITEM_DATABASE:
            traveller.database = read_string(&found.content, &size)
        elif found.item == ITEM_USER:
            traveller.user = read_string(&found.content, &size)
        elif found.item == ITEM_SETTING:
            meet_setting(&traveller.settings, &found.content, &traveller.fits)
        elif found.item == ITEM_FIRST_SETTING:
            meet_setting(&traveller.first_settings, &found.content, &traveller.fits)
        elif found.item == ITEM_SECRET:
            traveller.secret = secret_read(&found.content)
        elif found.item == ITEM_CLIENT_KEY:
            traveller.client_key = read_bytes(&found.content, KEY_SIZE)
        else:
            meet_itself(client, &found)


cdef void meet_setting(Draft *draft, Reader *content, bint *fits) noexcept nogil:
    cdef size_t size = 0
    cdef const char *name = read_string(content, &size)
    cdef const char *value = read_string(content, &size)
    fits[0] = fits[0] and draft_set(draft, name, value)


cdef void meet_itself(Client *client, Packed *found) noexcept nogil:
    """What stands in the client as it was."""
    if found.item == ITEM_PROTOCOL:
        client.version = read_u32(&found.content)
    elif found.item == ITEM_KEY:
        client.key.pid = read_u32(&found.content)
        memcpy(client.key.secret, read_bytes(&found.content, KEY_SIZE), KEY_SIZE)
    elif found.item == ITEM_PEER:
        client.peer.family = read_u8(&found.content)
        client.peer.port = read_u16(&found.content)
        memcpy(client.peer.address, read_bytes(&found.content, ADDRESS_SIZE), ADDRESS_SIZE)
    elif found.item == ITEM_TIMES:
        client.connected_us = min(read_u64(&found.content), client.worker.now_us)
        client.request_us = min(read_u64(&found.content), client.worker.now_us)


# ---- its place -----------------------------------------------------------------------------------------------------

cdef bint take_place(Worker *w, Client *client, Traveller *traveller) noexcept nogil:
    """False: there is none, and it has been told so."""
    cdef Route *found = find_route(w.plan, traveller.database)
    cdef PoolTerms terms
    client.counted = True
    add_i32(&w.shared.client_count, 1)
    if found == NULL:
        client_refuse(w, client, NO_DATABASE, traveller.database)
        return False
    pool_terms_of(w.plan, found, traveller.database, traveller.user, &terms)
    terms.comes_again = True
    if traveller.fits:
        client.settings = settings_new(&traveller.settings)
        client.first_settings = settings_new(&traveller.first_settings)
    if client.settings == NULL or client.first_settings == NULL or pool_join(
            &w.shared.pools, &terms, traveller.user, False, w.now_us, &client.pool, &client.user) != JOIN_DONE:
        client_refuse(w, client, OUT_OF_MEMORY, b"")
        return False
    find_time_limits(w.plan, found, traveller.user, &client.limits)
    find_session_rules(w.plan, found, traveller.user, &client.rules)
    if found.force_user == NULL:
        pool_secret(&w.shared.pools, client.pool, traveller.secret, traveller.client_key)
    return True


cdef void settle_in(Worker *w, Client *client) noexcept nogil:
    """It can say something from now on."""
    client.key.size = KEY_SIZE if client.version >= PROTOCOL_3_2 else 4
    key_give(&w.shared.keys, &client.key)
    client_move(client, CLIENT_IDLE)
    watch_client(w, client)
    client_watch_deadline(client)
    set_ready(client)  # it may have to go on at once, or to leave


# ---- what it has prepared, and hears -------------------------------------------------------------------------------

cdef void unpack(Worker *w, Client *client, const Arrival *arrival) noexcept nogil:
    cdef Reader r = contents(arrival)
    cdef Packed found
    while next_item(&r, &found):
        if found.item == ITEM_STATEMENT:
            unpack_statement(w, client, &found.content)
        elif found.item == ITEM_UNNAMED:
            unpack_unnamed(w, client, &found.content)
        elif found.item == ITEM_CHANNELS:
            unpack_channels(w, client, &found.content)


cdef bint look_into(const uint8_t *text, size_t size, Analysis *found) noexcept nogil:
    """What a text does that stands behind a name, in a Parse or in a PREPARE; False: out of memory."""
    cdef uint8_t *whole
    if memchr(text, 0, size) != text + size - 1:
        analyse(text, size, found)
        return True
    whole = <uint8_t *>malloc(PREPARE_SIZE + size)
    if whole == NULL:
        return False
    memcpy(whole, PREPARE, PREPARE_SIZE)
    memcpy(whole + PREPARE_SIZE, text, size)
    analyse(whole, PREPARE_SIZE + size, found)
    found.effects &= ~<uint32_t>EFFECT_PREPARE
    free(whole)
    return True


cdef void unpack_statement(Worker *w, Client *client, Reader *content) noexcept nogil:
    """(Where memory is out the client will be told that it has no such statement.)"""
    cdef uint32_t shape = read_u32(content)
    cdef bint outdated = read_u8(content)
    cdef size_t name_size = 0
    cdef const char *name = read_string(content, &name_size)
    cdef uint32_t size = <uint32_t>left(content)
    cdef Analysis found
    cdef Statement *statement
    cdef Naming *naming
    cdef int32_t *known
    if names_find(&client.names, name, <uint32_t>name_size, &known) != NULL or not look_into(content.at, size, &found):
        return
    statement = statement_for(w, client, content.at, size, &found)
    naming = naming_new(name, <uint32_t>name_size, statement) if statement != NULL else NULL
    if naming != NULL and not names_put(&client.names, naming, statement_taken_over(statement, shape, outdated)):
        naming_drop(naming)
    statement_drop(statement)


cdef void unpack_unnamed(Worker *w, Client *client, Reader *content) noexcept nogil:
    cdef const uint8_t *message = content.at
    cdef uint32_t size = <uint32_t>left(content)
    cdef Analysis found
    if not hold(&w.slab, &client.unnamed_parse, message, size):
        return
    analyse(message + PARSE_HEADER, size - PARSE_HEADER, &found)
    client.unnamed = UNNAMED_KEPT
    client.unnamed_effects = found.effects
    if not hold_settings(w, &client.unnamed_settings, &found):
        client.unnamed_effects |= EFFECT_SETTINGS


cdef void unpack_channels(Worker *w, Client *client, Reader *content) noexcept nogil:
    if ear_new(w, client) == NULL:
        return
    client.ear.handover.teller = TELLER_HUB
    client.ear.missed = True
    seats_renew(w, client.ear, <const char *>content.at, <uint32_t>left(content), True)
    if ear_confirmed(client.ear):  # others here listen to all of them
        client.ear.missed = False
        told_put(&client.ear.waiting, NULL)
