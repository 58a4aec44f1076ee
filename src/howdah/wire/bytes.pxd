"""Bounds-checked reading and writing of protocol bytes.  All code that reads what a stranger sent goes through here.

A `Reader` never moves past `end`: a read that would turns `ok` off, leaves the position where it was and gives zero
or NULL, so a caller may do several reads and look at `ok` once.  A `Writer` never writes past `capacity` in the same
way.  Both are values on the caller's stack; neither owns the memory it points to.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcpy, strlen

from howdah.cdefs.identifier_run cimport identifier_run

cdef struct Reader:
    const uint8_t *at
    const uint8_t *end
    bint ok

cdef struct Writer:
    uint8_t *start
    size_t used
    size_t capacity
    bint ok


cdef inline Reader reader(const uint8_t *data, size_t size) noexcept nogil:
    cdef Reader r
    r.at = data
    r.end = data + size
    r.ok = True
    return r


cdef inline size_t left(const Reader *r) noexcept nogil:
    return r.end - r.at


cdef inline uint8_t read_u8(Reader *r) noexcept nogil:
    if r.end - r.at < 1:
        r.ok = False
        return 0
    r.at += 1
    return (r.at - 1)[0]


cdef inline uint8_t peek_u8(const Reader *r, size_t ahead) noexcept nogil:
    """The byte `ahead` of the position, which stays; 0 past the end."""
    return r.at[ahead] if <size_t>(r.end - r.at) > ahead else 0


cdef inline void pass_while(Reader *r, const uint16_t *marks, uint16_t wanted) noexcept nogil:
    """Move past the bytes that have the `wanted` mark; `marks` has an entry for each of the 256 there are."""
    cdef const uint8_t *at = r.at
    cdef const uint8_t *end = r.end
    while at < end and marks[at[0]] & wanted:
        at += 1
    r.at = at


cdef inline uint32_t short_identifier(const Reader *r, size_t ahead) noexcept nogil:
    """Of the bytes from `ahead` on, how many could go on with an identifier;
    0 where 16 or more could, or the end is near.
    """
    cdef uint32_t run
    if r.end - r.at < <ptrdiff_t>(ahead + 16):
        return 0
    run = identifier_run(r.at + ahead)
    return run if run < 16 else 0


cdef inline uint16_t read_u16(Reader *r) noexcept nogil:
    cdef const uint8_t *at = r.at
    if r.end - at < 2:
        r.ok = False
        return 0
    r.at += 2
    return <uint16_t>((at[0] << 8) | at[1])


cdef inline uint32_t read_u32(Reader *r) noexcept nogil:
    cdef const uint8_t *at = r.at
    if r.end - at < 4:
        r.ok = False
        return 0
    r.at += 4
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline const uint8_t *read_bytes(Reader *r, size_t size) noexcept nogil:
    if <size_t>(r.end - r.at) < size:
        r.ok = False
        return NULL
    r.at += size
    return r.at - size


cdef inline const char *read_string(Reader *r, size_t *length) noexcept nogil:
    """The NUL-terminated string at hand (valid as long as the input is) and its length without the NUL."""
    cdef const uint8_t *end = <const uint8_t *>memchr(r.at, 0, r.end - r.at) if r.end > r.at else NULL
    cdef const uint8_t *start = r.at
    if end == NULL:
        r.ok = False
        return NULL
    length[0] = end - start
    r.at = end + 1
    return <const char *>start


cdef inline Writer writer(uint8_t *data, size_t capacity) noexcept nogil:
    cdef Writer w
    w.start = data
    w.used = 0
    w.capacity = capacity
    w.ok = True
    return w


cdef inline void write_bytes(Writer *w, const void *data, size_t size) noexcept nogil:
    if w.capacity - w.used < size:
        w.ok = False
        return
    if size:  # nothing may be at NULL
        memcpy(w.start + w.used, data, size)
    w.used += size


cdef inline void write_u8(Writer *w, uint8_t value) noexcept nogil:
    write_bytes(w, &value, 1)


cdef inline void write_u16(Writer *w, uint16_t value) noexcept nogil:
    cdef uint8_t[2] b
    b[0] = <uint8_t>(value >> 8)
    b[1] = <uint8_t>value
    write_bytes(w, b, 2)


cdef inline void write_u32(Writer *w, uint32_t value) noexcept nogil:
    cdef uint8_t[4] b
    b[0] = <uint8_t>(value >> 24)
    b[1] = <uint8_t>(value >> 16)
    b[2] = <uint8_t>(value >> 8)
    b[3] = <uint8_t>value
    write_bytes(w, b, 4)


cdef inline void write_string(Writer *w, const char *text) noexcept nogil:
    """The text and its terminating NUL."""
    write_bytes(w, text, strlen(text) + 1)


cdef inline size_t begin_message(Writer *w, uint8_t tag) noexcept nogil:
    """Write a tag and room for the length; gives the mark that `end_message` wants."""
    write_u8(w, tag)
    write_u32(w, 0)
    return w.used - 4 if w.ok else 0


cdef inline void end_message(Writer *w, size_t mark) noexcept nogil:
    """Fill in the length of the message begun at `mark`."""
    if not w.ok:
        return
    cdef uint32_t size = <uint32_t>(w.used - mark)
    w.start[mark] = <uint8_t>(size >> 24)
    w.start[mark + 1] = <uint8_t>(size >> 16)
    w.start[mark + 2] = <uint8_t>(size >> 8)
    w.start[mark + 3] = <uint8_t>size
