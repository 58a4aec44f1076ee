"""Names of statements in extended-protocol messages: the input is the start of a message, its type byte first."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, strlen

from howdah.wire.bytes cimport Writer, writer
from howdah.wire.extended cimport (
    MENTION_CUT,
    MENTION_STATEMENT,
    Mention,
    MentionVerdict,
    bind_mention,
    compose_renamed,
    parse_mention,
    result_formats,
    target_mention,
)
from howdah.wire.frame cimport FRAME_WHOLE, Frame, next_frame
from howdah.wire.replies cimport ErrorFields, compose_renamed_error, read_error

cdef extern from "claim.h" nogil:
    void claim(bint holds)

cdef enum:
    ROOM = 65536

cdef const char *OURS = b"howdah_1f"
cdef uint8_t[ROOM] room


cdef MentionVerdict mention_of(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil:
    if message[0] == c"P":
        return parse_mention(message, size, mention)
    if message[0] == c"B":
        return bind_mention(message, size, mention)
    return target_mention(message, size, mention)


cdef void claim_mention(const uint8_t *message, uint32_t size, const Mention *mention) noexcept nogil:
    """The name lies in the message and ends with its NUL."""
    claim(mention.start >= 5 and mention.end <= size and mention.start + mention.size + 1 == mention.end)
    claim(mention.name == <const char *>message + mention.start)
    claim(strlen(mention.name) == mention.size)


cdef void claim_renamed(const uint8_t *message, uint32_t size, const Mention *mention) noexcept nogil:
    """Under another name it has the right length, that name, and all else as it was."""
    cdef Writer head = writer(room, sizeof(room))
    cdef Mention again
    cdef Frame frame
    cdef uint32_t shift = <uint32_t>strlen(OURS)
    compose_renamed(&head, message, size, mention, OURS, shift)
    if not head.ok:
        return
    claim(head.used == mention.end - mention.size + shift)
    claim(memcmp(room + 5, message + 5, mention.start - 5) == 0)
    next_frame(room, head.used, &frame)
    claim(frame.size == size - mention.size + shift)
    claim(mention_of(room, <uint32_t>head.used, &again) == MENTION_STATEMENT)
    claim(again.size == shift and memcmp(again.name, OURS, shift) == 0 and again.start == mention.start)


cdef void claim_error(const uint8_t *message, uint32_t size) noexcept nogil:
    """An error that can be read can be read under another name, and says the same but for its message."""
    cdef ErrorFields error
    cdef ErrorFields said
    cdef Writer renamed = writer(room, sizeof(room))
    cdef Frame frame
    if not read_error(message + 5, size - 5, &error):
        return
    compose_renamed_error(&renamed, message + 5, size - 5, "howdah_1f", "a name of the client's", 3)
    if not renamed.ok:
        return
    claim(next_frame(room, renamed.used, &frame) == FRAME_WHOLE and frame.size == renamed.used)
    claim(read_error(room + 5, renamed.used - 5, &said))
    claim(strlen(said.sqlstate) == strlen(error.sqlstate) and strlen(said.severity) == strlen(error.severity))


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef Frame frame
    cdef Mention mention
    cdef Mention part
    cdef MentionVerdict verdict
    if next_frame(data, size, &frame) != FRAME_WHOLE:
        return 0
    if data[0] == c"E":
        claim_error(data, frame.size)
        return 0
    verdict = mention_of(data, frame.size, &mention)
    if verdict == MENTION_STATEMENT:
        claim_mention(data, frame.size, &mention)
        claim_renamed(data, frame.size, &mention)
        if data[0] == c"B":
            claim(result_formats(data, frame.size, mention.end) <= 65535)
    for cut in range(5, frame.size):  # what a part of it says, the whole says
        if mention_of(data, cut, &part) != MENTION_CUT:
            claim(mention_of(data, cut, &part) == verdict)
            claim(verdict != MENTION_STATEMENT or (part.start == mention.start and part.end == mention.end))
            break
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
