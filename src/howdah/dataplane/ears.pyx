"""What clients hear with: an ear for each that has listened, a board of channels for each worker and database.

LISTEN runs on the client's own server, in the client's own transaction.  What came of it is asked for (`asking`), and
becomes the ear's seats at the channels of the board.  What is new on the board, or wanted by nobody any more, is a wish
to the database's hub: one server that listens for all clients of all workers (`hub`).  When that has answered, the
hub's server takes over from the client's own (`handover`), which is then free (`listening`).

Nothing here is locked: an ear and its board are their worker's, a hub is its own worker's, which follows from the
database alone, and both send each other mail.  Mail keeps its order, so what a worker hears of a hub is in the order of
PostgreSQL's queue, and a wish is fulfilled after those before it.  Tickets count each worker's wishes: a hub that
"listens up to ticket 7" listens to all that this worker had wished by then.

- A client that leaves while its LISTEN is being confirmed takes its seats along; the next wish says so.
- Two workers that want and drop the same channel: the hub keeps a bit for each worker.
- A hub whose server dies tells every worker (HUB_LOST): who is being handed over stays with, or goes back to, its own
  server; who has none is warned when the hub is back.
- A hub that cannot open a server tries again; until then clients keep their own (PIN_LISTEN).

Called by `hearing`, `listening`, `hub`, `recycle` and `worker`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, strlen

from howdah.cdefs.atomics cimport add_i32
from howdah.dataplane.channels cimport (
    LARGEST_CHANNEL,
    Channel,
    Seat,
    channels_add,
    channels_clear,
    channels_find,
    channels_remove,
    seat_find,
    seat_leave,
    seat_take,
)
from howdah.dataplane.handover cimport TELLER_OWN
from howdah.dataplane.hashes cimport text_hash
from howdah.dataplane.mailbox cimport mail_new, mail_send
from howdah.dataplane.parties cimport (
    MAIL_WISH,
    OWN_NONE,
    Board,
    Client,
    Ear,
    Limit,
    Mail,
    Notification,
    Shared,
    Told,
    ToldQueue,
    Wish,
    Worker,
)
from howdah.dataplane.rooms cimport keep_for_hub
from howdah.wire.bytes cimport Reader, read_string, read_u32, reader

cdef enum:
    HEADER = 5
    NEWS_SIZE = 64  # what a warning counts as


# ---- notifications -------------------------------------------------------------------------------------------------

cdef Notification *notification_new(const uint8_t *message, uint32_t size, Limit *database) noexcept nogil:
    """Held once for the caller; NULL: out of memory."""
    cdef Notification *notification = <Notification *>malloc(sizeof(Notification) + size)
    if notification == NULL:
        return NULL
    notification.holders = 1
    notification.database = database
    notification.size = size
    memcpy(<uint8_t *>(notification + 1), message, size)
    return notification


cdef Notification *notification_hold(Notification *notification) noexcept nogil:
    add_i32(&notification.holders, 1)
    return notification


cdef void notification_drop(Notification *notification) noexcept nogil:
    if notification != NULL and add_i32(&notification.holders, -1) == 0:
        free(notification)


cdef bint read_notification(const uint8_t *message, uint32_t size, Heard *heard) noexcept nogil:
    cdef Reader r = reader(message + HEADER, size - HEADER)
    cdef size_t payload_size = 0
    read_u32(&r)  # the notifying backend's pid
    heard.channel = read_string(&r, &heard.channel_size)
    heard.payload = read_string(&r, &payload_size)
    return r.ok


cdef bint told_put(ToldQueue *queue, Notification *notification) noexcept nogil:
    """Takes over the hold; False: out of memory, and it is dropped."""
    cdef Told *told = <Told *>malloc(sizeof(Told))
    if told == NULL:
        notification_drop(notification)
        return False
    told.next = NULL
    told.notification = notification
    if queue.last == NULL:
        queue.first = told
    else:
        queue.last.next = told
    queue.last = told
    queue.size += told_size(told)
    return True


cdef size_t told_size(const Told *told) noexcept nogil:
    return sizeof(Told) + (told.notification.size if told.notification != NULL else NEWS_SIZE)


cdef void told_take(ToldQueue *queue) noexcept nogil:
    """The first has been told."""
    cdef Told *told = queue.first
    queue.first = told.next
    if queue.first == NULL:
        queue.last = NULL
    queue.size -= told_size(told)
    notification_drop(told.notification)
    free(told)


cdef void told_clear(ToldQueue *queue) noexcept nogil:
    while queue.first != NULL:
        told_take(queue)


cdef void told_join(ToldQueue *queue, ToldQueue *behind) noexcept nogil:
    """Put all that is in `behind` behind what is in `queue`."""
    if behind.first == NULL:
        return
    if queue.last == NULL:
        queue.first = behind.first
    else:
        queue.last.next = behind.first
    queue.last = behind.last
    queue.size += behind.size
    behind.first = behind.last = NULL
    behind.size = 0


# ---- boards --------------------------------------------------------------------------------------------------------

cdef int hub_worker(const Shared *shared, const Limit *database) noexcept nogil:
    """The worker that has the database's hub."""
    return <int>(text_hash(database.name) % <uint32_t>shared.worker_count)


