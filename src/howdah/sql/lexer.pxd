"""Words of SQL."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Reader

cpdef enum TokenKind:
    TOKEN_END  # of the text, or of what there is before its NUL
    TOKEN_WORD  # a keyword or a plain identifier
    TOKEN_QUOTED  # "an identifier in quotes", which are part of it
    TOKEN_SYMBOL  # one character
    TOKEN_OTHER  # a string, a number or what never ends: nothing that is looked into

cdef struct Token:
    TokenKind kind
    const uint8_t *text
    uint32_t size

cdef Token next_token(Reader *text) noexcept nogil
cdef bint is_word(const Token *token, const char *word) noexcept nogil
cdef bint is_symbol(const Token *token, uint8_t symbol) noexcept nogil
