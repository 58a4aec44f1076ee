"""One block of bytes on its way through the relay."""

from libc.stdint cimport uint8_t

from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.wire.bytes cimport Writer

cpdef enum:
    STAGE_SIZE = 262144
    LARGEST_STAGED = 98304  # what may be composed at once

# What the switches decide about the message at hand.
cpdef enum Step:
    STEP_FORWARD
    STEP_DROP
    STEP_MORE  # it must be whole to be decided on
    STEP_WAIT  # it cannot be dealt with now: keep it and what is behind it
    STEP_LAST  # nothing behind it counts
    STEP_REFUSE  # the client must go; why is in the turn
    STEP_GONE  # the client or server is gone

# Lives on the stack of `relay_request` or `relay_reply`.
cdef struct Turn:
    const uint8_t *data
    size_t size  # at hand
    size_t start  # of what is to be forwarded and has not been
    size_t pos  # of the message at hand
    int reason  # why a client is sent away
    char[8] detail

cdef Step refuse(Turn *turn, int reason) noexcept nogil
cdef bint stage_request(Worker *w, Client *client, Turn *turn) noexcept nogil
cdef bint stage_bytes(Worker *w, Client *client, const void *data, size_t size) noexcept nogil
cdef void stage_reply(Worker *w, Server *server, Turn *turn) noexcept nogil
cdef Writer staging(Worker *w) noexcept nogil
cdef void staged(Worker *w, const Writer *written) noexcept nogil
cdef bint forward_request(Worker *w, Client *client, Turn *turn) noexcept nogil
cdef void forward_reply(Worker *w, Server *server, Turn *turn) noexcept nogil
cdef bint answer(Worker *w, Client *client, const void *data, size_t size) noexcept nogil
