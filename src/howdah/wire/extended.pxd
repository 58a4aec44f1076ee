"""What howdah reads of extended-protocol messages: which statement each is about."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Writer

cpdef enum MentionVerdict:
    MENTION_STATEMENT  # `name` and the rest are valid
    MENTION_PORTAL  # it is about a portal
    MENTION_CUT  # the bytes at hand end too early
    MENTION_UNKNOWN  # about neither: for PostgreSQL to complain about

# Where a message names a statement.  Valid as long as the message's bytes are.
cdef struct Mention:
    const char *name
    uint32_t size  # of the name, without its NUL
    uint32_t start  # from the start of the message to the name
    uint32_t end  # ... to the byte behind its NUL

cdef MentionVerdict parse_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil
cdef MentionVerdict bind_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil
cdef MentionVerdict target_mention(const uint8_t *message, uint32_t size, Mention *mention) noexcept nogil
cdef uint32_t result_formats(const uint8_t *message, uint32_t size, uint32_t behind_names) noexcept nogil
cdef void compose_spliced(Writer *w, const uint8_t *message, uint32_t size, uint32_t start, uint32_t end,
                          const char *word, uint32_t word_size) noexcept nogil
cdef void compose_renamed(Writer *w, const uint8_t *message, uint32_t size, const Mention *mention, const char *name,
                          uint32_t name_size) noexcept nogil