cdef Board *board_find(Worker *w, const Limit *database) noexcept nogil:
    cdef Board *board = w.boards
    while board != NULL and board.database != database:
        board = board.next
    return board


cdef Board *board_of(Worker *w, Limit *database) noexcept nogil:
    """The same, made where there is none; it stays.  NULL: out of memory."""
    cdef Board *board = board_find(w, database)
    if board != NULL:
        return board
    board = <Board *>calloc(1, sizeof(Board))
    if board != NULL:
        board.database = database
        board.next = w.boards
        w.boards = board
    return board


cdef void boards_free(Worker *w) noexcept nogil:
    """The clients are gone."""
    cdef Board *board
    while w.boards != NULL:
        board = w.boards
        w.boards = board.next
        channels_clear(&board.channels)
        free(board)


# ---- ears ----------------------------------------------------------------------------------------------------------

cdef Ear *ear_new(Worker *w, Client *client) noexcept nogil:
    """The client's; NULL: out of memory."""
    cdef Board *board = board_of(w, client.pool.database_limit)
    cdef Ear *ear
    if client.ear != NULL or board == NULL:
        return client.ear
    ear = <Ear *>calloc(1, sizeof(Ear))
    if ear == NULL:
        return NULL
    ear.client = client
    ear.board = board
    ear.own = OWN_NONE
    ear.handover.teller = TELLER_OWN
    ear.next = board.ears
    if board.ears != NULL:
        board.ears.prev = ear
    board.ears = ear
    client.ear = ear
    return ear


cdef void ear_free(Worker *w, Client *client) noexcept nogil:
    """The client hears nothing any more."""
    cdef Ear *ear = client.ear
    if ear == NULL:
        return
    seats_renew(w, ear, NULL, 0, True)
    client.ear = NULL
    told_clear(&ear.waiting)
    told_clear(&ear.kept)
    if ear.prev == NULL:
        ear.board.ears = ear.next
    else:
        ear.prev.next = ear.next
    if ear.next != NULL:
        ear.next.prev = ear.prev
    free(ear)


cdef bint ear_hears(const Ear *ear, const char *channel, size_t size) noexcept nogil:
    cdef const Channel *found = channels_find(&ear.board.channels, channel, size)
    return found != NULL and seat_of(ear, found) != NULL


cdef Seat *seat_of(const Ear *ear, const Channel *channel) noexcept nogil:
    """The ear's at this channel; NULL: it has none."""
    if channel.seats != NULL and channel.seats.owner == <const void *>ear:
        return channel.seats
    return seat_find(ear.seats, channel)


