"""Is a text a DEALLOCATE of one statement, and nothing else?

Called by `simple_query`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.sql.lexer cimport TOKEN_END, TOKEN_QUOTED, TOKEN_WORD, Token, is_symbol, is_word, next_token
from howdah.wire.bytes cimport Reader, left, read_u8, reader


cdef uint32_t deallocated_name(const uint8_t *text, size_t size, char *name) noexcept nogil:
    """Its name, with a NUL, into `name` (LARGEST_IDENTIFIER + 1 bytes); gives the name's size, 0 if it is no such text.
    """
    cdef Reader rest = reader(text, size)
    cdef Token token = next_token(&rest)
    cdef Token named
    if not is_word(&token, "deallocate"):
        return 0
    named = next_token(&rest)
    token = next_token(&rest)
    if is_word(&named, "prepare") and not ends(&token):
        named = token
        token = next_token(&rest)
    if is_word(&named, "all"):
        return 0
    while is_symbol(&token, c";"):
        token = next_token(&rest)
    if token.kind != TOKEN_END or named.kind not in (TOKEN_WORD, TOKEN_QUOTED):
        return 0
    return identifier(&named, name)


cdef bint ends(const Token *token) noexcept nogil:
    return token.kind == TOKEN_END or is_symbol(token, c";")


cdef uint32_t identifier(const Token *token, char *name) noexcept nogil:
    """What an identifier names: in lower case, unless it stands in quotes.  Longer ones PostgreSQL cuts between two
    characters, which is left to it: 0."""
    cdef Reader r = reader(token.text, token.size)
    cdef bint quoted = token.kind == TOKEN_QUOTED
    cdef uint32_t size = 0
    cdef uint8_t c
    if quoted:
        read_u8(&r)
    while left(&r) > <size_t>quoted:
        c = read_u8(&r)
        if quoted and c == c'"':
            read_u8(&r)  # doubled
        elif not quoted and c"A" <= c <= c"Z":
            c += 32
        if size == LARGEST_IDENTIFIER:
            return 0
        name[size] = <char>c
        size += 1
    name[size] = 0
    return size
