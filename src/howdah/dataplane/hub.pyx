"""The servers that listen for all clients of a database.

A hub belongs to one worker, which follows from the database.  It gets wishes (`ears`), tells its server LISTEN and
UNLISTEN, one query at a time with all that has come meanwhile, and tells the workers what is in force.  Each
notification goes by mail to the workers that have clients at its channel (`hearing`).

Its server is opened in the pool of the first client that listens, outside of the pool's size but under
max_db_connections and max_user_connections, and closed when there has been nothing to listen to for a while.  Its
client_encoding is SQL_ASCII: names and payloads come as they stand in the database.  A server that is lost, or cannot
be opened, is tried again with growing pauses.  Called by `worker`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, strlen

from howdah.cdefs.atomics cimport load_i32, store_i32
from howdah.cdefs.epoll cimport EPOLLOUT
from howdah.dataplane.buffers cimport hold, unhold
from howdah.dataplane.channels cimport Channel, channels_clear, channels_find
from howdah.dataplane.conn cimport (
    CONN_HUB,
    FILL_AGAIN,
    FILL_DATA,
    FILL_EOF,
    FillVerdict,
    conn_fill,
    conn_flush,
    conn_init,
    conn_problem,
)
from howdah.dataplane.connecting cimport open_listening
from howdah.dataplane.ears cimport (
    Heard,
    notification_drop,
    notification_hold,
    notification_new,
    read_notification,
    wish_free,
)
from howdah.dataplane.hub_channels cimport changes_size, set_wanted, start_over, write_changes
from howdah.dataplane.mailbox cimport mail_new, mail_send
from howdah.dataplane.parties cimport (
    HUB_BACK,
    HUB_FAILS,
    HUB_LISTENS,
    HUB_LOST,
    MAIL_HEARD,
    MAIL_HUB,
    READ_SIZE,
    SERVER_LISTENING,
    Hub,
    HubNews,
    Limit,
    Mail,
    Notification,
    Server,
    Wish,
    Worker,
)
from howdah.dataplane.pool cimport superseded
from howdah.dataplane.recycle cimport send_to_server, server_close, server_lost, watch_server
from howdah.dataplane.rooms cimport keep_for_hub, take_room_for_hub
from howdah.dataplane.server cimport leave_hub
from howdah.dataplane.session_state cimport write_text
from howdah.dataplane.timers cimport timer_arm, timer_disarm
from howdah.wire cimport tags
from howdah.wire.bytes cimport Writer, write_u8, writer
from howdah.wire.compose cimport compose_query
from howdah.wire.frame cimport FRAME_BAD_LENGTH, FRAME_WHOLE, Frame, FrameVerdict, next_frame
from howdah.wire.replies cimport ErrorFields, read_error

from howdah.reasons import NUMBERS

cdef extern from "<stdio.h>" nogil:
    int sscanf(const char *text, const char *format, ...) noexcept

cdef enum:
    HEADER = 5
    FIRST_BACKOFF_US = 100 * 1000
    MOST_BACKOFF_US = 5 * 1000000
    UNUSED_US = 2 * 1000000  # a server with nothing to listen to is kept for the next client
    QUIET_US = 15 * 1000000  # after which the server is asked whether it is there, and given up if it does not answer
    LARGEST_REST = 512

# A session that mostly waits must not be ended for it, by whatever the role or database is set to.
cdef const char *NO_TIMEOUTS = (
    b"SELECT pg_catalog.set_config(name,'0',false) FROM pg_catalog.pg_settings WHERE name "
    b"OPERATOR(pg_catalog.=) ANY ('{idle_session_timeout,statement_timeout,lock_timeout,transaction_timeout}');")

cdef int NONE = NUMBERS["none"]
cdef int SERVER_CLOSED = NUMBERS["server_closed"]
cdef int SERVER_PROTOCOL = NUMBERS["server_protocol"]
cdef int CHECK_FAILED = NUMBERS["server_check_failed"]
cdef int REMOVED = NUMBERS["server_removed"]
cdef int PAUSED = NUMBERS["paused"]
cdef int NOT_NEEDED = NUMBERS["listening_over"]
cdef int OUT_OF_MEMORY = NUMBERS["out_of_memory"]


# ---- wishes --------------------------------------------------------------------------------------------------------

cdef void wish_came(Worker *w, Wish *wish) noexcept nogil:
    """Some clients of one worker want to hear more channels, or fewer."""
    cdef Hub *hub = hub_of(w, wish.database)
    cdef const uint8_t *at = <const uint8_t *>(wish + 1)
    cdef const uint8_t *end = at + wish.size
    if hub != NULL:
        take_pool(w, hub, wish)
        while at < end:
            set_wanted(hub, <const char *>at + 2, at[1], wish.worker, at[0])
            at += 2 + at[1]
        hub.wished[wish.worker] = wish.ticket
    wish_free(w, wish)
    if hub != NULL:
        hub_goes_on(w, hub)


cdef Hub *hub_of(Worker *w, Limit *database) noexcept nogil:
    """The database's; it stays.  NULL: out of memory."""
    cdef Hub *hub = w.hubs
    while hub != NULL and hub.database != database:
        hub = hub.next
    if hub != NULL:
        return hub
    hub = <Hub *>calloc(1, sizeof(Hub))
    if hub != NULL:
        conn_init(&hub.conn, -1, CONN_HUB)
        hub.timer.owner = hub
        hub.database = database
        hub.next = w.hubs
        w.hubs = hub
    return hub


