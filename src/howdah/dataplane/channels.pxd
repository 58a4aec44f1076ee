"""A table of channels: who hears each."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cpdef enum:
    MOST_CHANNELS = 10000  # of one client
    LARGEST_CHANNEL = 63  # bytes of a name: what PostgreSQL keeps of one

# Made by `channels_add`, freed by `channels_remove`.  Belongs to the worker that has the table.
cdef struct Channel:
    Channel *next  # in its slot
    uint32_t hash
    uint8_t size
    char[64] name
    Seat *seats  # of clients, in a worker's table
    uint32_t ticket  # ... the wish with which the listening server was asked for it
    uint64_t workers  # in a listening server's table: a bit for each worker that wants it
    bint there  # ... the server has been told to listen to it
    bint changed  # ... it stands in the list of those for which something is to be said
    Channel *next_changed

# One client at one channel.  Made by `seat_take`, freed by `seat_leave`.
cdef struct Seat:
    Channel *channel
    void *owner
    Seat *next_here  # in the channel
    Seat *prev_here
    Seat *next  # of the same owner
    bint wanted  # see `ears.seats_renew`

# Lives inside a board or a hub.
cdef struct Channels:
    Channel **slots
    uint32_t slot_count  # a power of two, or 0
    uint32_t count

cdef Channel *channels_find(const Channels *table, const char *name, size_t size) noexcept nogil
cdef Channel *channels_add(Channels *table, const char *name, size_t size) noexcept nogil
cdef void channels_remove(Channels *table, Channel *channel) noexcept nogil
cdef void channels_clear(Channels *table) noexcept nogil
cdef Channel *channels_next(const Channels *table, const Channel *after) noexcept nogil
cdef Seat *seat_take(Channel *channel, void *owner, Seat **seats) noexcept nogil
cdef Seat *seat_find(Seat *seats, const Channel *channel) noexcept nogil
cdef void seat_leave(Seat **link) noexcept nogil
