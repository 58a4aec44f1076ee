"""Calls `howdah.wire.base64` from Python; see `howdah_probe.frame` on why the input is copied."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.wire cimport base64


def encode(bytes data, size_t room):
    """Text, or None: no room."""
    cdef size_t size = len(data)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef char *to = <char *>malloc(room)
    memcpy(copy, <const char *>data, size)
    cdef ssize_t written = base64.base64_encode(copy, size, to, room)
    text = None if written < 0 else to[:written]
    free(copy)
    free(to)
    return text


def decode(bytes text, size_t room):
    """Bytes, or None: malformed or no room."""
    cdef size_t size = len(text)
    cdef char *copy = <char *>malloc(size)
    cdef uint8_t *to = <uint8_t *>malloc(room)
    memcpy(copy, <const char *>text, size)
    cdef ssize_t written = base64.base64_decode(copy, size, to, room)
    data = None if written < 0 else (<char *>to)[:written]
    free(copy)
    free(to)
    return data
