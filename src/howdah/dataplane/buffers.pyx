"""Blocks of bytes that have to wait.

An idle connection owns none.  A block is taken when a message is incomplete, when a client waits for a server, or
when a peer does not take what it was sent, and goes back when it is empty.  Called by `conn`, `handshake`, `relay`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef enum:
    KEPT_BYTES = 1 << 15  # free memory a class may hold back from malloc
    APPEND_ROOM = 4096  # smallest block an outbox grows by
    LARGEST_PIECE = 131072  # largest one


cdef uint32_t class_size(uint8_t size_class) noexcept nogil:
    """256, 1,024 and 4,096 bytes."""
    return 256u << (2 * size_class)


cdef uint8_t *block_data(Block *block) noexcept nogil:
    return <uint8_t *>(block + 1)


cdef Block *block_new(Slab *slab, size_t size) noexcept nogil:
    """A block with room for `size` bytes (at most LARGEST_BLOCK), or NULL."""
    cdef uint8_t size_class = 0
    cdef Block *block
    if size > LARGEST_BLOCK:
        return NULL
    while size_class < BLOCK_CLASSES and class_size(size_class) < size:
        size_class += 1
    block = slab.free[size_class] if size_class < BLOCK_CLASSES else NULL
    if block != NULL:
        slab.free[size_class] = block.next
        slab.kept[size_class] -= 1
    else:
        if size_class < BLOCK_CLASSES:
            size = class_size(size_class)
        block = <Block *>malloc(sizeof(Block) + size)
        if block == NULL:
            return NULL
        block.size_class = size_class
        block.capacity = <uint32_t>size
    block.next = NULL
    block.start = block.end = 0
    slab.blocks_out += 1
    slab.out[size_class] += 1
    if size_class == BLOCK_CLASSES:
        slab.large_bytes += block.capacity
    return block


cdef void block_free(Slab *slab, Block *block) noexcept nogil:
    cdef uint8_t size_class = block.size_class
    slab.blocks_out -= 1
    slab.out[size_class] -= 1
    if size_class == BLOCK_CLASSES:
        slab.large_bytes -= block.capacity
    if size_class == BLOCK_CLASSES or slab.kept[size_class] * class_size(size_class) >= KEPT_BYTES:
        free(block)
        return
    block.next = slab.free[size_class]
    slab.free[size_class] = block
    slab.kept[size_class] += 1


cdef void block_drop(Slab *slab, Block **block) noexcept nogil:
    """The same for a block that there may be."""
    if block[0] != NULL:
        block_free(slab, block[0])
        block[0] = NULL


cdef void slab_clear(Slab *slab) noexcept nogil:
    """Give all free blocks back to malloc."""
    cdef Block *block
    for size_class in range(BLOCK_CLASSES):
        while slab.free[size_class] != NULL:
            block = slab.free[size_class]
            slab.free[size_class] = block.next
            free(block)
        slab.kept[size_class] = 0
    free(slab.scratch)
    slab.scratch = NULL


cdef uint8_t *slab_scratch(Slab *slab) noexcept nogil:
    """SCRATCH_SIZE bytes that nobody else uses until the caller returns; NULL: out of memory."""
    if slab.scratch == NULL:
        slab.scratch = <uint8_t *>malloc(SCRATCH_SIZE)
    return slab.scratch


cdef bint hold(Slab *slab, Block **held, const uint8_t *data, size_t size) noexcept nogil:
    """Keep the bytes that cannot be dealt with yet; False: out of memory."""
    if size == 0:
        return True
    held[0] = block_new(slab, size)
    if held[0] == NULL:
        return False
    memcpy(block_data(held[0]), data, size)
    held[0].end = <uint32_t>size
    return True


cdef bint hold_more(Slab *slab, Block **held, const void *data, size_t size) noexcept nogil:
    """Put bytes behind those that are kept, if any; False: out of memory."""
    cdef Block *block = held[0]
    if size == 0:
        return True
    if block == NULL or block.capacity - block.end < size:
        block = block_new(slab, size if block == NULL else 2 * block.end + size)
        if block == NULL:
            return False
        if held[0] != NULL:
            memcpy(block_data(block), block_data(held[0]), held[0].end)
            block.end = held[0].end
            block_free(slab, held[0])
        held[0] = block
    memcpy(block_data(block) + block.end, data, size)
    block.end += <uint32_t>size
    return True


cdef void unhold(Slab *slab, Block **held, uint8_t *to) noexcept nogil:
    """Put what was kept, if anything, at `to` (the front of a read buffer)."""
    if held[0] != NULL:
        memcpy(to, block_data(held[0]), held[0].end)
        block_free(slab, held[0])
        held[0] = NULL


cdef bint outbox_append(Slab *slab, Outbox *box, const void *data, size_t size) noexcept nogil:
    """Copy `size` bytes behind what is there; False when memory is out (then part of it may have been copied)."""
    cdef Block *block = box.tail
    cdef size_t part
    cdef const uint8_t *at = <const uint8_t *>data
    while size:
        if block == NULL or block.end == block.capacity:
            block = block_new(slab, min(max(size, <size_t>APPEND_ROOM), <size_t>LARGEST_PIECE))
            if block == NULL:
                return False
            if box.tail == NULL:
                box.head = block
            else:
                box.tail.next = block
            box.tail = block
        part = min(size, <size_t>(block.capacity - block.end))
        memcpy(block_data(block) + block.end, at, part)
        block.end += <uint32_t>part
        box.size += part
        at += part
        size -= part
    return True


cdef void outbox_take(Slab *slab, Outbox *box, size_t size) noexcept nogil:
    """Forget the first `size` bytes: they have been sent."""
    cdef Block *block
    cdef size_t part
    box.size -= size
    while box.head != NULL:
        block = box.head
        part = min(size, <size_t>(block.end - block.start))
        block.start += <uint32_t>part
        size -= part
        if block.start < block.end:
            return
        box.head = block.next
        if box.head == NULL:
            box.tail = NULL
        block_free(slab, block)


cdef void outbox_clear(Slab *slab, Outbox *box) noexcept nogil:
    outbox_take(slab, box, box.size)
