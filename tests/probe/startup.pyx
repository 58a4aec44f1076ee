"""Calls `howdah.wire.startup` from Python; see `howdah_probe.frame` on why the input is copied."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.wire cimport startup
from howdah.wire.startup cimport STARTUP_CANCEL, STARTUP_MESSAGE, Startup

from howdah.wire.startup import Replication, StartupVerdict


cdef object text(const char *value):
    return None if value == NULL else <bytes>value


cdef dict message_fields(Startup *found):
    cdef const char *at = found.parameters
    cdef const char *end = at + found.parameters_size
    cdef const char *name
    cdef const char *value
    parameters = []
    while startup.next_parameter(&at, end, &name, &value):
        parameters.append((<bytes>name, <bytes>value))
    return {
        "size": found.size,
        "code": found.code,
        "parameters": parameters,
        "user": text(found.user),
        "database": text(found.database),
        "replication": text(found.replication),
        "unknown_options": found.unknown_options,
    }


cdef dict cancel_fields(Startup *found):
    return {"pid": found.pid, "secret": (<const char *>found.secret)[:found.secret_size]}


def replication_wanted(value):
    """The name of what `replication` asks for, NULL being None."""
    cdef bytes text
    if value is None:
        return Replication(startup.replication_wanted(NULL)).name
    text = value
    return Replication(startup.replication_wanted(text)).name


def read_startup(bytes data):
    """(verdict, what the verdict gives, as a dictionary)."""
    cdef size_t size = len(data)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef Startup found
    memcpy(copy, <const char *>data, size)
    cdef startup.StartupVerdict verdict = startup.read_startup(copy, size, &found)
    fields = {}
    if verdict == STARTUP_MESSAGE:
        fields = message_fields(&found)
    elif verdict == STARTUP_CANCEL:
        fields = cancel_fields(&found)
    free(copy)
    return StartupVerdict(verdict), fields
