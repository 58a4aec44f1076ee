"""LISTEN and UNLISTEN at a client's own server, and the way from there to the hub.

1. In front of a text that may change or show what the client listens to, its server is told to listen to all that the
   hub does for it (`listen_first`), and a marker makes that server the teller (`handover`).  So UNLISTEN,
   pg_listening_channels() and a rollback are PostgreSQL's own affair.  In front of one that calls a function, which
   seldom has to do with channels, there is no marker: the server listens along, and the hub stays the teller.
2. After the transaction the server is asked for its channels (`channels_answered`): they are the client's, which takes
   its seats (`ears`).  Until the hub listens to all of them, the client keeps its server (PIN_LISTEN).
3. Then, between two transactions (`move_on`): a marker, behind which the hub is the teller; when both have come to it,
   UNLISTEN *; when that is answered, the server is free.

Not seen through: pg_listening_channels() in a transaction that began with something else, which shows nothing before
the end; and what a text does of which nobody knows that it calls a function (`session_check`).  Called by `asking`,
`linking`, `relay` and `worker`.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strcmp, strlen

from howdah.dataplane.channel_queries cimport (
    Listened,
    compose_listen,
    compose_marker,
    compose_unlisten,
    read_channels,
)
from howdah.dataplane.channels cimport MOST_CHANNELS, Seat
from howdah.dataplane.client cimport set_ready
from howdah.dataplane.ears cimport ear_confirmed, ear_hears, ear_new, seats_renew
from howdah.dataplane.handover cimport (
    TELLER_HUB,
    TELLER_OWN,
    handover_back,
    handover_turn,
    handover_without,
)
from howdah.dataplane.hearing cimport marked, tell
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    OWN_ALL,
    OWN_LEAVING,
    OWN_NONE,
    OWN_OPEN,
    OWN_SENT,
    OWN_SOME,
    OWN_STUCK,
    PIN_LISTEN,
    UNNAMED_THERE,
    Client,
    Ear,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport pin
from howdah.dataplane.recycle cimport send_to_server
from howdah.dataplane.reply_queue cimport (
    CHANGE_LISTEN,
    EXPECT_QUERY,
    EXPECT_SWALLOW,
    OWE_NO_MEMORY,
    ends_with_ready,
    owe,
)
from howdah.dataplane.routes cimport CHECK_OFF
from howdah.dataplane.server cimport at_rest, server_parameter
from howdah.dataplane.turn cimport STEP_FORWARD, STEP_GONE, STEP_WAIT, Step, Turn, refuse, stage_bytes, stage_request
from howdah.sql.effects cimport EFFECT_ANYTHING, EFFECT_DISCARD, EFFECT_ENDS, EFFECT_LISTEN, EFFECT_TO_SAVEPOINT
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.tags cimport IDLE

from howdah.reasons import NUMBERS

cdef enum:
    MOST_MOVED = 1000  # channels: each later text about channels sends them all, so with more a client keeps its server
    LARGEST_REST = 256  # bytes of a marker, or of UNLISTEN *

cdef int TOO_MANY_REPLIES = NUMBERS["pipeline_too_long"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]


# ---- in front of a text --------------------------------------------------------------------------------------------

cdef bint own_tells(const Ear *ear) noexcept nogil:
    """Does the client's server tell it, or will it when the handover is over?"""
    return ear.handover.turning == (ear.handover.teller == TELLER_HUB)


cdef bint own_has_all(const Ear *ear) noexcept nogil:
    """Does the client's server listen to all channels?  (In an open transaction, behind a ROLLBACK, nobody knows.)"""
    if ear.own in (OWN_SENT, OWN_OPEN):
        return not (ear.may_end or ear.rolled_back)
    return ear.own in (OWN_ALL, OWN_STUCK)


cdef bint may_insert(const Client *client) noexcept nogil:
    """Is there room for a Query of ours?  Where there is not, and it would end more than it should, the own server
    hears what is new alone: OWN_SOME."""
    cdef const Server *server = client.server
    return (ends_with_ready(&server.replies) and not server.replies.copying_in and client.unnamed != UNNAMED_THERE
            and speaks_database(server))


