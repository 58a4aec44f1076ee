"""What the server still owes, in order: one item for each message sent to it that must be answered.

This is how the relay knows when a transaction is really over (nothing is owed and ReadyForQuery says idle), which
answers belong to questions the client never asked, and what an error takes with it.  Holds no socket and calls no
one.  Called by the modules of the relay and by `recycle`.

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

from howdah.dataplane.buffers cimport Slab, block_drop
from howdah.dataplane.texts cimport Naming, naming_drop
from howdah.wire cimport tags


cdef enum:
    OWN_DESCRIBE = EXPECT_DESCRIBE | EXPECT_SWALLOW


cdef void replies_init(ReplyQueue *queue) noexcept nogil:
    queue.items = NULL
    queue.capacity = sizeof(queue.inline_items) // sizeof(Owed)
    queue.head = queue.count = queue.voided = queue.fetched = queue.changes = queue.late_changes = 0
    queue.skipping = queue.unsynced = queue.copy_began = queue.copying_in = queue.dropping = False
    queue.copying_both = queue.data_sent = queue.cancelled = queue.unsure = False
    queue.lost_syncs = queue.describing = 0


cdef void replies_free(ReplyQueue *queue, Slab *slab) noexcept nogil:
    for i in range(queue.count):
        naming_drop(item_at(queue, i).naming)
        block_drop(slab, &item_at(queue, i).before)
    free(queue.items)
    replies_init(queue)


cdef void replies_shrink(ReplyQueue *queue) noexcept nogil:
    """Nothing is owed, and the server goes to another: a long pipeline's room does not stay."""
    if queue.capacity > KEPT_OWED and queue.count == 0:
        free(queue.items)
        queue.items = NULL
        queue.capacity = sizeof(queue.inline_items) // sizeof(Owed)
        queue.head = 0


cdef Owed *ring(const ReplyQueue *queue) noexcept nogil:
    return <Owed *>queue.inline_items if queue.items == NULL else queue.items


cdef Owed *item_at(const ReplyQueue *queue, uint32_t index) noexcept nogil:
    return &ring(queue)[(queue.head + index) & (queue.capacity - 1)]


cdef uint8_t kind_at(const ReplyQueue *queue, uint32_t index) noexcept nogil:
    return item_at(queue, index).item & EXPECT_KIND


cdef bint renames(uint8_t change) noexcept nogil:
    return CHANGE_PARSE <= change <= CHANGE_CLOSE


cdef void drop_first(ReplyQueue *queue) noexcept nogil:
    """Whose hold has gone elsewhere."""
    if renames(item_at(queue, 0).change):
        queue.changes -= 1
        queue.late_changes = min(queue.late_changes, queue.changes)
    queue.describing -= item_at(queue, 0).item == OWN_DESCRIBE
    queue.head = (queue.head + 1) & (queue.capacity - 1)
    queue.count -= 1
    if queue.count == 0:
        queue.dropping = queue.data_sent = queue.cancelled = False


cdef void drop_at(ReplyQueue *queue, uint32_t index) noexcept nogil:
    """Take one item out of the middle (copies that are pipelined only)."""
    cdef uint32_t i
    for i in range(index, queue.count - 1):
        item_at(queue, i)[0] = item_at(queue, i + 1)[0]
    queue.count -= 1


cdef bint grow(ReplyQueue *queue) noexcept nogil:
    cdef Owed *items
    cdef uint32_t i
    if queue.capacity >= MOST_OWED:
        return False
    items = <Owed *>malloc(queue.capacity * 2 * sizeof(Owed))
    if items == NULL:
        return False
    for i in range(queue.count):
        items[i] = item_at(queue, i)[0]
    free(queue.items)
    queue.items = items
    queue.head = 0
    queue.capacity *= 2
    return True


cdef bint expect(ReplyQueue *queue, uint8_t item) noexcept nogil:
    """A message that asks for `item`, and changes nothing, goes to the server.  False: too many at once, or memory is
    out."""
    return owe(queue, item, CHANGE_NONE, NULL) != OWE_NO_MEMORY


