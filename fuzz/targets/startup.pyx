"""Startup packets: every string the verdict hands out must lie inside the packet and end there."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen

from howdah.wire.startup cimport (
    STARTUP_BAD_VERSION, STARTUP_CANCEL, STARTUP_MESSAGE, STARTUP_NEED_MORE, STARTUP_NO_USER, Startup, StartupVerdict,
    next_parameter, read_startup,
)


cdef extern from "claim.h" nogil:
    void claim(bint holds)

cdef enum:
    SMALLEST = 8


cdef void claim_inside(const char *text, const uint8_t *data, uint32_t size) noexcept nogil:
    if text == NULL:
        return
    claim(text >= <const char *>data)
    claim(text + strlen(text) < <const char *>data + size)


cdef void claim_message(Startup *startup, const uint8_t *data) noexcept nogil:
    cdef const char *at = startup.parameters
    cdef const char *end = at + startup.parameters_size
    cdef const char *name
    cdef const char *value
    cdef uint32_t options = 0
    claim(startup.user[0] != 0)
    claim(startup.database[0] != 0)
    claim_inside(startup.user, data, startup.size)
    claim_inside(startup.database, data, startup.size)
    claim_inside(startup.replication, data, startup.size)
    while next_parameter(&at, end, &name, &value):
        claim_inside(name, data, startup.size)
        claim_inside(value, data, startup.size)
        claim(name[0] != 0)
        options += name[0] == c"_" and name[1] == c"p" and name[2] == c"q" and name[3] == c"_" and name[4] == c"."
    claim(at == end)
    claim(end == <const char *>data + startup.size - 1)
    claim(options == startup.unknown_options)


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef Startup startup
    cdef Startup again
    cdef StartupVerdict verdict = read_startup(data, size, &startup)
    if verdict == STARTUP_NEED_MORE:
        return 0
    if verdict == STARTUP_MESSAGE:
        claim(startup.size <= size)
        claim_message(&startup, data)
    elif verdict == STARTUP_CANCEL:
        claim(startup.secret_size >= 1 and startup.secret + startup.secret_size == data + startup.size)
    elif verdict == STARTUP_NO_USER or verdict == STARTUP_BAD_VERSION:
        claim(startup.size <= size)
    # What follows the packet must not change what it means.
    if size > 4 and SMALLEST <= startup_size(data) <= size:
        claim(read_startup(data, startup_size(data), &again) == verdict)
    return 0


cdef size_t startup_size(const uint8_t *data) noexcept nogil:
    return (<size_t>data[0] << 24) | (<size_t>data[1] << 16) | (<size_t>data[2] << 8) | data[3]


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
