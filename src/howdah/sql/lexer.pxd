"""Words of SQL."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from howdah.wire.bytes cimport Reader, pass_while, peek_u8, read_u8

cpdef enum TokenKind:
    TOKEN_END  # of the text, or of what there is before its NUL
    TOKEN_WORD  # a keyword or a plain identifier
    TOKEN_QUOTED  # "an identifier in quotes", which are part of it
    TOKEN_STRING  # 'a string' whose value is what stands between the quotes
    TOKEN_SYMBOL  # one character
    TOKEN_CAST  # two colons
    TOKEN_OTHER  # any other string, a number, a parameter: nothing that is looked into
    TOKEN_BROKEN  # a string, a quoted identifier or a comment that never ends

# Marks of characters.
cdef enum:
    SPACE = 1
    BEGINS = 2  # a word
    GOES_ON = 4  # a word
    DIGIT = 8
    SECOND = 16  # no part of a word, but may be a second byte of a character (0x40 to 0x7e)
    STARTS = 32  # something that is neither a word nor one character
    TAG = 64  # of a string in dollar quotes
    PREFIXED = 4096  # behind a word of one letter, it may begin a string or an identifier in quotes
    # What ends nothing: in a comment, in a comment to the end of the line, in a string (and is ASCII), in an identifier
    # in quotes, in a string in dollar quotes.
    IN_COMMENT = 128
    IN_LINE = 256
    IN_STRING = 512
    IN_QUOTED = 1024
    IN_DOLLARS = 2048

cdef uint16_t[256] MARKS  # of each character; set when the module is loaded

cdef struct Token:
    TokenKind kind
    const uint8_t *text
    uint32_t size

# On the caller's stack; owns nothing.
cdef struct Lexer:
    Reader rest
    bint escapes  # a backslash escapes in every string: standard_conforming_strings is off
    bint doubtful  # what has been passed is read in another way with the other setting, or in another encoding

cdef Lexer lexer(const uint8_t *text, size_t size) noexcept nogil
cdef Token special_token(Lexer *text) noexcept nogil
cdef Token prefixed_token(Lexer *text, const uint8_t *start) noexcept nogil
cdef Token next_token(Lexer *text) noexcept nogil
cdef bint is_word(const Token *token, const char *word) noexcept nogil
cdef inline bint is_symbol(const Token *token, uint8_t symbol) noexcept nogil:
    return token.kind == TOKEN_SYMBOL and token.text[0] == symbol


cdef inline void read_token(Lexer *text, Token *token) noexcept nogil:
    """The next token, past which `text` moves.  What is most often met is dealt with here, in registers."""
    cdef Reader rest = text.rest
    cdef const uint8_t *start
    cdef uint16_t marks = MARKS[peek_u8(&rest, 0)]
    if marks & SPACE:
        read_u8(&rest)
        pass_while(&rest, MARKS, SPACE)
        marks = MARKS[peek_u8(&rest, 0)]
    start = rest.at
    if marks & STARTS:
        text.rest.at = start
        token[0] = special_token(text)
        return
    if marks & BEGINS:
        pass_while(&rest, MARKS, GOES_ON)
        token.kind = TOKEN_WORD
    elif marks & DIGIT:
        pass_while(&rest, MARKS, DIGIT)
        token.kind = TOKEN_OTHER
    else:
        read_u8(&rest)
        token.kind = TOKEN_SYMBOL
    text.rest.at = rest.at
    token.text = start
    token.size = <uint32_t>(rest.at - start)
    marks = MARKS[peek_u8(&rest, 0)]
    if marks & SECOND and start[token.size - 1] >= 128:
        text.doubtful = True
    if marks & PREFIXED and token.size == 1 and token.kind == TOKEN_WORD:
        token[0] = prefixed_token(text, start)
