"""A table of channels by name, and the clients' seats at each.

Names are PostgreSQL's own, as `pg_listening_channels` gives them: any bytes but NUL.  Holds no socket and calls no one.
Called by `ears` (the channels that clients of one worker hear) and `hub` (those that one server listens to).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from howdah.dataplane.texts cimport bytes_hash

cdef enum:
    FIRST_SLOTS = 16


cdef Channel *channels_find(const Channels *table, const char *name, size_t size) noexcept nogil:
    """The channel of that name; NULL: it is not in the table."""
    cdef uint32_t h = bytes_hash(<const uint8_t *>name, size)
    cdef Channel *channel
    if table.slot_count == 0:
        return NULL
    channel = table.slots[h & (table.slot_count - 1)]
    while channel != NULL:
        if channel.hash == h and channel.size == size and memcmp(channel.name, name, size) == 0:
            return channel
        channel = channel.next
    return NULL


cdef bint grow(Channels *table) noexcept nogil:
    cdef uint32_t count = table.slot_count * 2 if table.slot_count else FIRST_SLOTS
    cdef Channel **slots = <Channel **>calloc(count, sizeof(Channel *))
    cdef Channel *channel
    cdef Channel *next_channel
    if slots == NULL:
        return False
    for i in range(table.slot_count):
        channel = table.slots[i]
        while channel != NULL:
            next_channel = channel.next
            channel.next = slots[channel.hash & (count - 1)]
            slots[channel.hash & (count - 1)] = channel
            channel = next_channel
    free(table.slots)
    table.slots = slots
    table.slot_count = count
    return True


cdef Channel *channels_add(Channels *table, const char *name, size_t size) noexcept nogil:
    """The channel of that name, made where there is none; NULL: out of memory, or no name that PostgreSQL gives."""
    cdef Channel *channel = channels_find(table, name, size)
    cdef Channel **slot
    if channel != NULL:
        return channel
    if size > LARGEST_CHANNEL or (table.count >= table.slot_count and not grow(table)):
        return NULL
    channel = <Channel *>calloc(1, sizeof(Channel))
    if channel == NULL:
        return NULL
    channel.hash = bytes_hash(<const uint8_t *>name, size)
    channel.size = <uint8_t>size
    memcpy(channel.name, name, size)
    slot = &table.slots[channel.hash & (table.slot_count - 1)]
    channel.next = slot[0]
    slot[0] = channel
    table.count += 1
    return channel


cdef void channels_remove(Channels *table, Channel *channel) noexcept nogil:
    """Nobody has a seat at it any more."""
    cdef Channel **link = &table.slots[channel.hash & (table.slot_count - 1)]
    while link[0] != channel:
        link = &link[0].next
    link[0] = channel.next
    table.count -= 1
    free(channel)


cdef void channels_clear(Channels *table) noexcept nogil:
    cdef Channel *channel = channels_next(table, NULL)
    while channel != NULL:
        channels_remove(table, channel)
        channel = channels_next(table, NULL)
    free(table.slots)
    table.slots = NULL
    table.slot_count = 0


cdef Channel *channels_next(const Channels *table, const Channel *after) noexcept nogil:
    """All in the table, one after the other (`after` NULL: the first); NULL: no more."""
    cdef uint32_t at = 0
    if after != NULL and after.next != NULL:
        return after.next
    if after != NULL:
        at = (after.hash & (table.slot_count - 1)) + 1
    while at < table.slot_count:
        if table.slots[at] != NULL:
            return table.slots[at]
        at += 1
    return NULL


# ---- seats ---------------------------------------------------------------------------------------------------------

cdef Seat *seat_take(Channel *channel, void *owner, Seat **seats) noexcept nogil:
    """One more seat for `owner`, whose others are `seats`; NULL: out of memory."""
    cdef Seat *seat = <Seat *>calloc(1, sizeof(Seat))
    if seat == NULL:
        return NULL
    seat.channel = channel
    seat.owner = owner
    seat.next_here = channel.seats
    if channel.seats != NULL:
        channel.seats.prev_here = seat
    channel.seats = seat
    seat.next = seats[0]
    seats[0] = seat
    return seat


cdef Seat *seat_find(Seat *seats, const Channel *channel) noexcept nogil:
    while seats != NULL and seats.channel != channel:
        seats = seats.next
    return seats


cdef void seat_leave(Seat **link) noexcept nogil:
    """`link` is where the owner's list points to it."""
    cdef Seat *seat = link[0]
    link[0] = seat.next
    if seat.prev_here == NULL:
        seat.channel.seats = seat.next_here
    else:
        seat.prev_here.next_here = seat.next_here
    if seat.next_here != NULL:
        seat.next_here.prev_here = seat.prev_here
    free(seat)