cdef void take_pool(Worker *w, Hub *hub, const Wish *wish) noexcept nogil:
    """Where servers are opened: in the pool of the first client, or of the next where that did not work."""
    if hub.server != NULL or hub.pool == wish.pool or (hub.pool != NULL and hub.backoff_us == 0):
        return
    keep_for_hub(&w.shared.pools, wish.pool, 1)
    if hub.pool != NULL:
        keep_for_hub(&w.shared.pools, hub.pool, -1)
        hub.retry_at_us = w.now_us
    hub.pool = wish.pool


# ---- the next step -------------------------------------------------------------------------------------------------

cdef void hubs_go_on(Worker *w) noexcept nogil:
    """Something has become of a hub's server, or of the plan."""
    cdef Hub *hub = w.hubs
    while hub != NULL:
        hub_goes_on(w, hub)
        hub = hub.next


cdef void hubs_retry(Worker *w) noexcept nogil:
    """What was in the way of a hub's server may be gone."""
    cdef Hub *hub = w.hubs
    while hub != NULL:
        hub.retry_at_us = w.now_us
        hub = hub.next
    w.hub_wanted = True


cdef void hub_goes_on(Worker *w, Hub *hub) noexcept nogil:
    """Do what is due; called again when something has happened, or it is time."""
    cdef uint64_t next_us = 0
    if w.stopping or w.draining and hub.server == NULL:
        return
    if hub.server == NULL:
        next_us = without_server(w, hub)
    elif hub.server.state == SERVER_LISTENING and superseded(&hub.server.pooled):
        close_server(w, hub, REMOVED)
    elif load_i32(&hub.server.pooled.pool.held) and hub.server.state == SERVER_LISTENING:
        close_server(w, hub, PAUSED)
    elif load_i32(&hub.server.pooled.pool.held):
        server_lost(w, hub.server, PAUSED, b"")  # it is being opened
    elif hub.server.state == SERVER_LISTENING:
        if not hub.busy:
            say_changes(w, hub)
        next_us = with_server(w, hub)
    if next_us:
        timer_arm(&w.wheel, &hub.timer, next_us)
    else:
        timer_disarm(&hub.timer)


cdef uint64_t without_server(Worker *w, Hub *hub) noexcept nogil:
    """Open one, if there is anything to listen to; gives when to look again, 0: not before something happens."""
    if hub.ready:
        lose_server(w, hub)
    elif hub.busy:  # it was being opened
        try_later(w, hub)
    start_over(hub)
    if hub.channels.count == 0:
        if hub.pool != NULL:
            keep_for_hub(&w.shared.pools, hub.pool, -1)
        hub.pool = NULL
        hub.was_there = False
        hub.backoff_us = hub.retry_at_us = 0
        return 0
    if w.now_us < hub.retry_at_us:
        return hub.retry_at_us
    if not take_room_for_hub(&w.shared.pools, hub.pool):
        try_later(w, hub)
        return hub.retry_at_us
    hub.busy = True
    open_listening(w, hub)
    if hub.server == NULL and hub.busy:
        try_later(w, hub)
        return hub.retry_at_us
    return 0


