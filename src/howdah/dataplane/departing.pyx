"""Clients that go to another process, each in a moment when it is idle and all it is can be written down.

What is written down (`baggage`) and the socket go to the control plane, which sends them; here the client is gone.  How
many are on their way at a time is bounded by `Shared.berths`, so that nobody waits on the way for long.  Who has TLS
cannot go, as its keys are OpenSSL's: it is sent away between two transactions, as at a shutdown.  Who keeps a server
stays until it does not.  Called by `worker`.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport strlen

from howdah.cdefs.atomics cimport add_i32
from howdah.cdefs.crypto cimport OPENSSL_cleanse
from howdah.cdefs.sockets cimport close, read, write
from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
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
    LARGEST_BAGGAGE,
    Item,
    begin_item,
    end_item,
    write_u64,
)
from howdah.dataplane.buffers cimport block_data
from howdah.dataplane.channels cimport Seat
from howdah.dataplane.conn cimport conn_unwatch
from howdah.dataplane.credentials cimport secret_write
from howdah.dataplane.descriptions cimport is_outdated
from howdah.dataplane.handover cimport TELLER_HUB
from howdah.dataplane.parties cimport (
    CLIENT_ACTIVE,
    CLIENT_IDLE,
    LEAVING,
    OWN_NONE,
    UNNAMED_KEPT,
    UNNAMED_THERE,
    Client,
    Departure,
    Ear,
    Shared,
    Worker,
)
from howdah.dataplane.recycle cimport client_leave, client_refuse
from howdah.dataplane.reply_queue cimport is_streaming
from howdah.dataplane.session_state cimport Settings, settings_data
from howdah.dataplane.statements cimport Named
from howdah.dataplane.texts cimport Naming, naming_name, naming_numbered, text_data
from howdah.wire.bytes cimport Writer, write_bytes, write_string, write_u8, write_u16, write_u32, writer

from howdah.reasons import NUMBERS

cdef enum:
    USUAL_SIZE = 2048

cdef int HANDED_OVER = NUMBERS["handed_over"]
cdef int SHUTDOWN = NUMBERS["shutdown"]


# ---- who goes, and when --------------------------------------------------------------------------------------------

cdef bint goes(Worker *w, Client *client) noexcept nogil:
    """See whether the client can go now, and send it where it can; True: it is gone."""
    if client.conn.tls != NULL and is_idle(client):
        client_refuse(w, client, SHUTDOWN, b"")
        return True
    if client.state == CLIENT_ACTIVE and client.replication and is_streaming(&client.server.replies):
        client_refuse(w, client, SHUTDOWN, b"")  # it takes its stream up again where it was
        return True
    return is_idle(client) and client.conn.tls == NULL and can_be_written(client) and depart(w, client)


cdef bint is_idle(const Client *client) noexcept nogil:
    """Has it no transaction, and has all that it has said been done?"""
    return (client.state == CLIENT_IDLE and client.begin == NULL and client.held == NULL and client.remain == 0
            and not client.goodbye and not client.curing)


cdef bint can_be_written(const Client *client) noexcept nogil:
    """(An unnamed EXECUTE has the statement's name at our servers in it: it stays until there is another one.)"""
    if client.conn.out.size or client.told != NULL or client.effects or client.replication:
        return False
    if client.unnamed == UNNAMED_THERE or (client.unnamed == UNNAMED_KEPT and client.unnamed_executes):
        return False
    return client.ear == NULL or is_told_by_hub(client.ear)


cdef bint is_told_by_hub(const Ear *ear) noexcept nogil:
    """... with nothing under way, and nothing left to tell?"""
    return (ear.own == OWN_NONE and not ear.handover.turning and not ear.waits and not ear.overrun
            and (ear.count == 0 or ear.handover.teller == TELLER_HUB)
            and ear.waiting.first == NULL and ear.kept.first == NULL)


cdef void let_depart(Worker *w) noexcept nogil:
    """Everybody who can go now; the others when they can."""
    cdef Client *client = w.clients
    cdef Client *next_client
    while client != NULL and w.leaving == LEAVING:
        next_client = client.next
        if client.pool != NULL:
            goes(w, client)
        client = next_client


cdef bint depart(Worker *w, Client *client) noexcept nogil:
    """False: as many as may be are on their way, or there is no memory; it stays for now."""
    cdef Departure *departure = NULL
    if add_i32(&w.shared.berths, -1) >= 0:
        departure = pack(w, client)
    if departure == NULL:
        add_i32(&w.shared.berths, 1)
        return False
    conn_unwatch(w.epoll_fd, &client.conn)  # closing our copy would not do: the other process has one
    departure.fd = client.conn.fd
    departure.number = client.id
    client.conn.fd = -1
    client_leave(w, client, HANDED_OVER, b"")
    announce(w.shared, departure)
    return True


# ---- what it takes along -------------------------------------------------------------------------------------------

cdef Departure *pack(Worker *w, const Client *client) noexcept nogil:
    """NULL: out of memory."""
    cdef size_t room = USUAL_SIZE
    cdef Departure *made
    cdef Writer to
    while room <= LARGEST_BAGGAGE:
        made = <Departure *>malloc(sizeof(Departure) + room)
        if made == NULL:
            return NULL
        to = writer(<uint8_t *>(made + 1), room)
        write_client(w, client, &to)
        if to.ok:
            made.size = to.used
            return made
        OPENSSL_cleanse(made, sizeof(Departure) + room)
        free(made)
        room *= 4
    return NULL


cdef void write_client(Worker *w, const Client *client, Writer *to) noexcept nogil:
    cdef size_t mark
    pack_string(to, ITEM_DATABASE, client.pool.database)
    pack_string(to, ITEM_USER, client.user.name)
    mark = begin_item(to, ITEM_PROTOCOL)
    write_u32(to, client.version)
    end_item(to, mark)
    mark = begin_item(to, ITEM_KEY)
    write_u32(to, client.key.pid)
    write_bytes(to, client.key.secret, KEY_SIZE)
    end_item(to, mark)
    mark = begin_item(to, ITEM_PEER)
    write_u8(to, client.peer.family)
    write_u16(to, client.peer.port)
    write_bytes(to, client.peer.address, ADDRESS_SIZE)
    end_item(to, mark)
    mark = begin_item(to, ITEM_TIMES)
    write_u64(to, client.connected_us)
    write_u64(to, client.request_us)
    end_item(to, mark)
    pack_settings(to, ITEM_SETTING, client.settings)
    pack_settings(to, ITEM_FIRST_SETTING, client.first_settings)
    pack_secret(w, client, to)
    pack_statements(client, to)
    pack_channels(client.ear, to)


cdef void pack_string(Writer *to, Item item, const char *text) noexcept nogil:
    cdef size_t mark = begin_item(to, item)
    write_string(to, text)
    end_item(to, mark)


cdef void pack_settings(Writer *to, Item item, const Settings *settings) noexcept nogil:
    cdef const char *at = settings_data(settings)
    cdef const char *end = at + settings.size
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef size_t mark
    for _ in range(settings.count):
        name = at
        value = name + strlen(name) + 1
        at = value + strlen(value) + 1
        if at > end:
            return
        mark = begin_item(to, item)
        write_string(to, name)
        write_string(to, value)
        end_item(to, mark)


cdef void pack_secret(Worker *w, const Client *client, Writer *to) noexcept nogil:
    """What servers of its pool are logged in to with: the next process has seen no login of this user."""
    cdef size_t mark
    pthread_mutex_lock(&w.shared.pools.lock)
    if client.pool.secret != NULL:
        mark = begin_item(to, ITEM_SECRET)
        secret_write(to, client.pool.secret)
        end_item(to, mark)
    if client.pool.has_client_key:
        mark = begin_item(to, ITEM_CLIENT_KEY)
        write_bytes(to, client.pool.client_key, KEY_SIZE)
        end_item(to, mark)
    pthread_mutex_unlock(&w.shared.pools.lock)


cdef void pack_statements(const Client *client, Writer *to) noexcept nogil:
    cdef const Named *named
    cdef Naming *naming
    cdef size_t mark
    for i in range(client.names.room):
        named = &client.names.slots[i]
        naming = naming_numbered(named.naming)
        if naming == NULL or naming.statement.text == NULL:
            continue
        mark = begin_item(to, ITEM_STATEMENT)
        write_u32(to, naming.statement.shape)
        write_u8(to, is_outdated(naming.statement, named.edition))
        write_string(to, naming_name(naming))
        write_bytes(to, text_data(naming.statement.text), naming.statement.text.size)
        end_item(to, mark)
    if client.unnamed == UNNAMED_KEPT:
        mark = begin_item(to, ITEM_UNNAMED)
        write_bytes(to, block_data(client.unnamed_parse), client.unnamed_parse.end)
        end_item(to, mark)


cdef void pack_channels(const Ear *ear, Writer *to) noexcept nogil:
    cdef const Seat *seat = ear.seats if ear != NULL else NULL
    cdef size_t mark
    if seat == NULL:
        return
    mark = begin_item(to, ITEM_CHANNELS)
    while seat != NULL:
        write_bytes(to, seat.channel.name, seat.channel.size)
        write_u8(to, 0)
        seat = seat.next
    end_item(to, mark)


# ---- to the control plane ------------------------------------------------------------------------------------------

cdef void announce(Shared *shared, Departure *departure) noexcept nogil:
    cdef uint64_t one = 1
    departure.next = NULL
    pthread_mutex_lock(&shared.departure_lock)
    if shared.last_departure == NULL:
        shared.first_departure = departure
    else:
        shared.last_departure.next = departure
    shared.last_departure = departure
    pthread_mutex_unlock(&shared.departure_lock)
    write(shared.departure_fd, &one, sizeof(one))


cdef Departure *departures_fetch(Shared *shared) noexcept nogil:
    """All there are, in order, linked by `next`; they are the caller's, and so are their sockets."""
    cdef Departure *first
    cdef uint64_t count
    read(shared.departure_fd, &count, sizeof(count))
    pthread_mutex_lock(&shared.departure_lock)
    first = shared.first_departure
    shared.first_departure = shared.last_departure = NULL
    pthread_mutex_unlock(&shared.departure_lock)
    return first


cdef void departures_drop(Shared *shared) noexcept nogil:
    """Nobody has come for them."""
    cdef Departure *departure = departures_fetch(shared)
    cdef Departure *next_departure
    while departure != NULL:
        next_departure = departure.next
        close(departure.fd)
        OPENSSL_cleanse(departure, sizeof(Departure) + departure.size)
        free(departure)
        departure = next_departure
