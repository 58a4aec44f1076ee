"""Notifications on their way to clients: from the hub by mail, from a client's own server in its stream.

Which of the two the client is told by says `handover`.  It is told between two transactions only, as by PostgreSQL;
until then, and while it does not take bytes, what it is to be told waits in its ear, up to MOST_UNTOLD bytes.  Called
by `worker`, `relay` and `listening`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, strlen

from howdah.cdefs.atomics cimport relaxed_add_u64
from howdah.dataplane.channels cimport Channel, Seat, channels_find
from howdah.dataplane.client cimport client_at, set_ready
from howdah.dataplane.conn cimport SEND_ERROR, conn_send
from howdah.dataplane.ears cimport (
    MOST_UNTOLD,
    Heard,
    board_find,
    ear_confirmed,
    ear_hears,
    notification_drop,
    notification_hold,
    notification_new,
    read_notification,
    told_clear,
    told_join,
    told_put,
    told_take,
)
from howdah.dataplane.handover cimport (
    HEAR_DROP,
    HEAR_KEEP,
    HEAR_TELL,
    MARK_FORGET,
    MARK_OVER,
    TELLER_HUB,
    TELLER_OWN,
    Hearing,
    handover_back,
    handover_hear,
    handover_mark,
    handover_without,
)
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_IDLE,
    CLIENT_WAITING,
    HUB_BACK,
    HUB_FAILS,
    HUB_LOST,
    OWN_NONE,
    PIN_LISTEN,
    Board,
    Client,
    Ear,
    Limit,
    Notification,
    Server,
    Worker,
)
from howdah.dataplane.pinning cimport pin
from howdah.dataplane.recycle cimport client_lost, client_refuse, watch_client
from howdah.dataplane.reply_queue cimport all_replied, ends_with_ready
from howdah.dataplane.turn cimport STEP_DROP, STEP_FORWARD, Step
from howdah.wire.bytes cimport Writer, writer
from howdah.wire.compose cimport LARGEST_ERROR, compose_notice
from howdah.wire.tags cimport IDLE

from howdah.reasons import NUMBERS

cdef extern from "<stdio.h>" nogil:
    int sscanf(const char *text, const char *format, ...) noexcept

cdef int MISSED = NUMBERS["notifications_missed"]
cdef int TOO_SLOW = NUMBERS["listener_too_slow"]


# ---- from the hub --------------------------------------------------------------------------------------------------

cdef void notified(Worker *w, Notification *notification) noexcept nogil:
    """One of a database of which clients are here.  The hold on it is taken over."""
    cdef Board *board = board_find(w, notification.database)
    cdef Channel *channel = NULL
    cdef Seat *seat = NULL
    cdef Seat *next_seat
    cdef Heard heard
    if board != NULL and read_notification(<uint8_t *>(notification + 1), notification.size, &heard):
        if is_marker(w, &heard):
            marker_came(w, heard.payload)
        else:
            channel = channels_find(&board.channels, heard.channel, heard.channel_size)
    if channel != NULL:
        seat = channel.seats
    while seat != NULL:
        next_seat = seat.next_here
        hub_tells(w, <Ear *>seat.owner, notification)
        seat = next_seat
    notification_drop(notification)


cdef bint is_marker(const Worker *w, const Heard *heard) noexcept nogil:
    return (heard.channel_size == strlen(w.shared.marker_channel)
            and memcmp(heard.channel, w.shared.marker_channel, heard.channel_size) == 0)


cdef void hub_tells(Worker *w, Ear *ear, Notification *notification) noexcept nogil:
    cdef Hearing hearing = handover_hear(&ear.handover, TELLER_HUB)
    if hearing == HEAR_DROP:
        return
    told_put(&ear.waiting if hearing == HEAR_TELL else &ear.kept, notification_hold(notification))
    tell(w, ear.client)


cdef void marker_came(Worker *w, const char *payload) noexcept nogil:
    """The hub has come to a marker, which says whose it is."""
    cdef int worker = 0
    cdef uint32_t slot = 0
    cdef Client *client
    if sscanf(payload, b"%d.%u.", &worker, &slot) != 2 or worker != w.index:
        return
    client = client_at(w, slot)
    if client != NULL and client.ear != NULL and is_marker_for(client, payload):
        marked(client.ear, handover_mark(&client.ear.handover, TELLER_HUB))


cdef bint is_marker_for(const Client *client, const char *payload) noexcept nogil:
    """Is it the last one sent for this client?"""
    cdef int worker = 0
    cdef uint32_t slot = 0
    cdef unsigned long long id = 0
    cdef uint32_t number = 0
    return (sscanf(payload, b"%d.%u.%llu.%u", &worker, &slot, &id, &number) == 4
            and id == client.id and number == client.ear.marker)


cdef void marked(Ear *ear, int mark) noexcept nogil:
    """Do what a Mark says."""
    if mark & MARK_FORGET:
        told_clear(&ear.kept)
    if mark & MARK_OVER:
        told_join(&ear.waiting, &ear.kept)
    if mark:
        wake(ear)


cdef void wake(Ear *ear) noexcept nogil:
    """There may be something to do for the client."""
    if ear.waits and not ear.handover.turning:
        ear.waits = ear.client.stalled = False
    if ear.client.state == CLIENT_IDLE or ear.client.state == CLIENT_ACTIVE:
        set_ready(ear.client)


# ---- from the client's own server ----------------------------------------------------------------------------------

cdef Step own_server_tells(Worker *w, Client *client, const uint8_t *message, uint32_t size) noexcept nogil:
    """A NotificationResponse in the stream of the client's server."""
    cdef Ear *ear = client.ear
    cdef Heard heard
    cdef Hearing hearing
    cdef Notification *notification
    if not read_notification(message, size, &heard):
        return STEP_FORWARD
    if is_marker(w, &heard):
        if is_marker_for(client, heard.payload):
            marked(ear, handover_mark(&ear.handover, TELLER_OWN))
        return STEP_DROP
    hearing = hearing_of_own(ear, &heard)
    if hearing == HEAR_TELL and ear.waiting.first == NULL:
        return STEP_FORWARD
    if hearing != HEAR_DROP:
        notification = notification_new(message, size, ear.board.database)
        if notification == NULL or not told_put(&ear.waiting if hearing == HEAR_TELL else &ear.kept, notification):
            ear.overrun = True
        wake(ear)
    return STEP_DROP


