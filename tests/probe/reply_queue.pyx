"""Drives a `howdah.dataplane.reply_queue` from Python."""

from libc.stdint cimport uint8_t

from howdah.dataplane cimport reply_queue
from howdah.dataplane.reply_queue cimport ReplyQueue

from howdah.dataplane.reply_queue import ReplyVerdict


cdef class Replies:
    cdef ReplyQueue queue

    def __cinit__(self):
        reply_queue.replies_init(&self.queue)

    def __dealloc__(self):
        reply_queue.replies_free(&self.queue)

    def expect(self, int item):
        return reply_queue.expect(&self.queue, <uint8_t>item)

    def came(self, bytes tag):
        return ReplyVerdict(reply_queue.reply_came(&self.queue, tag[0]))

    def all_replied(self):
        return reply_queue.all_replied(&self.queue)

    def is_streaming(self):
        return reply_queue.is_streaming(&self.queue)

    def ends_with_ready(self):
        return reply_queue.ends_with_ready(&self.queue)