cdef bint ear_confirmed(const Ear *ear) noexcept nogil:
    """Does the hub listen to all of the ear's channels?"""
    return not ear.board.lost and <int>(ear.board.listens - ear.ticket) >= 0


# ---- seats and wishes ----------------------------------------------------------------------------------------------

cdef bint seats_renew(Worker *w, Ear *ear, const char *names, uint32_t size, bint whole) noexcept nogil:
    """The ear hears these channels (each with its NUL): `whole`, and no others.  False: out of memory.

    What is new on the board, and what nobody there wants any more, is wished for.
    """
    cdef Wish *wish = wish_new(ear, size, whole)
    cdef const char *at = names
    cdef bint done = wish != NULL
    cdef Seat *seat = ear.seats
    while seat != NULL:
        seat.wanted = not whole
        seat = seat.next
    while done and at < names + size:
        done = seat_for(ear, at, strlen(at), wish)
        at += strlen(at) + 1
    leave_seats(ear, wish)
    if wish != NULL:
        wish_send(w, ear, wish)
    return done


cdef bint seat_for(Ear *ear, const char *name, size_t size, Wish *wish) noexcept nogil:
    cdef Channel *channel = channels_find(&ear.board.channels, name, size)
    cdef Seat *seat
    if channel == NULL:
        channel = channels_add(&ear.board.channels, name, size)
        if channel == NULL:
            return False
        channel.ticket = wish.ticket
        wish_add(wish, channel, True)
    seat = seat_of(ear, channel)
    if seat == NULL:
        seat = seat_take(channel, ear, &ear.seats)
        if seat == NULL:
            return False  # (the channel goes when the next of its seats is left)
        ear.count += 1
        if <int>(channel.ticket - ear.ticket) > 0 or ear.count == 1:
            ear.ticket = channel.ticket
    seat.wanted = True
    return True


cdef void leave_seats(Ear *ear, Wish *wish) noexcept nogil:
    """Those that are not wanted."""
    cdef Seat **link = &ear.seats
    cdef Channel *channel
    while link[0] != NULL:
        if link[0].wanted:
            link = &link[0].next
            continue
        channel = link[0].channel
        seat_leave(link)
        ear.count -= 1
        if channel.seats == NULL and wish != NULL:
            wish_add(wish, channel, False)
            channels_remove(&ear.board.channels, channel)


cdef Wish *wish_new(Ear *ear, uint32_t size, bint whole) noexcept nogil:
    """With room for `size` bytes of names, and for all that the ear has where it may lose them."""
    cdef size_t room = 2 * <size_t>size + (ear.count * (LARGEST_CHANNEL + 2) if whole else 0)
    cdef Wish *wish = <Wish *>malloc(sizeof(Wish) + room)
    if wish == NULL:
        return NULL
    wish.size = 0
    wish.ticket = ear.board.ticket + 1
    wish.database = ear.board.database
    wish.pool = ear.client.pool
    return wish


cdef void wish_add(Wish *wish, const Channel *channel, bint wanted) noexcept nogil:
    cdef uint8_t *at = <uint8_t *>(wish + 1) + wish.size
    at[0] = wanted
    at[1] = channel.size
    memcpy(at + 2, channel.name, channel.size)
    wish.size += 2 + channel.size


cdef void wish_send(Worker *w, Ear *ear, Wish *wish) noexcept nogil:
    """To the hub's worker, if there is anything in it."""
    cdef Mail *mail = mail_new(MAIL_WISH) if wish.size and not w.stopping else NULL
    if mail == NULL:
        free(wish)
        return
    keep_for_hub(&w.shared.pools, wish.pool, 1)
    ear.board.ticket = wish.ticket
    wish.worker = w.index
    mail.data = wish
    mail_send(&w.shared.workers[hub_worker(w.shared, wish.database)], mail)


cdef void wish_free(Worker *w, Wish *wish) noexcept nogil:
    """It has been read, or is not needed."""
    keep_for_hub(&w.shared.pools, wish.pool, -1)
    free(wish)