cdef void lose_server(Worker *w, Hub *hub) noexcept nogil:
    hub.ready = hub.busy = False
    hub.was_there = True
    hub.retry_at_us = w.now_us
    tell_workers(w, hub, HUB_LOST)


cdef void try_later(Worker *w, Hub *hub) noexcept nogil:
    hub.busy = False
    hub.backoff_us = min(max(hub.backoff_us * 2, <uint64_t>FIRST_BACKOFF_US), <uint64_t>MOST_BACKOFF_US)
    hub.retry_at_us = w.now_us + hub.backoff_us
    tell_workers(w, hub, HUB_FAILS)


cdef uint64_t with_server(Worker *w, Hub *hub) noexcept nogil:
    """The same for a hub whose server listens: is it still needed, is it still there?"""
    if hub.channels.count == 0 and not hub.busy:
        if hub.empty_since_us == 0:
            hub.empty_since_us = w.now_us
        if w.now_us >= hub.empty_since_us + UNUSED_US:
            hub.ready = False
            close_server(w, hub, NOT_NEEDED)
            return 0
        return hub.empty_since_us + UNUSED_US
    hub.empty_since_us = 0
    if w.now_us >= hub.heard_at_us + 2 * QUIET_US and hub.busy:
        server_lost(w, hub.server, CHECK_FAILED, b"")
        return 0
    if w.now_us >= hub.heard_at_us + QUIET_US and not hub.busy:
        send_query(w, hub, "")
    return hub.heard_at_us + (2 * QUIET_US if hub.busy else QUIET_US)


cdef void close_server(Worker *w, Hub *hub, int reason) noexcept nogil:
    cdef Server *server = hub.server
    leave_hub(w, server)
    server_close(w, server, reason)


# ---- to the server -------------------------------------------------------------------------------------------------

cdef void say_changes(Worker *w, Hub *hub) noexcept nogil:
    """All that has changed since it was told last; to a new server, everything."""
    cdef size_t room = LARGEST_REST + changes_size(hub)
    cdef uint8_t *data
    cdef Writer text
    cdef bint news = hub.first_changed != NULL or not hub.ready
    for i in range(w.shared.worker_count):
        news = news or hub.wished[i] != hub.told[i]
        hub.told[i] = hub.wished[i]
    if not news:
        return
    data = <uint8_t *>malloc(room)
    if data == NULL:
        server_lost(w, hub.server, OUT_OF_MEMORY, b"")
        return
    text = writer(data, room)
    if not hub.ready:
        write_text(&text, NO_TIMEOUTS)
        write_text(&text, "LISTEN ")
        write_text(&text, w.shared.marker_channel)
        write_u8(&text, c";")
    write_changes(hub, &text)
    write_u8(&text, 0)
    send_query(w, hub, <const char *>data)
    free(data)


cdef void send_query(Worker *w, Hub *hub, const char *query) noexcept nogil:
    cdef size_t size = strlen(query) + 6  # tag, length and the NUL at the end
    cdef uint8_t *data = <uint8_t *>malloc(size)
    cdef Writer message = writer(data, size if data != NULL else 0)
    hub.busy = True
    hub.heard_at_us = w.now_us
    compose_query(&message, query)
    if message.ok:
        send_to_server(w, hub.server, data, message.used)
        timer_arm(&w.wheel, &hub.timer, w.now_us + 2 * QUIET_US)
    free(data)


# ---- from the server -----------------------------------------------------------------------------------------------

cdef void hub_event(Worker *w, Server *server, uint32_t events) noexcept nogil:
    """Something happened on the socket of a listening server."""
    cdef size_t have = server.held.end if server.held != NULL else 0
    cdef size_t got = 0
    cdef FillVerdict verdict
    if events & EPOLLOUT:
        conn_flush(&w.slab, &server.conn)
        watch_server(w, server)
    verdict = conn_fill(&w.slab, &server.conn, w.buffer + have, READ_SIZE, &got)
    if verdict == FILL_DATA:
        unhold(&w.slab, &server.held, w.buffer)
        read_messages(w, server, w.buffer, have + got)
    elif verdict == FILL_EOF:
        server_lost(w, server, SERVER_CLOSED, b"")
    elif verdict != FILL_AGAIN:
        server_lost(w, server, SERVER_CLOSED, conn_problem(&server.conn))


