"""Drives `howdah.dataplane.channels` from Python."""

from howdah.dataplane cimport channels
from howdah.dataplane.channels cimport Channel, Channels as CChannels, Seat


cdef class Owner:
    """Somebody with seats."""

    cdef Seat *seats


cdef class Channels:
    cdef CChannels table

    def __dealloc__(self):
        channels.channels_clear(&self.table)

    @property
    def names(self):
        """In the table's order."""
        cdef Channel *channel = channels.channels_next(&self.table, NULL)
        found = []
        while channel != NULL:
            found.append(channel.name[:channel.size])
            channel = channels.channels_next(&self.table, channel)
        return found

    @property
    def count(self):
        return self.table.count

    def take(self, Owner owner, bytes name):
        """Take a seat; False: the name is none."""
        cdef Channel *channel = channels.channels_add(&self.table, name, len(name))
        if channel == NULL:
            return False
        if channels.seat_find(owner.seats, channel) == NULL:
            channels.seat_take(channel, <void *>owner, &owner.seats)
        return True

    def leave(self, Owner owner, bytes name):
        """Leave it, and the channel with the last one."""
        cdef Channel *channel = channels.channels_find(&self.table, name, len(name))
        cdef Seat **link = &owner.seats
        while link[0] != NULL and link[0].channel != channel:
            link = &link[0].next
        if link[0] == NULL:
            return False
        channels.seat_leave(link)
        if channel.seats == NULL:
            channels.channels_remove(&self.table, channel)
        return True

    def owners(self, bytes name):
        """Who has a seat there; None: there is no such channel."""
        cdef Channel *channel = channels.channels_find(&self.table, name, len(name))
        cdef Seat *seat
        if channel == NULL:
            return None
        seat = channel.seats
        found = []
        while seat != NULL:
            found.append(<object>seat.owner)
            seat = seat.next_here
        return found
