"""Drives a `howdah.dataplane.reply_queue` from Python."""

from libc.stdint cimport uint8_t

from howdah.dataplane cimport reply_queue
from howdah.dataplane.reply_queue cimport Owed, ReplyQueue

from howdah.dataplane.reply_queue import Change, OweVerdict, ReplyVerdict


cdef class Replies:
    cdef ReplyQueue queue

    def __cinit__(self):
        reply_queue.replies_init(&self.queue)

    def __dealloc__(self):
        reply_queue.replies_free(&self.queue, NULL)

    def expect(self, int item):
        return reply_queue.expect(&self.queue, <uint8_t>item)

    def owe(self, int item, change):
        return OweVerdict(reply_queue.owe(&self.queue, <uint8_t>item, <uint8_t>change, NULL))

    def came(self, bytes tag):
        cdef Owed answered
        return ReplyVerdict(reply_queue.reply_came(&self.queue, tag[0], &answered))

    def answered(self, bytes tag):
        """The verdict, the item that this was the whole answer to (or nothing), and all that an error took with it."""
        cdef Owed owed
        verdict = ReplyVerdict(reply_queue.reply_came(&self.queue, tag[0], &owed))
        answered = (owed.item, Change(owed.change)) if owed.item else None
        voided = []
        while reply_queue.next_voided(&self.queue, &owed):
            voided.append((owed.item, Change(owed.change)))
        return verdict, answered, voided

    def shrink(self):
        reply_queue.replies_shrink(&self.queue)

    def room(self):
        return self.queue.capacity

    def all_replied(self):
        return reply_queue.all_replied(&self.queue)

    def is_streaming(self):
        return reply_queue.is_streaming(&self.queue)

    def ends_with_ready(self):
        return reply_queue.ends_with_ready(&self.queue)

    def names_unsure(self):
        return reply_queue.names_unsure(&self.queue)
