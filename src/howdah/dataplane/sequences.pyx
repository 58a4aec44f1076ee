"""What a session remembers of sequences, for currval and lastval.

Nothing tells what that is, and nothing but the session itself has it: so it cannot follow a client.  Where a client may
ask for it the server is kept; who asks without one gets what a session of its own would say.  Called by `linking`,
`relay`, `noting` and the modules that send texts.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.dataplane.parties cimport PIN_SEQUENCE, PIN_SESSION_MODE, Client, Server, Worker
from howdah.dataplane.pinning cimport follows_client, pin, take_share
from howdah.dataplane.reply_queue cimport EXPECT_QUERY, EXPECT_SWALLOW, ReplyQueue, expect, owed_at
from howdah.dataplane.routes cimport SEQUENCES_LEARN, SEQUENCES_PIN
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, Step, Turn, refuse, stage_request, staged, staging
from howdah.sql.effects cimport EFFECT_ANYTHING, EFFECT_NUMBERS, EFFECT_SEQUENCE
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_query
from howdah.wire.tags cimport IDLE, IN_FAILED_TRANSACTION

from howdah.reasons import NUMBERS

cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]


cdef void note_sequences(Worker *w, Client *client, uint32_t effects) noexcept nogil:
    """Numbers that the client takes keep the server where it may ask for them again: nothing tells what a session
    remembers of them, and nothing but the session itself has it."""
    cdef uint8_t mode = w.plan.session_sequences
    if effects & (EFFECT_NUMBERS | EFFECT_ANYTHING) and follows_client(client):
        client.server.numbers_by = client.id
    if effects & EFFECT_SEQUENCE and not load_i32(&client.pool.sequences):
        store_i32(&client.pool.sequences, True)
    if mode == SEQUENCES_PIN:
        client.numbers = client.numbers or effects & (EFFECT_NUMBERS | EFFECT_ANYTHING)
    elif mode == SEQUENCES_LEARN and effects & EFFECT_NUMBERS and load_i32(&client.pool.sequences):
        client.numbers = True


cdef bint others_numbers(const Server *server, const Client *client) noexcept nogil:
    """May the session remember numbers that another client has taken?"""
    return server.numbers_by != 0 and server.numbers_by != client.id


cdef bint must_forget(const Server *server, const Client *client) noexcept nogil:
    """... which this one might ask for?"""
    return others_numbers(server, client) and load_i32(&client.pool.sequences)


cdef void sequences_discarded(Client *client) noexcept nogil:
    client.numbers = False
    client.server.pins &= ~<uint16_t>PIN_SEQUENCE


cdef void pin_sequences(Worker *w, Client *client) noexcept nogil:
    """The transaction is over.  Where its server may not be kept they are forgotten: most who take numbers never ask
    for them again, and who does is told (see `refusing`)."""
    if not client.numbers or not follows_client(client):
        return
    if client.rules.pin_deny & PIN_SEQUENCE or not take_share(client):
        client.numbers = False
    else:
        pin(w, client, PIN_SEQUENCE)


cdef bint goes_by_sequences(const Client *client, uint32_t effects) noexcept nogil:
    """Does a transaction begin with a look at what the session remembers of sequences?  That must be this client's."""
    cdef const Server *server = client.server
    return (effects & EFFECT_SEQUENCE and server.status == IDLE and server.replies.count == server.settling
            and not server.replies.unsynced and server.pins & (PIN_SEQUENCE | PIN_SESSION_MODE) == 0
            and not server.pooled.dedicated)


cdef bint may_see_others(const Client *client, uint32_t effects) noexcept nogil:
    """May a text with these effects ask for numbers that another client has taken?  Where something of the client's
    own is on its way it is too late to tell: a transaction may have failed by then."""
    cdef const Server *server = client.server
    return (effects & (EFFECT_SEQUENCE | EFFECT_ANYTHING) and others_numbers(server, client) and follows_client(client)
            and server.status != IN_FAILED_TRANSACTION and not server.replies.unsynced and owes_ours(&server.replies))


cdef bint owes_ours(const ReplyQueue *queue) noexcept nogil:
    """Are all answers to come to queries of ours?"""
    for i in range(queue.count):
        if owed_at(queue, i).item != (EXPECT_QUERY | EXPECT_SWALLOW):
            return False
    return True


cdef Step discard_sequences(Worker *w, Client *client, uint32_t effects, Turn *turn) noexcept nogil:
    """Where a text with these effects goes by them: have the server forget what other clients have made of sequences,
    in front of the message at hand."""
    cdef Writer message
    cdef bint begins = client.server.replies.count == client.server.settling
    if not goes_by_sequences(client, effects) and not may_see_others(client, effects):
        return STEP_FORWARD
    if not stage_request(w, client, turn):
        return STEP_GONE
    if not expect(&client.server.replies, EXPECT_QUERY | EXPECT_SWALLOW):
        return refuse(turn, TOO_MANY_REPLIES)
    message = staging(w)
    compose_query(&message, "DISCARD SEQUENCES")
    staged(w, &message)
    if begins:
        client.server.settling += 1
    client.server.numbers_by = 0
    client.server.unnamed_owner = 0  # a Query ends it
    return STEP_FORWARD