cdef Step listen_first(Worker *w, Client *client, uint32_t effects, bint alone, Turn *turn) noexcept nogil:
    """The message at hand has these effects, and the client an ear.  `alone`: a transaction is about to begin.

    What only may have to do with channels (a function) changes nothing about who tells: it is enough that the own
    server listens along, so that afterwards it is seen what has become of them.
    """
    cdef Ear *ear = client.ear
    cdef bint named = effects & (EFFECT_LISTEN | EFFECT_DISCARD) != 0
    cdef bint telling = named or own_tells(ear)
    if effects & (EFFECT_ENDS | EFFECT_TO_SAVEPOINT):
        ear.may_end = True
    if not named and (not effects & EFFECT_ANYTHING or w.plan.session_check == CHECK_OFF):
        return STEP_FORWARD
    if ear.count == 0 or not may_insert(client):
        return STEP_FORWARD
    if ear.handover.turning and ear.handover.teller == TELLER_OWN:
        ear.waits = client.stalled = True
        return STEP_WAIT
    if own_has_all(ear) and (own_tells(ear) or not telling):
        return STEP_FORWARD
    return put_listen(w, client, telling, alone, turn)


cdef Step put_listen(Worker *w, Client *client, bint telling, bint alone, Turn *turn) noexcept nogil:
    """In front of the message at hand."""
    cdef Ear *ear = client.ear
    cdef Writer message
    cdef bint staged
    if not begin_listening(ear, telling, alone, &message):
        return refuse(turn, OUT_OF_MEMORY)
    if not owe_answers(client.server):
        free(message.start)
        return refuse(turn, TOO_MANY_REPLIES)
    client.server.unnamed_owner = 0  # a Query ends it
    client.effects |= EFFECT_LISTEN
    staged = stage_request(w, client, turn) and stage_bytes(w, client, message.start, message.used)
    free(message.start)
    return STEP_FORWARD if staged else STEP_GONE


cdef bint owe_answers(Server *server) noexcept nogil:
    """Those to what has been composed."""
    for _ in range(server.client.ear.answers):
        if owe(&server.replies, EXPECT_QUERY | EXPECT_SWALLOW, CHANGE_LISTEN, NULL) == OWE_NO_MEMORY:
            return False
        server.settling += 1
    return True


cdef bint begin_listening(Ear *ear, bint telling, bint alone, Writer *message) noexcept nogil:
    """What makes the client's own server listen to all; `telling`: and the teller.  `message.start` is to be freed."""
    cdef bint again = ear.own in (OWN_SENT, OWN_OPEN) and not alone and telling == own_tells(ear)
    if not compose_listen(ear, telling, again, alone, message):
        return False
    ear.own = OWN_SENT
    ear.may_end = ear.rolled_back = False
    if again or not telling:
        return True
    handover_turn(&ear.handover, TELLER_OWN)
    if ear.board.lost:
        marked(ear, handover_without(&ear.handover, TELLER_HUB))
    return True


# ---- what came of it -----------------------------------------------------------------------------------------------

cdef void listening_failed(Server *server) noexcept nogil:
    """A Query of ours about channels did: it was in a transaction that had failed, or took too long."""
    cdef Ear *ear = server.client.ear if server.client != NULL else NULL
    if ear == NULL:
        return
    marked(ear, handover_back(&ear.handover))
    ear.own = OWN_NONE if ear.own == OWN_SENT else OWN_STUCK


cdef void listening_answered(Server *server) noexcept nogil:
    """ReadyForQuery of a Query of ours about channels."""
    cdef Ear *ear = server.client.ear
    if ear == NULL:
        return
    if ear.answers:
        ear.answers -= 1
    if ear.answers == 0 and ear.marker_alone:
        marked(ear, handover_without(&ear.handover, TELLER_OWN))  # (if it has not been heard, it will not be)
    if ear.own == OWN_SENT:
        ear.own = OWN_ALL if server.status == IDLE else OWN_OPEN
    elif ear.own == OWN_LEAVING:
        ear.own = OWN_NONE
        server.pins &= ~<uint16_t>PIN_LISTEN


cdef void transaction_ended(Server *server, const char *tag) noexcept nogil:
    """CommandComplete of the client's, which has an ear: was what its server had been told committed?"""
    cdef Ear *ear = server.client.ear
    if strcmp(tag, "ROLLBACK") == 0:
        ear.rolled_back = True  # all of the transaction, or back to a savepoint
    elif strcmp(tag, "COMMIT") == 0 and ear.own == OWN_OPEN and not ear.rolled_back:
        ear.own = OWN_ALL


