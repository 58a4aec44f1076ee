"""What is said to a client's own server about channels, and what it answers."""

from libc.stdint cimport uint32_t

from howdah.dataplane.parties cimport Ear, Server
from howdah.wire.bytes cimport Writer

# The channels that a server listens to.  `names` is made by `read_channels`, freed by whoever has called it.
cdef struct Listened:
    char *names  # each with its NUL, but for ours
    uint32_t size  # of all of them
    uint32_t count
    bint marker  # it listens to ours, too
    bint stands  # what the ear's server was told last has not been rolled back, says `howdah.marker`

cdef bint compose_listen(Ear *ear, bint telling, bint again, bint alone, Writer *message) noexcept nogil
cdef void compose_marker(Ear *ear, Writer *message) noexcept nogil
cdef void compose_unlisten(Ear *ear, const char *channel, Writer *message) noexcept nogil
cdef void ask_channels(const Ear *ear, Writer *message) noexcept nogil
cdef bint read_channels(const Server *server, Listened *found) noexcept nogil