cdef OweVerdict owe(ReplyQueue *queue, uint8_t item, uint8_t change, Naming *naming) noexcept nogil:
    """The same for one that may change something.  The hold on `naming` is the queue's if, and only if, it is noted."""
    cdef uint8_t kind = item & EXPECT_KIND
    cdef Owed *owed
    if kind == EXPECT_SYNC and queue.data_sent:
        item |= EXPECT_BEHIND_DATA
    if queue.skipping:
        if kind != EXPECT_SYNC:
            return OWE_SKIPPED
        queue.skipping = False
    if queue.copying_in:
        if kind == EXPECT_SYNC:
            queue.lost_syncs += queue.data_sent
            return OWE_SKIPPED
        if kind == EXPECT_COPY_END:
            queue.copying_in = False
    elif kind == EXPECT_COPY_END and queue.count == 0:
        return OWE_SKIPPED  # nothing is owed, so no copy can be starting: the server will ignore it
    if queue.count == queue.capacity and not grow(queue):
        return OWE_NO_MEMORY
    if kind < EXPECT_COPY_END:
        queue.unsynced = kind < EXPECT_SYNC
        if not queue.unsynced:
            queue.late_changes = 0
    queue.count += 1
    owed = item_at(queue, queue.count - 1)
    owed.item = item
    queue.describing += item == OWN_DESCRIBE
    owed.change = change
    owed.naming = naming
    owed.before = NULL
    owed.shift = 0
    if renames(change):
        queue.changes += 1
        queue.late_changes += 1
    return OWE_NOTED


cdef bint all_replied(const ReplyQueue *queue) noexcept nogil:
    return queue.count == 0 and not queue.skipping


cdef bint ends_with_ready(const ReplyQueue *queue) noexcept nogil:
    """Will ReadyForQuery be the last thing to come?  (Otherwise a Sync is wanted to get there.)"""
    return not (queue.skipping or queue.copying_in or queue.unsynced)


cdef bint is_streaming(const ReplyQueue *queue) noexcept nogil:
    """Is it replication that goes on until somebody ends it, rather than work that will be done?"""
    return queue.copying_both


cdef bint names_unsure(const ReplyQueue *queue) noexcept nogil:
    """May an error in what was sent earlier still change what has which name?  (What stands in the same run up to a
    Sync as such a message is skipped with it, so there it may be taken for done.)"""
    return queue.changes > queue.late_changes or queue.dropping


cdef void change_undone(ReplyQueue *queue) noexcept nogil:
    """What the first item was to change has failed, although the item itself is still owed."""
    if renames(item_at(queue, 0).change):
        queue.changes -= 1
        queue.late_changes = min(queue.late_changes, queue.changes)
    item_at(queue, 0).change = CHANGE_NONE


cdef Owed *owed_at(const ReplyQueue *queue, uint32_t index) noexcept nogil:
    return item_at(queue, index)


cdef bint work_to_do(const ReplyQueue *queue) noexcept nogil:
    """Would the server end what it was asked for without a further word of the client's?  Then a ReadyForQuery is to
    come.  (A stream and the client's half of a copy have no such end.)"""
    if queue.copying_in or queue.copying_both:
        return False
    for i in range(queue.count):
        if EXPECT_SYNC <= kind_at(queue, i) <= EXPECT_FUNCTION:
            return True
    return False


cdef const Owed *first_owed(const ReplyQueue *queue) noexcept nogil:
    """The item whose answer comes next; NULL when nothing is owed."""
    return item_at(queue, 0) if queue.count else NULL


cdef uint8_t first_expected(const ReplyQueue *queue) noexcept nogil:
    """The same without the rest of it; 0 when nothing is owed."""
    return item_at(queue, 0).item if queue.count else 0


cdef void swallow_first(ReplyQueue *queue) noexcept nogil:
    """The client must not see this answer after all."""
    item_at(queue, 0).item |= EXPECT_SWALLOW


cdef void copy_in_began(ReplyQueue *queue) noexcept nogil:
    """The server takes CopyData now: Syncs that stand before the client's CopyDone are lost to it."""
    cdef uint32_t kept = 0
    cdef uint32_t index
    cdef uint8_t kind
    queue.copy_began = queue.copying_in = True
    for index in range(queue.count):
        kind = kind_at(queue, index)
        if kind == EXPECT_COPY_END:
            queue.copying_in = False
        elif kind == EXPECT_SYNC and index and queue.copying_in:
            queue.lost_syncs += queue.cancelled or item_at(queue, index).item & EXPECT_BEHIND_DATA != 0
            continue
        else:
            queue.unsynced = kind < EXPECT_SYNC
        item_at(queue, kept)[0] = item_at(queue, index)[0]
        kept += 1
    queue.count = kept


