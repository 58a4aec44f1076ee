"""What the server still owes, in order: one byte for each message sent to it that must be answered.

This is how the relay knows when a transaction is really over (nothing is owed and ReadyForQuery says idle), which
answers belong to questions the client never asked, and what an error takes with it.  Holds no socket and calls no
one.  Called by `relay` and `recycle`.

The rules are those of PostgreSQL's main loop (src/backend/tcop/postgres.c):

- after an error in the extended protocol the server skips everything up to the next Sync;
- while it takes CopyData it ignores Sync (src/backend/commands/copyfromparse.c), so a Sync sent before the CopyDone
  is never answered;
- CopyData, CopyDone and CopyFail outside of a copy are ignored;
- a stream of replication (CopyBoth) goes in both directions: it is over with CommandComplete, which comes when both
  sides have sent CopyDone, or with an error, behind which the rest of the client's half is ignored as above.  Anything
  else that a client sends into it ends the session (src/backend/replication/walsender.c).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from howdah.wire cimport tags

cdef enum:
    LARGEST = 1 << 20


cdef void replies_init(ReplyQueue *queue) noexcept nogil:
    queue.items = NULL
    queue.capacity = sizeof(queue.inline_items)
    queue.head = queue.count = 0
    queue.skipping = queue.unsynced = queue.copy_began = queue.copying_in = queue.copying_both = False


cdef void replies_free(ReplyQueue *queue) noexcept nogil:
    free(queue.items)
    replies_init(queue)


cdef uint8_t *ring(const ReplyQueue *queue) noexcept nogil:
    return <uint8_t *>queue.inline_items if queue.items == NULL else queue.items


cdef uint8_t item_at(const ReplyQueue *queue, uint32_t index) noexcept nogil:
    return ring(queue)[(queue.head + index) & (queue.capacity - 1)]


cdef void drop_first(ReplyQueue *queue) noexcept nogil:
    queue.head = (queue.head + 1) & (queue.capacity - 1)
    queue.count -= 1


cdef void drop_at(ReplyQueue *queue, uint32_t index) noexcept nogil:
    """Take one item out of the middle (copies that are pipelined only)."""
    cdef uint8_t *items = ring(queue)
    cdef uint32_t mask = queue.capacity - 1
    cdef uint32_t i
    for i in range(index, queue.count - 1):
        items[(queue.head + i) & mask] = items[(queue.head + i + 1) & mask]
    queue.count -= 1


cdef bint grow(ReplyQueue *queue) noexcept nogil:
    cdef uint8_t *items
    cdef uint32_t i
    if queue.capacity >= LARGEST:
        return False
    items = <uint8_t *>malloc(queue.capacity * 2)
    if items == NULL:
        return False
    for i in range(queue.count):
        items[i] = item_at(queue, i)
    free(queue.items)
    queue.items = items
    queue.head = 0
    queue.capacity *= 2
    return True


cdef bint expect(ReplyQueue *queue, uint8_t item) noexcept nogil:
    """A message that asks for `item` goes to the server.  False: too many at once, or memory is out."""
    cdef uint8_t kind = item & EXPECT_KIND
    if queue.skipping:
        if kind != EXPECT_SYNC:
            return True  # the server will skip it too
        queue.skipping = False
    if queue.copying_in:
        if kind == EXPECT_SYNC:
            return True  # the server will ignore it
        if kind == EXPECT_COPY_END:
            queue.copying_in = False
    elif kind == EXPECT_COPY_END and queue.count == 0:
        return True  # nothing is owed, so no copy can be starting: the server will ignore it
    if kind < EXPECT_COPY_END:
        queue.unsynced = kind < EXPECT_SYNC
    if queue.count == queue.capacity and not grow(queue):
        return False
    ring(queue)[(queue.head + queue.count) & (queue.capacity - 1)] = item
    queue.count += 1
    return True


cdef bint all_replied(const ReplyQueue *queue) noexcept nogil:
    return queue.count == 0 and not queue.skipping


cdef bint ends_with_ready(const ReplyQueue *queue) noexcept nogil:
    """Will ReadyForQuery be the last thing to come?  (Otherwise a Sync is wanted to get there.)"""
    return not (queue.skipping or queue.copying_in or queue.unsynced)


cdef bint is_streaming(const ReplyQueue *queue) noexcept nogil:
    """Is it replication that goes on until somebody ends it, rather than work that will be done?"""
    return queue.copying_both


cdef uint8_t first_expected(const ReplyQueue *queue) noexcept nogil:
    """The item whose answer comes next, 0 when nothing is owed."""
    return item_at(queue, 0) if queue.count else 0


cdef void copy_in_began(ReplyQueue *queue) noexcept nogil:
    """The server takes CopyData now: Syncs that stand before the client's CopyDone are lost to it."""
    cdef uint8_t *items = ring(queue)
    cdef uint32_t mask = queue.capacity - 1
    cdef uint32_t kept = 0
    cdef uint32_t index
    cdef uint8_t kind
    queue.copy_began = queue.copying_in = True
    for index in range(queue.count):
        kind = item_at(queue, index) & EXPECT_KIND
        if kind == EXPECT_COPY_END:
            queue.copying_in = False
        elif kind == EXPECT_SYNC and index and queue.copying_in:
            continue
        else:
            queue.unsynced = kind < EXPECT_SYNC
        items[(queue.head + kept) & mask] = item_at(queue, index)
        kept += 1
    queue.count = kept


