"""What the server still owes, in order."""

from libc.stdint cimport int16_t, uint8_t, uint32_t

from howdah.dataplane.buffers cimport Block, Slab
from howdah.dataplane.texts cimport Naming

cpdef enum:
    MOST_OWED = 32768  # answers; the relay stops reading long before
    KEPT_OWED = 64  # room for so many stays with a server that is idle

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
    EXPECT_BEHIND_DATA = 64  # flag: of a Sync that was sent behind CopyData
    EXPECT_SWALLOW = 128  # flag: howdah asked, the client must not see the answer

# What is taken for done when a message goes out, and must be taken back if the server skips it or fails.
cpdef enum Change:
    CHANGE_NONE
    CHANGE_PARSE  # the client has the name, the server the statement
    CHANGE_PREPARE  # the server has the statement
    CHANGE_CLOSE  # the client has the name no more
    CHANGE_UNNAMED  # the client's unnamed statement is another one, or none; before there was none
    CHANGE_UNNAMED_AGAIN  # ... before there was one, which the server had
    CHANGE_UNNAMED_KEPT  # ... before there was one, which only we had
    CHANGE_LENT  # the server has this client's unnamed statement, from us
    CHANGE_EVICT  # the server has one statement less, which made room for another
    CHANGE_DEALLOCATE  # neither client nor server has it any more; not before its CommandComplete
    CHANGE_LISTEN  # the server listens for the client, or does not any more: see `listening`

cpdef enum OweVerdict:
    OWE_NOTED
    OWE_SKIPPED  # the server will not answer this message, nor act on it
    OWE_NO_MEMORY

cpdef enum ReplyVerdict:
    REPLY_FORWARD = 0
    REPLY_SWALLOW = 1
    REPLY_UNEXPECTED = 2  # the server sent what nobody asked for

# One message sent that must be answered.  The hold on `naming` goes where the item goes, and so does `before`.
cdef struct Owed:
    uint8_t item  # an Expected, with flags
    uint8_t change
    int16_t shift  # characters by which a name of ours is longer than the client's: of positions in errors
    Naming *naming  # of the statement it is about, where that has a name of ours at the server; else NULL
    Block *before  # the Parse of the unnamed statement that there was before it, where it ends that and we have it

# Lives inside its server; touched by the worker that owns the server.
cdef struct ReplyQueue:
    Owed *items  # a ring; NULL: `inline_items`
    uint32_t capacity  # a power of two
    uint32_t head
    uint32_t count
    uint32_t voided  # items that the last error took with it, not yet fetched: they stand before `head`
    uint32_t fetched  # ... and those that were
    uint32_t changes  # items that change what has which name
    uint32_t late_changes  # ... of those, behind the last Sync or Query sent
    bint dropping  # something was sent that may drop prepared statements
    bint skipping  # the server skips what it gets until it has seen a Sync
    bint unsynced  # extended messages were sent and no Sync behind them
    bint copy_began  # a copy in is under way, whether or not the client has ended it
    uint32_t describing  # descriptions asked for by us
    bint cancelled  # a cancel request was sent: a copy may end before it has read what was sent into it
    bint data_sent  # the client has sent CopyData since nothing was owed
    uint32_t lost_syncs  # behind CopyData: ignored by a copy that goes well, maybe answered if it fails
    bint unsure  # ... which it did: nobody knows whether something is still to come
    bint copying_in  # the server takes CopyData and ignores Sync; the client has not ended it yet
    bint copying_both  # a stream of replication is under way
    Owed[8] inline_items

cdef void replies_init(ReplyQueue *queue) noexcept nogil
cdef void replies_shrink(ReplyQueue *queue) noexcept nogil
cdef void replies_free(ReplyQueue *queue, Slab *slab) noexcept nogil
cdef bint expect(ReplyQueue *queue, uint8_t item) noexcept nogil
cdef OweVerdict owe(ReplyQueue *queue, uint8_t item, uint8_t change, Naming *naming) noexcept nogil
cdef ReplyVerdict reply_came(ReplyQueue *queue, uint8_t tag, Owed *answered) noexcept nogil
cdef bint next_voided(ReplyQueue *queue, Owed *owed) noexcept nogil
cdef bint all_replied(const ReplyQueue *queue) noexcept nogil
cdef bint ends_with_ready(const ReplyQueue *queue) noexcept nogil
cdef bint is_streaming(const ReplyQueue *queue) noexcept nogil
cdef bint names_unsure(const ReplyQueue *queue) noexcept nogil
cdef uint8_t first_expected(const ReplyQueue *queue) noexcept nogil
cdef void change_undone(ReplyQueue *queue) noexcept nogil
cdef Owed *owed_at(const ReplyQueue *queue, uint32_t index) noexcept nogil
cdef bint work_to_do(const ReplyQueue *queue) noexcept nogil
cdef const Owed *first_owed(const ReplyQueue *queue) noexcept nogil
cdef void swallow_first(ReplyQueue *queue) noexcept nogil