cdef void transaction_over(Client *client) noexcept nogil:
    """It has an ear, and is between two transactions."""
    if client.ear.waiting.first != NULL:
        set_ready(client)


cdef void channels_answered(Worker *w, Server *server) noexcept nogil:
    """What the server listens to is known."""
    cdef Listened found
    if not read_channels(server, &found) or found.count > MOST_CHANNELS:
        server.overflowed = server.channels_overflowed = True
    else:
        take_channels(w, server, &found)
    free(found.names)


cdef bint is_whole(const Ear *ear, const Listened *found) noexcept nogil:
    """Are these all of the client's channels?  (Else they are what it has listened to on this server alone.)"""
    return (ear == NULL or ear.count == 0 or ear.own in (OWN_ALL, OWN_STUCK)
            or ear.own == OWN_OPEN and (found.marker or found.stands))


cdef void take_channels(Worker *w, Server *server, Listened *found) noexcept nogil:
    cdef Client *client = server.client
    cdef Ear *ear = client.ear
    if found.count or found.marker:
        server.pins |= PIN_LISTEN
    else:
        server.pins &= ~<uint16_t>PIN_LISTEN
    if ear == NULL and found.count == 0:
        return
    if not is_whole(ear, found):
        marked(ear, handover_back(&ear.handover))  # where its marker was sent, it was rolled back
        take_some(server, found.count != 0)
    elif ear != NULL and ear.handover.turning and ear.handover.teller == TELLER_OWN:
        if found.count != ear.count:
            take_some(server, True)
    elif ear != NULL and ear.count and not own_tells(ear):
        take_along(w, server, found)
    elif found.count and not speaks_database(server):
        keep_pinned(w, client)
    else:
        take_seats(w, server, found)


cdef void take_some(Server *server, bint some) noexcept nogil:
    """The server may have channels that the hub has not been asked for, and not those that the hub has."""
    cdef Ear *ear = server.client.ear
    ear.own = OWN_SOME if some or must_come_back(server) else OWN_NONE
    if ear.own == OWN_SOME:
        server.pins |= PIN_LISTEN
        ear.alone_there = True


cdef void take_along(Worker *w, Server *server, Listened *found) noexcept nogil:
    """The server has listened along, while the hub tells: what is gone here is gone."""
    cdef Ear *ear = server.client.ear
    cdef uint32_t count = found.count
    cdef Listened known = found[0]
    known.names = <char *>malloc(found.size + 1)
    if known.names == NULL:
        ear.own = OWN_STUCK
        return
    keep_known(ear, found, &known)
    if known.count == 0 and count and speaks_database(server):
        ear.handover.teller = TELLER_OWN
        take_seats(w, server, found)
    else:
        take_seats(w, server, &known)
        if count > known.count or must_come_back(server):
            take_some(server, True)
    free(known.names)


cdef void keep_known(const Ear *ear, const Listened *found, Listened *known) noexcept nogil:
    """Those that the client had before."""
    cdef const char *at = found.names
    cdef size_t size
    known.size = known.count = 0
    while at < found.names + found.size:
        size = strlen(at)
        if ear_hears(ear, at, size):
            memcpy(known.names + known.size, at, size + 1)
            known.size += <uint32_t>size + 1
            known.count += 1
        at += size + 1


cdef void take_seats(Worker *w, Server *server, const Listened *found) noexcept nogil:
    """These are the client's channels from now on."""
    cdef Client *client = server.client
    cdef Ear *ear = ear_new(w, client)
    if ear == NULL:
        pin(w, client, PIN_LISTEN)
        return
    if not found.marker:
        marked(ear, handover_without(&ear.handover, TELLER_OWN))  # it listens to ours no more, either
    if ear.count == 0 or found.count == 0:
        marked(ear, handover_back(&ear.handover))
        ear.handover.teller = TELLER_OWN
    ear.own = OWN_ALL if found.count or found.marker else OWN_NONE
    ear.alone_there = False
    if not seats_renew(w, ear, found.names, found.size, True):
        ear.own = OWN_STUCK
    if found.count > MOST_MOVED:
        pin(w, client, PIN_LISTEN)


