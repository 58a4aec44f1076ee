"""Drives what `howdah.wire` reads of descriptions and of the formats in a Bind from Python."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire cimport extended, replies
from howdah.wire.extended cimport MENTION_STATEMENT, Mention


def result_formats(bytes message):
    """Of a Bind; nothing where its names are not all there."""
    cdef Mention mention
    cdef const uint8_t *data = <const uint8_t *><const char *>message
    cdef uint32_t size = <uint32_t>len(message)
    if extended.bind_mention(data, size, &mention) != MENTION_STATEMENT:
        return None
    return extended.result_formats(data, size, mention.end)


def result_shape(bytes parameters, bytes result):
    """Of two messages' bodies: ParameterDescription, and RowDescription or NoData."""
    cdef uint32_t shape = replies.parameters_shape(<const uint8_t *><const char *>parameters, len(parameters))
    return replies.result_shape(shape, <const uint8_t *><const char *>result, len(result))
