"""What a text may do to the session it runs in.

Says "it may" of too much rather than of too little: that costs a client in the middle of a pipeline a wait, nothing
else.  Called by `preparing`.
"""

from libc.stdint cimport uint8_t

from howdah.wire.bytes cimport Reader, left, peek_u8, read_u8, reader


cdef bint goes_on_with(const Reader *rest, const char *word) noexcept nogil:
    """In whatever case; `word` is in lower case."""
    cdef size_t at = 0
    while word[at]:
        if peek_u8(rest, at) | 32 != <uint8_t>word[at]:
            return False
        at += 1
    return True


cdef bint may_drop_statements(const uint8_t *text, size_t size) noexcept nogil:
    """Does it say DEALLOCATE or DISCARD, wherever?  (What a function does inside shows when the server says so.)"""
    cdef Reader rest = reader(text, size)
    while left(&rest):
        if read_u8(&rest) | 32 == c"d" and (goes_on_with(&rest, "iscard") or goes_on_with(&rest, "eallocate")):
            return True
    return False