cdef void read_messages(Worker *w, Server *server, const uint8_t *data, size_t size) noexcept nogil:
    cdef Hub *hub = server.hub
    cdef size_t pos = 0
    cdef Frame frame
    cdef ErrorFields error
    cdef FrameVerdict verdict
    hub.heard_at_us = w.now_us
    while pos < size:
        verdict = next_frame(data + pos, size - pos, &frame)
        if verdict == FRAME_BAD_LENGTH or frame.size > READ_SIZE:
            server_lost(w, server, SERVER_PROTOCOL, b"a message of impossible length")
            return
        if verdict != FRAME_WHOLE:
            break
        if frame.tag == tags.NOTIFICATION_RESPONSE:
            pass_on_notification(w, hub, data + pos, frame.size)
        elif frame.tag == tags.READY_FOR_QUERY:
            answered(w, hub)
        elif frame.tag == tags.ERROR_RESPONSE:  # of the end, or of a query that cannot fail
            if not read_error(data + pos + HEADER, frame.size - HEADER, &error):
                error.message = b""
            server_lost(w, server, SERVER_CLOSED, error.message)
            return
        pos += frame.size
    if not hold(&w.slab, &server.held, data + pos, size - pos):
        server_lost(w, server, OUT_OF_MEMORY, b"")
        return
    hub_goes_on(w, hub)


cdef void answered(Worker *w, Hub *hub) noexcept nogil:
    """What it has been told is in force."""
    cdef bint back = hub.was_there
    store_i32(&hub.server.channels, <int32_t>hub.channels.count)
    hub.busy = hub.was_there = False
    hub.ready = True
    hub.backoff_us = 0
    for i in range(w.shared.worker_count):
        if back or hub.listens[i] != hub.told[i]:
            hub.listens[i] = hub.told[i]
            tell_worker_of(w, hub, i, HUB_BACK if back else HUB_LISTENS)


cdef void tell_workers(Worker *w, Hub *hub, HubNews news) noexcept nogil:
    for i in range(w.shared.worker_count):
        tell_worker_of(w, hub, i, news)


cdef void tell_worker_of(Worker *w, Hub *hub, int worker, HubNews news) noexcept nogil:
    cdef Mail *mail = mail_new(MAIL_HUB)
    if mail == NULL:
        return
    mail.data = hub.database
    mail.pid = news
    mail.size = hub.listens[worker]
    mail_send(&w.shared.workers[worker], mail)


cdef void pass_on_notification(Worker *w, Hub *hub, const uint8_t *message, uint32_t size) noexcept nogil:
    """To the workers that want it; a marker, to the worker of the client that it is for."""
    cdef Heard heard
    cdef Channel *channel
    cdef Notification *notification
    cdef uint64_t workers = 0
    cdef int worker = 0
    if not read_notification(message, size, &heard):
        return
    if (heard.channel_size == strlen(w.shared.marker_channel)
            and memcmp(heard.channel, w.shared.marker_channel, heard.channel_size) == 0):
        if sscanf(heard.payload, b"%d.", &worker) == 1 and 0 <= worker < w.shared.worker_count:
            workers = <uint64_t>1 << worker
    else:
        channel = channels_find(&hub.channels, heard.channel, heard.channel_size)
        workers = channel.workers if channel != NULL else 0
    notification = notification_new(message, size, hub.database) if workers else NULL
    worker = 0
    while notification != NULL and workers >> worker:
        if workers >> worker & 1:
            send_notification(&w.shared.workers[worker], notification)
        worker += 1
        if worker == 64:
            break
    notification_drop(notification)


cdef void send_notification(Worker *to, Notification *notification) noexcept nogil:
    cdef Mail *mail = mail_new(MAIL_HEARD)
    if mail != NULL:
        mail.data = notification_hold(notification)
        mail_send(to, mail)


cdef void hubs_free(Worker *w) noexcept nogil:
    """The worker has ended; servers are left to `engine`."""
    cdef Hub *hub
    while w.hubs != NULL:
        hub = w.hubs
        w.hubs = hub.next
        channels_clear(&hub.channels)
        free(hub)
