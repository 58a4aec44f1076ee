"""Blocks of bytes that have to wait: unsent output and incomplete messages."""

from libc.stdint cimport uint8_t, uint32_t

cpdef enum:
    BLOCK_CLASSES = 3  # sizes of which free blocks are kept for the next; larger ones are made to measure
    LARGEST_BLOCK = 1179648
    SCRATCH_SIZE = 163840

# Made by `block_new`, freed by `block_free`; belongs to the connection that holds it and so to that one's worker.
cdef struct Block:
    Block *next
    uint32_t capacity
    uint32_t start  # first byte not yet taken
    uint32_t end  # behind the last byte
    uint8_t size_class

# Memory of one worker, for all its connections.  Touched by that worker alone.
cdef struct Slab:
    Block *free[BLOCK_CLASSES]
    uint32_t[BLOCK_CLASSES] kept
    uint32_t[BLOCK_CLASSES + 1] out  # made and not yet freed, by class; for display
    size_t large_bytes  # of those that were made to measure
    long blocks_out  # blocks made and not yet freed; zero when nothing waits
    uint8_t *scratch  # for the length of one call: see `slab_scratch`

# A queue of bytes.  Lives inside its connection.
cdef struct Outbox:
    Block *head
    Block *tail
    size_t size

cdef uint32_t class_size(uint8_t size_class) noexcept nogil
cdef uint8_t *block_data(Block *block) noexcept nogil
cdef Block *block_new(Slab *slab, size_t size) noexcept nogil
cdef void block_free(Slab *slab, Block *block) noexcept nogil
cdef void block_drop(Slab *slab, Block **block) noexcept nogil
cdef void slab_clear(Slab *slab) noexcept nogil
cdef uint8_t *slab_scratch(Slab *slab) noexcept nogil
cdef bint hold(Slab *slab, Block **held, const uint8_t *data, size_t size) noexcept nogil
cdef bint hold_more(Slab *slab, Block **held, const void *data, size_t size) noexcept nogil
cdef void unhold(Slab *slab, Block **held, uint8_t *to) noexcept nogil
cdef bint outbox_append(Slab *slab, Outbox *box, const void *data, size_t size) noexcept nogil
cdef void outbox_take(Slab *slab, Outbox *box, size_t size) noexcept nogil
cdef void outbox_clear(Slab *slab, Outbox *box) noexcept nogil
