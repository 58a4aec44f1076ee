"""Words of SQL, as far as howdah looks at it: keywords, identifiers, symbols, with comments and spaces passed over.

The rules are those of PostgreSQL's scanner (src/backend/parser/scan.l).  What it would have to understand strings for
is TOKEN_OTHER, at which its callers give up.  Reads through `wire.bytes`, so never past the end.  Called by
`transaction` and `deallocate`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Reader, left, peek_u8, read_u8


cdef bint is_space(uint8_t c) noexcept nogil:
    return c == c" " or c"\t" <= c <= c"\r"


cdef bint begins_word(uint8_t c) noexcept nogil:
    return c"a" <= c <= c"z" or c"A" <= c <= c"Z" or c == c"_" or c >= 128


cdef bint goes_on(uint8_t c) noexcept nogil:
    return begins_word(c) or c"0" <= c <= c"9" or c == c"$"


cdef bint pass_comment(Reader *text) noexcept nogil:
    """Pass the comment in slashes and stars that begins here, with those inside it; False: it never ends."""
    cdef int depth = 0
    cdef uint8_t c
    while left(text):
        c = read_u8(text)
        if c == c"/" and peek_u8(text, 0) == c"*":
            read_u8(text)
            depth += 1
        elif c == c"*" and peek_u8(text, 0) == c"/":
            read_u8(text)
            depth -= 1
            if depth == 0:
                return True
    return False


cdef bint pass_blank(Reader *text) noexcept nogil:
    """Pass spaces and comments; False: a comment never ends."""
    cdef uint8_t c
    while True:
        c = peek_u8(text, 0)
        if is_space(c):
            read_u8(text)
        elif c == c"-" and peek_u8(text, 1) == c"-":
            while left(text) and peek_u8(text, 0) != c"\n" and peek_u8(text, 0) != c"\r":
                read_u8(text)
        elif c == c"/" and peek_u8(text, 1) == c"*":
            if not pass_comment(text):
                return False
        else:
            return True


cdef TokenKind pass_quoted(Reader *text) noexcept nogil:
    """Behind an opening double quote, up to and over the closing one."""
    while left(text):
        if read_u8(text) == c'"':
            if peek_u8(text, 0) != c'"':
                return TOKEN_QUOTED
            read_u8(text)
    return TOKEN_OTHER


cdef Token next_token(Reader *text) noexcept nogil:
    """The next token, past which `text` moves."""
    cdef Token token
    cdef uint8_t c
    token.kind = TOKEN_OTHER
    token.text = text.at
    token.size = 0
    if not pass_blank(text):
        return token
    token.text = text.at
    c = peek_u8(text, 0)
    if c == 0:
        token.kind = TOKEN_END
        return token
    read_u8(text)
    if begins_word(c):
        while goes_on(peek_u8(text, 0)):
            read_u8(text)
        # E'', B'', X'', N'' and U&"" begin like words.
        token.kind = TOKEN_OTHER if peek_u8(text, 0) == c"'" or peek_u8(text, 0) == c"&" else TOKEN_WORD
    elif c == c'"':
        token.kind = pass_quoted(text)
    elif c"0" <= c <= c"9" or c == c"'" or c == c"$":
        token.kind = TOKEN_OTHER
    else:
        token.kind = TOKEN_SYMBOL
    token.size = <uint32_t>(text.at - token.text)
    return token


cdef bint is_word(const Token *token, const char *word) noexcept nogil:
    """Is it this keyword (given in lower case)?"""
    cdef uint8_t c
    if token.kind != TOKEN_WORD:
        return False
    for i in range(token.size):
        c = token.text[i]
        if c"A" <= c <= c"Z":
            c += 32
        if word[i] == 0 or c != <uint8_t>word[i]:
            return False
    return word[token.size] == 0


cdef bint is_symbol(const Token *token, uint8_t symbol) noexcept nogil:
    return token.kind == TOKEN_SYMBOL and token.text[0] == symbol