cdef void command_ended(ReplyQueue *queue) noexcept nogil:
    """CommandComplete or its like: an Execute is answered, a Query goes on; either way its copy is over."""
    cdef uint8_t kind = kind_at(queue, 0)
    if kind == EXPECT_EXECUTE:
        drop_first(queue)
        if queue.count and item_at(queue, 0).item == EXPECT_COPY_END:
            drop_first(queue)
    elif queue.copy_began and queue.count > 1 and item_at(queue, 1).item == EXPECT_COPY_END:
        drop_at(queue, 1)
    queue.copy_began = queue.copying_in = queue.copying_both = False
    queue.lost_syncs = 0


cdef void failed(ReplyQueue *queue) noexcept nogil:
    """ErrorResponse: a Query or Sync still gets its ReadyForQuery; extended messages take all up to Sync with them."""
    queue.unsure = queue.unsure or queue.lost_syncs > 0
    queue.copy_began = queue.copying_in = queue.copying_both = False
    queue.fetched = queue.voided = 0
    if EXPECT_SYNC <= kind_at(queue, 0) <= EXPECT_FUNCTION:
        return
    while queue.count:
        if kind_at(queue, 0) == EXPECT_SYNC:
            return
        drop_first(queue)
        queue.voided += 1
    queue.skipping = True


cdef bint next_voided(ReplyQueue *queue, Owed *owed) noexcept nogil:
    """Fetch an item that the last error took with it, the newest first; before anything else goes out."""
    if queue.voided == 0:
        return False
    # They stand before the head in the ring, and nothing was written since.
    owed[0] = ring(queue)[(queue.head - queue.fetched - 1) & (queue.capacity - 1)]
    queue.fetched += 1
    queue.voided -= 1
    return True


cdef void ready(ReplyQueue *queue) noexcept nogil:
    """ReadyForQuery answers the Sync, Query or FunctionCall at hand.

    Where the server answers an error with ReadyForQuery although extended messages were sent behind it, those are
    still owed, so only the one item goes.
    """
    drop_first(queue)


cdef void drop_ends(ReplyQueue *queue) noexcept nogil:
    """Ends of copies that never began stand first: the server has nothing to say about them."""
    while queue.count and item_at(queue, 0).item == EXPECT_COPY_END:
        drop_first(queue)


cdef ReplyVerdict reply_came(ReplyQueue *queue, uint8_t tag, Owed *answered) noexcept nogil:
    """A message of type `tag` came from the server: whose is it?  (Asynchronous messages are not for this.)

    `answered` gets the item that this was the whole answer to, with its hold; else its `item` is 0.  After an error
    there is more to fetch: `next_voided`.
    """
    cdef uint8_t item
    cdef uint8_t kind
    cdef uint32_t before
    cdef Owed first
    answered.item = 0
    answered.change = CHANGE_NONE
    answered.naming = NULL
    answered.before = NULL
    if tag == tags.READY_FOR_QUERY and queue.lost_syncs and (
            queue.count == 0 or not EXPECT_SYNC <= kind_at(queue, 0) <= EXPECT_FUNCTION):
        queue.lost_syncs -= 1
        queue.skipping = False
        return REPLY_FORWARD
    if queue.count == 0:
        # An error or the end of the session may come unasked; so may the rest of a copy out that failed.
        return REPLY_FORWARD if tag == tags.ERROR_RESPONSE else REPLY_UNEXPECTED
    first = item_at(queue, 0)[0]
    before = queue.count
    item = first.item
    kind = item & EXPECT_KIND
    if tag == tags.ERROR_RESPONSE:
        failed(queue)
        return verdict_of(item)
    if tag == tags.READY_FOR_QUERY:
        if not EXPECT_SYNC <= kind <= EXPECT_FUNCTION:
            return REPLY_UNEXPECTED
        ready(queue)
    elif tag == tags.COPY_IN_RESPONSE or tag == tags.COPY_BOTH_RESPONSE:
        copy_in_began(queue)
        queue.copying_both = tag == tags.COPY_BOTH_RESPONSE
        return verdict_of(item)
    elif tag == tags.COMMAND_COMPLETE or tag == tags.EMPTY_QUERY_RESPONSE or tag == tags.PORTAL_SUSPENDED:
        command_ended(queue)
        if kind != EXPECT_EXECUTE:
            return verdict_of(item)
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
    if queue.count < before:
        answered[0] = first
        drop_ends(queue)
    return verdict_of(item)


cdef ReplyVerdict verdict_of(uint8_t item) noexcept nogil:
    return REPLY_SWALLOW if item & EXPECT_SWALLOW else REPLY_FORWARD
