"""Base64 for SCRAM messages.

Strict, so that one value has one text: a decoder that forgives lets two different messages mean the same.  Called by
`scram`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Reader, Writer, left, read_bytes, reader, write_bytes, write_u8, writer

cdef const char *ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

cdef enum:
    NO_VALUE = 64


cdef ssize_t base64_encode(const uint8_t *data, size_t size, char *to, size_t room) noexcept nogil:
    """Characters written, no NUL behind them; -1: no room."""
    cdef Reader r = reader(data, size)
    cdef Writer w = writer(<uint8_t *>to, room)
    while left(&r):
        write_group(&w, &r)
    return <ssize_t>w.used if w.ok else -1


cdef void write_group(Writer *w, Reader *r) noexcept nogil:
    """Up to three bytes of `r` as four characters."""
    cdef size_t count = min(left(r), <size_t>3)
    cdef const uint8_t *data = read_bytes(r, count)
    cdef uint32_t bits = <uint32_t>data[0] << 16
    cdef char[4] text
    if count > 1:
        bits |= <uint32_t>data[1] << 8
    if count > 2:
        bits |= data[2]
    text[0] = ALPHABET[bits >> 18]
    text[1] = ALPHABET[(bits >> 12) & 63]
    text[2] = ALPHABET[(bits >> 6) & 63] if count > 1 else c"="
    text[3] = ALPHABET[bits & 63] if count > 2 else c"="
    write_bytes(w, text, 4)


cdef ssize_t base64_decode(const char *text, size_t size, uint8_t *to, size_t room) noexcept nogil:
    """Bytes written; -1: malformed or no room."""
    cdef Reader r = reader(<const uint8_t *>text, size)
    cdef Writer w = writer(to, room)
    while left(&r):
        if not read_group(&r, &w):
            return -1
    return <ssize_t>w.used if w.ok else -1


cdef bint read_group(Reader *r, Writer *w) noexcept nogil:
    """Four characters of `r` as one to three bytes; padding only where the text ends."""
    cdef const uint8_t *text = read_bytes(r, 4)
    cdef int count = 3
    cdef uint32_t bits = 0
    cdef uint32_t value
    cdef int i
    if text == NULL:
        return False
    if left(r) == 0 and text[3] == c"=":
        count = 1 if text[2] == c"=" else 2
    for i in range(count + 1):
        value = value_of(text[i])
        if value == NO_VALUE:
            return False
        bits |= value << (18 - 6 * i)
    if bits & (0xFFFFFFu >> (8 * count)):  # what the padding cuts off must be zero
        return False
    for i in range(count):
        write_u8(w, <uint8_t>(bits >> (16 - 8 * i)))
    return True


cdef uint32_t value_of(uint8_t c) noexcept nogil:
    if c"A" <= c <= c"Z":
        return c - c"A"
    if c"a" <= c <= c"z":
        return c - c"a" + 26
    if c"0" <= c <= c"9":
        return c - c"0" + 52
    if c == c"+":
        return 62
    if c == c"/":
        return 63
    return NO_VALUE