cdef Hearing hearing_of_own(const Ear *ear, const Heard *heard) noexcept nogil:
    """What only the client's own server listens to, nobody else can tell.

    But not what it tells in front of a marker: a session that listens already hears, at the end of a transaction that
    LISTENs to one channel more, what was notified there in the meantime.  In PostgreSQL that is in its place among the
    rest; here it would be out of order, and it is older than the LISTEN.
    """
    cdef Hearing hearing = handover_hear(&ear.handover, TELLER_OWN)
    if hearing == HEAR_TELL or (hearing == HEAR_KEEP and (ear.handover.new_began or not ear.alone_there)):
        return hearing
    return hearing if ear_hears(ear, heard.channel, heard.channel_size) else HEAR_TELL


# ---- to the client -------------------------------------------------------------------------------------------------

cdef bint may_tell(const Client *client) noexcept nogil:
    """Is it between two transactions, and is nothing unsent?"""
    cdef const Server *server = client.server
    if client.conn.out.size or client.begin != NULL:
        return False
    if client.state == CLIENT_IDLE or client.state == CLIENT_WAITING:
        return True
    return (client.state == CLIENT_ACTIVE and server.status == IDLE and server.remain == 0
            and all_replied(&server.replies) and ends_with_ready(&server.replies))


cdef bint tell(Worker *w, Client *client) noexcept nogil:
    """Tell what waits, as far as the client takes it; False: the client is gone."""
    cdef Ear *ear = client.ear
    while ear.waiting.first != NULL and may_tell(client):
        if not tell_first(w, client, ear.waiting.first.notification):
            client_lost(w, client)
            return False
        told_take(&ear.waiting)
    if ear.overrun or ear.waiting.size + ear.kept.size > MOST_UNTOLD:
        client_refuse(w, client, TOO_SLOW, b"")
        return False
    if client.conn.out.size:
        watch_client(w, client)
    return True


cdef bint tell_first(Worker *w, Client *client, const Notification *notification) noexcept nogil:
    cdef uint8_t[LARGEST_ERROR] data
    cdef Writer message = writer(data, LARGEST_ERROR)
    if notification == NULL:
        compose_notice(&message, MISSED, b"")
        return conn_send(&w.slab, &client.conn, data, message.used) != SEND_ERROR
    relaxed_add_u64(&client.pool.tallies[w.index].sent, notification.size)
    return conn_send(&w.slab, &client.conn, notification + 1, notification.size) != SEND_ERROR


# ---- news of the hub -----------------------------------------------------------------------------------------------

cdef void hub_news(Worker *w, Limit *database, uint32_t news, uint32_t ticket) noexcept nogil:
    """A HubNews."""
    cdef Board *board = board_find(w, database)
    cdef Ear *ear = board.ears if board != NULL else NULL
    cdef Ear *next_ear
    if board == NULL:
        return
    if news != HUB_FAILS:
        board.lost = news == HUB_LOST
    if news != HUB_FAILS and news != HUB_LOST:
        board.listens = ticket
    while ear != NULL:
        next_ear = ear.next
        if news == HUB_LOST:
            lose_hub(ear)
        elif news == HUB_FAILS:
            tell_of_pin(w, ear)
        elif ear.missed and (news == HUB_BACK or ear_confirmed(ear)):
            warn(w, ear)
        elif ear.own != OWN_NONE:
            wake(ear)
        ear = next_ear


cdef void lose_hub(Ear *ear) noexcept nogil:
    cdef bint to_hub = ear.handover.turning and ear.handover.teller == TELLER_OWN
    if to_hub:
        ear.missed = ear.missed or ear.handover.old_done
        marked(ear, handover_back(&ear.handover))
        return
    ear.missed = ear.missed or ear.handover.teller == TELLER_HUB
    marked(ear, handover_without(&ear.handover, TELLER_HUB))


cdef void tell_of_pin(Worker *w, Ear *ear) noexcept nogil:
    """The client keeps its server for longer than a handover takes."""
    if ear.own != OWN_NONE:
        pin(w, ear.client, PIN_LISTEN)


cdef void warn(Worker *w, Ear *ear) noexcept nogil:
    """All is listened to again; what was notified in between is lost."""
    ear.missed = False
    if ear.own != OWN_NONE:
        wake(ear)
    if ear.count:
        told_put(&ear.waiting, NULL)
        tell(w, ear.client)
