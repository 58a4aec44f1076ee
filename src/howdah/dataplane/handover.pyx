"""Which of two servers tells a client what is notified, while it goes from one to the other.

Both hear the same notifications in the same order, that of PostgreSQL's queue, but each at a time of its own, and each
from the moment on at which it began to listen.  So that nothing is told twice, out of order or not at all, a marker is
sent through that queue, by NOTIFY on a channel of ours: the old teller tells what stands before it, the new one what
stands behind it, and what the new one hears too early waits.  Which of them comes to the marker first does not matter.

Holds no socket and calls no one.  Called by `hearing` and `listening`.
"""


cdef void handover_turn(Handover *handover, Teller to) noexcept nogil:
    """A marker has been sent for `to` to be the teller behind it."""
    if handover.teller == to and not handover.turning:
        return
    handover.teller = TELLER_HUB if to == TELLER_OWN else TELLER_OWN
    handover.turning = True
    handover.old_done = handover.new_began = False


cdef Hearing handover_hear(const Handover *handover, Teller source) noexcept nogil:
    """A notification has come from `source`."""
    if source == handover.teller:
        return HEAR_DROP if handover.turning and handover.old_done else HEAR_TELL
    return HEAR_KEEP if handover.turning else HEAR_DROP


cdef int handover_mark(Handover *handover, Teller source) noexcept nogil:
    """The marker has come from `source`: a Mark."""
    if not handover.turning:
        return MARK_NOTHING
    if source == handover.teller:
        handover.old_done = True
        return over(handover)
    handover.new_began = True
    return MARK_FORGET | over(handover)


cdef int handover_without(Handover *handover, Teller source) noexcept nogil:
    """The marker will not come from `source`, which does not listen any more, or not to our channel: all that it has
    to tell stands where it should.  A Mark."""
    if not handover.turning:
        return MARK_NOTHING
    if source == handover.teller:
        handover.old_done = True
    else:
        handover.new_began = True
    return over(handover)


cdef int over(Handover *handover) noexcept nogil:
    if not (handover.old_done and handover.new_began):
        return MARK_NOTHING
    handover.teller = TELLER_HUB if handover.teller == TELLER_OWN else TELLER_OWN
    handover.turning = False
    return MARK_OVER


cdef int handover_back(Handover *handover) noexcept nogil:
    """The marker was never in the queue (its transaction was rolled back), or the new teller is gone: the old one goes
    on.  A Mark."""
    if not handover.turning:
        return MARK_NOTHING
    handover.turning = False
    return MARK_FORGET
