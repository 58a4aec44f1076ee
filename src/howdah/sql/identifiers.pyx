"""What an identifier names: in lower case, unless it stands in quotes.

Called by `prepared` and `settings`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.sql.lexer cimport TOKEN_QUOTED, TOKEN_WORD, Token
from howdah.wire.bytes cimport Reader, left, read_u8, reader


cdef uint32_t identifier(const Token *token, char *name, uint32_t room) noexcept nogil:
    """Its name into `name` (`room` bytes, no NUL); gives the name's size.

    0: it cannot be told.  Longer ones PostgreSQL cuts between two characters; and what is not ASCII it may bring into
    lower case, or not, as the database's encoding and locale have it.
    """
    cdef Reader r = reader(token.text, token.size)
    cdef bint quoted = token.kind == TOKEN_QUOTED
    cdef uint32_t size = 0
    cdef uint8_t c
    if token.kind != TOKEN_WORD and not quoted:
        return 0
    if quoted:
        read_u8(&r)
    while left(&r) > <size_t>quoted:
        c = read_u8(&r)
        if quoted and c == c'"':
            read_u8(&r)  # doubled
        elif not quoted and c"A" <= c <= c"Z":
            c += 32
        if size == LARGEST_IDENTIFIER or size == room or (not quoted and c >= 128):
            return 0
        name[size] = <char>c
        size += 1
    return size
