"""Message boundaries: the first byte is the tag `skip_run` looks for, the rest is the stream."""

from libc.stdint cimport uint8_t

from howdah.wire.frame cimport (
    FRAME_BAD_LENGTH, FRAME_NEED_HEADER, FRAME_PART, FRAME_WHOLE, Frame, FrameVerdict, next_frame, skip_run,
)


cdef extern from "claim.h" nogil:
    void claim(bint holds)


cdef void claim_frame(FrameVerdict verdict, const Frame *frame, size_t size) noexcept nogil:
    if verdict == FRAME_NEED_HEADER:
        claim(size < 5)
    elif verdict == FRAME_WHOLE:
        claim(frame.size >= 5 and frame.size <= size and frame.here == frame.size)
    elif verdict == FRAME_PART:
        claim(frame.size > size and frame.here == size)
    else:
        claim(verdict == FRAME_BAD_LENGTH)


cdef size_t run_length(const uint8_t *data, size_t size, uint8_t tag, size_t *messages) noexcept nogil:
    """What `skip_run` must give, message by message."""
    cdef Frame frame
    cdef size_t done = 0
    while next_frame(data + done, size - done, &frame) == FRAME_WHOLE and frame.tag == tag:
        done += frame.size
        messages[0] += 1
    return done


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef Frame frame
    cdef FrameVerdict verdict
    cdef size_t at = 1
    cdef size_t expected = 0
    cdef size_t messages = 0
    if size == 0:
        return 0
    claim(skip_run(data + 1, size - 1, data[0], &messages) == run_length(data + 1, size - 1, data[0], &expected))
    claim(messages == expected)
    while True:
        verdict = next_frame(data + at, size - at, &frame)
        claim_frame(verdict, &frame, size - at)
        if verdict != FRAME_WHOLE:
            return 0
        at += frame.size


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
