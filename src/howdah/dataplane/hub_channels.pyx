"""The channels of a hub: which ones are wanted, and what its server is still to be told.

A channel is wanted by workers, a bit for each, and stays until no worker wants it and the server has been told so.
Called by `hub`.
"""

from libc.stdint cimport uint64_t

from howdah.dataplane.channels cimport Channel, channels_add, channels_next, channels_remove
from howdah.dataplane.parties cimport Hub
from howdah.dataplane.session_state cimport write_text
from howdah.wire.bytes cimport Writer, write_u8
from howdah.wire.compose cimport write_identifier

cdef enum:
    LARGEST_CHANGE = 144  # of one channel, each byte of its name a quote


cdef void set_wanted(Hub *hub, const char *name, size_t size, int worker, bint wanted) noexcept nogil:
    cdef Channel *channel = channels_add(&hub.channels, name, size)
    if channel == NULL:
        return  # out of memory: its clients keep their servers, or are warned when it is lost
    if wanted:
        channel.workers |= <uint64_t>1 << worker
    else:
        channel.workers &= ~(<uint64_t>1 << worker)
    set_changed(hub, channel)


cdef void set_changed(Hub *hub, Channel *channel) noexcept nogil:
    if channel.changed:
        return
    channel.changed = True
    channel.next_changed = NULL
    if hub.last_changed == NULL:
        hub.first_changed = channel
    else:
        hub.last_changed.next_changed = channel
    hub.last_changed = channel


cdef void start_over(Hub *hub) noexcept nogil:
    """The server is gone: what is wanted will all be said to the next one."""
    cdef Channel *channel = channels_next(&hub.channels, NULL)
    cdef Channel *next_channel
    hub.first_changed = hub.last_changed = NULL
    while channel != NULL:
        next_channel = channels_next(&hub.channels, channel)
        channel.there = channel.changed = False
        if channel.workers == 0:
            channels_remove(&hub.channels, channel)
        else:
            set_changed(hub, channel)
        channel = next_channel


cdef size_t changes_size(const Hub *hub) noexcept nogil:
    """Room that is enough for `write_changes`."""
    cdef const Channel *channel = hub.first_changed
    cdef size_t size = 0
    while channel != NULL:
        size += LARGEST_CHANGE
        channel = channel.next_changed
    return size


cdef void write_changes(Hub *hub, Writer *text) noexcept nogil:
    cdef Channel *channel = hub.first_changed
    cdef Channel *next_channel
    hub.first_changed = hub.last_changed = NULL
    while channel != NULL:
        next_channel = channel.next_changed
        channel.changed = False
        if (channel.workers != 0) != channel.there:
            channel.there = not channel.there
            write_text(text, "LISTEN " if channel.there else "UNLISTEN ")
            write_identifier(text, channel.name, channel.size)
            write_u8(text, c";")
        if not channel.there:
            channels_remove(&hub.channels, channel)
        channel = next_channel
