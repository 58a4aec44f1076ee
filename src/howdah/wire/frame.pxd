"""Message boundaries: one type byte, a length that counts itself, a body."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum FrameVerdict:
    FRAME_WHOLE = 0  # the message is all there
    FRAME_PART = 1  # its header is there, its body is not (all)
    FRAME_NEED_HEADER = 2  # fewer than the five bytes of a header
    FRAME_BAD_LENGTH = 3  # the length is below the four bytes it takes itself

cdef struct Frame:
    uint8_t tag
    uint32_t size  # of the whole message, type byte included
    uint32_t here  # how many bytes of it are at hand

cdef FrameVerdict next_frame(const uint8_t *data, size_t size, Frame *frame) noexcept nogil
cdef size_t skip_run(const uint8_t *data, size_t size, uint8_t tag, size_t *messages) noexcept nogil