cdef void keep_pinned(Worker *w, Client *client) noexcept nogil:
    """Its names and payloads would be other bytes at the hub: the client's own server tells it.  (What seats it has are
    of a time when that was different, and do no harm.)"""
    cdef Ear *ear = client.ear
    if ear != NULL:
        ear.own = OWN_ALL if ear.count else OWN_STUCK
    pin(w, client, PIN_LISTEN)


cdef bint must_come_back(const Server *server) noexcept nogil:
    """Has the client changed its encoding, so that its own server must tell it from now on?  (A name with letters that
    are not ASCII's cannot be said in the new encoding: for that the client stays with the hub, and its bytes.)"""
    cdef const Seat *seat = server.client.ear.seats
    if seat == NULL or speaks_database(server):
        return False
    while seat != NULL:
        for i in range(seat.channel.size):
            if <uint8_t>seat.channel.name[i] >= 128:
                return False
        seat = seat.next
    return True


cdef bint speaks_database(const Server *server) noexcept nogil:
    """Is text in the client's encoding what it is in the database?  That is the encoding of the hub."""
    cdef const char *encoding = server_parameter(server, "client_encoding")
    cdef const char *database = server_parameter(server, "server_encoding")
    if encoding == NULL or database == NULL:
        return False
    return strcmp(encoding, database) == 0 or strcmp(encoding, "SQL_ASCII") == 0


# ---- from there to the hub -----------------------------------------------------------------------------------------

cdef bint move_on(Worker *w, Server *server) noexcept nogil:
    """Between two transactions of a client with PIN_LISTEN: the next step; True: a query of ours is on its way."""
    cdef Ear *ear = server.client.ear
    if ear == NULL or ear.handover.turning or ear.own not in (OWN_ALL, OWN_SOME):
        return False
    if ear.own == OWN_SOME:
        return listen_now(w, server)
    if ear.count == 0 or ear.handover.teller == TELLER_HUB:
        leave_own(w, server)
        return True
    if not (ear_confirmed(ear) and ear.count <= MOST_MOVED and speaks_database(server)):
        return False
    turn_to_hub(w, server)
    return True


cdef bint listen_now(Worker *w, Server *server) noexcept nogil:
    """The server has only what is new: make it listen to all, then ask once more."""
    cdef Writer message
    if not (speaks_database(server) or must_come_back(server)):
        return False
    if not begin_listening(server.client.ear, True, True, &message):
        return False
    server.client.effects |= EFFECT_LISTEN
    send_own(w, server, &message)
    free(message.start)
    return True


cdef void turn_to_hub(Worker *w, Server *server) noexcept nogil:
    cdef uint8_t[LARGEST_REST] data
    cdef Writer message = writer(data, sizeof(data))
    compose_marker(server.client.ear, &message)
    handover_turn(&server.client.ear.handover, TELLER_HUB)
    send_own(w, server, &message)


cdef void leave_own(Worker *w, Server *server) noexcept nogil:
    """The hub tells, or there is nothing to tell: the server need not listen any more."""
    cdef uint8_t[LARGEST_REST] data
    cdef Writer message = writer(data, sizeof(data))
    cdef Ear *ear = server.client.ear
    ear.own = OWN_LEAVING
    ear.marker_alone = False
    compose_unlisten(ear, b"*", &message)
    send_own(w, server, &message)


cdef void send_own(Worker *w, Server *server, const Writer *message) noexcept nogil:
    """The client waits for the answer, and does not see it."""
    owe_answers(server)  # nothing else is owed: there is room
    server.telling = True
    server.unnamed_owner = 0  # a Query ends it
    send_to_server(w, server, message.start, message.used)


cdef bint listening_goes_on(Worker *w, Client *client) noexcept nogil:
    """Something may have changed for a client with an ear; False: it is gone."""
    cdef Server *server = client.server
    if (client.state == CLIENT_ACTIVE and server.pins & PIN_LISTEN and at_rest(server)
            and server.remain == 0 and client.remain == 0 and client.effects == 0
            and not (server.asking or server.telling or client.curing)):
        move_on(w, server)
    return tell(w, client)
