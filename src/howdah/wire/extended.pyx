"""What howdah reads of extended-protocol messages: the name of the statement that a Parse, Bind, Describe or Close is
about, how such a message begins under another name, and the formats that a Bind asks for.

Takes bytes, of which the end may be missing, and gives a verdict.  Called by `preparing`.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.wire.bytes cimport (
    Reader,
    Writer,
    read_bytes,
    read_string,
    read_u8,
    read_u16,
    read_u32,
    reader,
    write_bytes,
    write_u8,
    write_u32,
)

cdef enum:
    HEADER = 5


cdef MentionVerdict name_here(Reader *r, const uint8_t *message, Mention *mention) noexcept nogil:
    cdef size_t length = 0
    mention.name = read_string(r, &length)
    if not r.ok:
        return MENTION_CUT
    mention.size = <uint32_t>length
    mention.end = <uint32_t>(r.at - message)
    mention.start = mention.end - mention.size - 1
    return MENTION_STATEMENT


cdef MentionVerdict parse_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil:
    """Of a Parse: the name is the first thing in it.  `size` bytes of the message are at hand, its header included."""
    cdef Reader r = reader(message, size)
    read_bytes(&r, HEADER)
    return name_here(&r, message, mention)


cdef MentionVerdict bind_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil:
    """Of a Bind: behind the portal's name."""
    cdef Reader r = reader(message, size)
    cdef size_t length = 0
    read_bytes(&r, HEADER)
    read_string(&r, &length)
    return name_here(&r, message, mention)


cdef MentionVerdict target_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil:
    """Of a Describe or Close: behind a byte that says whether it is a statement's or a portal's."""
    cdef Reader r = reader(message, size)
    cdef uint8_t kind
    read_bytes(&r, HEADER)
    kind = read_u8(&r)
    if not r.ok:
        return MENTION_CUT
    if kind == c"P":
        return MENTION_PORTAL
    return name_here(&r, message, mention) if kind == c"S" else MENTION_UNKNOWN


cdef uint32_t result_formats(const uint8_t *message, uint32_t size, uint32_t behind_names) noexcept nogil:
    """How many formats for the result's columns a whole Bind gives: none and one fit every result.  0 where PostgreSQL
    will find fault with the message."""
    cdef Reader r = reader(message, size)
    cdef uint32_t values
    cdef int32_t length
    read_bytes(&r, behind_names)
    read_bytes(&r, <size_t>2 * read_u16(&r))
    values = read_u16(&r)
    while values and r.ok:
        values -= 1
        length = <int32_t>read_u32(&r)
        read_bytes(&r, <size_t>max(length, 0))  # -1: NULL
    values = read_u16(&r)
    return values if r.ok else 0


cdef void compose_spliced(Writer *w, const uint8_t *message, uint32_t size, uint32_t start, uint32_t end,
                          const char *word, uint32_t word_size) noexcept nogil:
    """How a message of `size` bytes begins when `word` stands in it from `start` to `end`: what stands behind that is
    to follow."""
    write_u8(w, message[0])
    write_u32(w, size - 1 - (end - start) + word_size)
    write_bytes(w, message + HEADER, start - HEADER)
    write_bytes(w, word, word_size)


cdef void compose_renamed(Writer *w, const uint8_t *message, uint32_t size, const Mention *mention, const char *name,
                          uint32_t name_size) noexcept nogil:
    """How a message of `size` bytes begins when its statement is called `name`, which has a NUL: what stands behind
    `mention.end` in it is to follow."""
    compose_spliced(w, message, size, mention.start, mention.end, name, name_size + 1)
