"""Calls `howdah.wire.frame` from Python.

The input is copied to a block of exactly its size, so that AddressSanitizer sees a read one byte past its end (a bytes
object has a NUL there).
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.wire cimport frame
from howdah.wire.frame cimport FRAME_BAD_LENGTH, FRAME_NEED_HEADER, Frame

from howdah.wire.frame import FrameVerdict


def next_frame(bytes data):
    """(verdict, tag, size, here); the last three are None where the verdict does not give them."""
    cdef size_t size = len(data)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef Frame found
    memcpy(copy, <const char *>data, size)
    cdef frame.FrameVerdict verdict = frame.next_frame(copy, size, &found)
    free(copy)
    if verdict == FRAME_NEED_HEADER or verdict == FRAME_BAD_LENGTH:
        return FrameVerdict(verdict), None, None, None
    return FrameVerdict(verdict), found.tag, found.size, found.here


def skip_run(bytes data, int tag):
    """(bytes taken, messages)."""
    cdef size_t size = len(data)
    cdef uint8_t *copy = <uint8_t *>malloc(size)
    cdef size_t messages = 0
    memcpy(copy, <const char *>data, size)
    cdef size_t taken = frame.skip_run(copy, size, <uint8_t>tag, &messages)
    free(copy)
    return taken, messages
