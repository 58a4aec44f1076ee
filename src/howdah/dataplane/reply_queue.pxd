"""What the server still owes, in order."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum Expected:
    EXPECT_PARSE = 1
    EXPECT_BIND = 2
    EXPECT_DESCRIBE = 3
    EXPECT_EXECUTE = 4
    EXPECT_CLOSE = 5
    EXPECT_SYNC = 6  # from here on: answered by ReadyForQuery
    EXPECT_QUERY = 7
    EXPECT_FUNCTION = 8
    EXPECT_COPY_END = 16  # not a reply: where the client's CopyDone or CopyFail stands among the messages sent
    EXPECT_KIND = 31
    EXPECT_SWALLOW = 128  # flag: howdah asked, the client must not see the answer

cpdef enum ReplyVerdict:
    REPLY_FORWARD = 0
    REPLY_SWALLOW = 1
    REPLY_UNEXPECTED = 2  # the server sent what nobody asked for

# Lives inside its server; touched by the worker that owns the server.
cdef struct ReplyQueue:
    uint8_t *items  # a ring; NULL: `inline_items`
    uint32_t capacity  # a power of two
    uint32_t head
    uint32_t count
    bint skipping  # the server skips what it gets until it has seen a Sync
    bint unsynced  # extended messages were sent and no Sync behind them
    bint copy_began  # a copy in is under way, whether or not the client has ended it
    bint copying_in  # the server takes CopyData and ignores Sync; the client has not ended it yet
    bint copying_both  # a stream of replication is under way
    uint8_t[32] inline_items

cdef void replies_init(ReplyQueue *queue) noexcept nogil
cdef void replies_free(ReplyQueue *queue) noexcept nogil
cdef bint expect(ReplyQueue *queue, uint8_t item) noexcept nogil
cdef ReplyVerdict reply_came(ReplyQueue *queue, uint8_t tag) noexcept nogil
cdef bint all_replied(const ReplyQueue *queue) noexcept nogil
cdef bint ends_with_ready(const ReplyQueue *queue) noexcept nogil
cdef bint is_streaming(const ReplyQueue *queue) noexcept nogil
cdef uint8_t first_expected(const ReplyQueue *queue) noexcept nogil