cdef void command_ended(ReplyQueue *queue) noexcept nogil:
    """CommandComplete or its like: an Execute is answered, a Query goes on; either way its copy is over."""
    cdef uint8_t kind = item_at(queue, 0) & EXPECT_KIND
    if kind == EXPECT_EXECUTE:
        drop_first(queue)
        if queue.count and item_at(queue, 0) == EXPECT_COPY_END:
            drop_first(queue)
    elif queue.copy_began and queue.count > 1 and item_at(queue, 1) == EXPECT_COPY_END:
        drop_at(queue, 1)
    queue.copy_began = queue.copying_in = queue.copying_both = False


cdef void failed(ReplyQueue *queue) noexcept nogil:
    """ErrorResponse: a Query or Sync still gets its ReadyForQuery; extended messages take all up to Sync with them."""
    cdef uint8_t kind = item_at(queue, 0) & EXPECT_KIND
    queue.copy_began = queue.copying_in = queue.copying_both = False
    if EXPECT_SYNC <= kind <= EXPECT_FUNCTION:
        return
    while queue.count:
        if item_at(queue, 0) & EXPECT_KIND == EXPECT_SYNC:
            return
        drop_first(queue)
    queue.skipping = True


cdef void ready(ReplyQueue *queue) noexcept nogil:
    """ReadyForQuery answers the Sync, Query or FunctionCall at hand; ends of copies that never began go with it.

    Where the server answers an error with ReadyForQuery although extended messages were sent behind it, those are
    still owed, so only the one item goes.
    """
    drop_first(queue)
    while queue.count and item_at(queue, 0) == EXPECT_COPY_END:
        drop_first(queue)


cdef ReplyVerdict reply_came(ReplyQueue *queue, uint8_t tag) noexcept nogil:
    """A message of type `tag` came from the server: whose is it?  (Asynchronous messages are not for this.)"""
    cdef uint8_t item
    cdef uint8_t kind
    cdef ReplyVerdict verdict
    while queue.count and item_at(queue, 0) == EXPECT_COPY_END:
        drop_first(queue)  # the end of a copy that never began
    if queue.count == 0:
        # An error or the end of the session may come unasked; so may the rest of a copy out that failed.
        return REPLY_FORWARD if tag == tags.ERROR_RESPONSE else REPLY_UNEXPECTED
    item = item_at(queue, 0)
    kind = item & EXPECT_KIND
    verdict = REPLY_SWALLOW if item & EXPECT_SWALLOW else REPLY_FORWARD
    if tag == tags.ERROR_RESPONSE:
        failed(queue)
    elif tag == tags.READY_FOR_QUERY:
        if not EXPECT_SYNC <= kind <= EXPECT_FUNCTION:
            return REPLY_UNEXPECTED
        ready(queue)
    elif tag == tags.COPY_IN_RESPONSE or tag == tags.COPY_BOTH_RESPONSE:
        copy_in_began(queue)
        queue.copying_both = tag == tags.COPY_BOTH_RESPONSE
    elif tag == tags.COMMAND_COMPLETE or tag == tags.EMPTY_QUERY_RESPONSE or tag == tags.PORTAL_SUSPENDED:
        command_ended(queue)
    elif kind == EXPECT_PARSE:
        if tag != tags.PARSE_COMPLETE:
            return REPLY_UNEXPECTED
        drop_first(queue)
    elif kind == EXPECT_BIND:
        if tag != tags.BIND_COMPLETE:
            return REPLY_UNEXPECTED
        drop_first(queue)
    elif kind == EXPECT_CLOSE:
        if tag != tags.CLOSE_COMPLETE:
            return REPLY_UNEXPECTED
        drop_first(queue)
    elif kind == EXPECT_DESCRIBE:
        if tag == tags.ROW_DESCRIPTION or tag == tags.NO_DATA:
            drop_first(queue)
        elif tag != tags.PARAMETER_DESCRIPTION:
            return REPLY_UNEXPECTED
    return verdict
