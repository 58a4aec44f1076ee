"""Message boundaries.

Finds where a message starts and ends and nothing else; the relay decides what it means.  Called once per message by
`howdah.dataplane.relay` and `howdah.dataplane.handshake`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Reader, read_u8, read_u32, reader

cdef enum:
    HEADER = 5
    LARGEST = 0x7FFFFFFF  # PostgreSQL reads the length as a signed 32 bit number


cdef FrameVerdict next_frame(const uint8_t *data, size_t size, Frame *frame) noexcept nogil:
    """Look at the message that starts at `data`, of which `size` bytes (or more messages behind it) are there."""
    cdef Reader r
    cdef uint32_t length
    if size < HEADER:
        return FRAME_NEED_HEADER
    r = reader(data, size)
    frame.tag = read_u8(&r)
    length = read_u32(&r)
    if length < 4 or length > LARGEST:
        return FRAME_BAD_LENGTH
    frame.size = length + 1
    if size < frame.size:
        frame.here = <uint32_t>size
        return FRAME_PART
    frame.here = frame.size
    return FRAME_WHOLE


cdef size_t skip_run(const uint8_t *data, size_t size, uint8_t tag, size_t *messages) noexcept nogil:
    """Bytes taken by the whole messages of type `tag` at the start of `data`; adds their number to `messages`.

    This is what makes large results cheap: a run of DataRow or CopyData is one block to forward.
    """
    cdef size_t done = 0
    cdef Frame frame
    while size - done >= HEADER and data[done] == tag:
        if next_frame(data + done, size - done, &frame) != FRAME_WHOLE:
            break
        done += frame.size
        messages[0] += 1
    return done
