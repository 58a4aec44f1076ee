"""Where `analysis` is in a text, and steps through it.  Called by `analysis`, `calls`, `settings` and `prepared`."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.sql.lexer cimport TOKEN_BROKEN, TOKEN_END, Lexer, Token, is_symbol, next_token, read_token
from howdah.sql.words cimport keyword_of


cdef void advance(Scan *s) noexcept nogil:
    read_token(&s.lexer, &s.token)


cdef bint at_end(const Scan *s) noexcept nogil:
    """Of the statement?"""
    return is_symbol(&s.token, c";") or s.token.kind == TOKEN_END or s.token.kind == TOKEN_BROKEN


cdef Token ahead(const Scan *s) noexcept nogil:
    """The token behind the one at hand."""
    cdef Lexer lexer = s.lexer
    return next_token(&lexer)


cdef Token token_at(const Scan *s, const uint8_t *place) noexcept nogil:
    """One that has been passed, by where it begins; NULL: none."""
    cdef Lexer lexer = s.lexer
    cdef Token token
    token.kind = TOKEN_END
    if place != NULL:
        lexer.rest.at = place
        read_token(&lexer, &token)
    return token


cdef bint comes_keyword(const Scan *s, uint8_t keyword) noexcept nogil:
    cdef Token token = ahead(s)
    return keyword_of(&token).keyword == keyword


cdef void note(Scan *s, uint32_t effects) noexcept nogil:
    s.found.effects |= effects


cdef uint32_t offset_of(const Scan *s, const Token *token) noexcept nogil:
    return <uint32_t>(token.text - s.start)
