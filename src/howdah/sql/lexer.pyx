"""Words of SQL, as far as howdah looks at it: keywords, identifiers, symbols, with comments and spaces passed over.

The rules are those of PostgreSQL's scanner (src/backend/parser/scan.l), of all versions at once: where they differ
(a number with letters directly behind it), newer ones refuse what older ones read like this.  Two things that a text
does not show are reported as `doubtful`: strings that end elsewhere when a backslash escapes, and, in encodings like
Shift JIS, characters whose second byte is one of ASCII's.  Reads through `wire.bytes`, so never past the end.  Called
by all of `sql`.
"""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Reader, pass_while, peek_u8, read_bytes, read_u8, reader

cdef enum StringKind:
    STRING_PLAIN
    STRING_ESCAPED  # a backslash takes the next character with it
    STRING_RAW  # a backslash is one like any other character, whatever the settings


def _mark():
    for c in range(256):
        letter = chr(c).isalpha() or c == ord("_") if c < 128 else True
        digit = ord("0") <= c <= ord("9")
        MARKS[c] = (
            (SPACE if c in b" \t\n\v\f\r" else 0)
            | (BEGINS if letter else 0)
            | (GOES_ON if letter or digit or c == ord("$") else 0)
            | (DIGIT if digit else 0)
            | (SECOND if 0x40 <= c <= 0x7E and not letter else 0)
            | (STARTS if c in b"\"'$:-/\0" else 0)
            | (TAG if letter or digit else 0)
            | (PREFIXED if c in b"'&" else 0)
            | (IN_COMMENT if c not in b"*/\0" else 0)
            | (IN_LINE if c not in b"\n\r\0" else 0)
            | (IN_STRING if c not in b"'\\\0" and c < 128 else 0)
            | (IN_QUOTED if c not in b"\"\0" else 0)
            | (IN_DOLLARS if c not in b"$\0" else 0)
        )


_mark()


cdef Lexer lexer(const uint8_t *text, size_t size) noexcept nogil:
    cdef Lexer made
    made.rest = reader(text, size)
    made.escapes = False
    made.doubtful = False
    return made


# ---- what is passed over -------------------------------------------------------------------------------------------

cdef bint pass_comment(Reader *text) noexcept nogil:
    """Pass the comment in slashes and stars that begins here, with those inside it; False: it never ends."""
    cdef int depth = 0
    cdef uint8_t c
    while peek_u8(text, 0):
        c = read_u8(text)
        if c == c"/" and peek_u8(text, 0) == c"*":
            read_u8(text)
            depth += 1
        elif c == c"*" and peek_u8(text, 0) == c"/":
            read_u8(text)
            depth -= 1
            if depth == 0:
                return True
        pass_while(text, MARKS, IN_COMMENT)
    return False


cdef bint pass_blank(Reader *text) noexcept nogil:
    """Pass spaces and comments; False: a comment never ends."""
    cdef uint8_t c
    while True:
        pass_while(text, MARKS, SPACE)
        c = peek_u8(text, 0)
        if c == c"-" and peek_u8(text, 1) == c"-":
            pass_while(text, MARKS, IN_LINE)
        elif c == c"/" and peek_u8(text, 1) == c"*":
            if not pass_comment(text):
                return False
        else:
            return True


# ---- strings -------------------------------------------------------------------------------------------------------

cdef bint goes_on_below(Reader *text) noexcept nogil:
    """Behind a string: does it go on in another line?  Then `text` moves behind the quote there."""
    cdef Reader rest = text[0]
    cdef bint below = False
    cdef uint8_t c
    while True:
        c = peek_u8(&rest, 0)
        if MARKS[c] & SPACE:
            below = below or c == c"\n" or c == c"\r"
            read_u8(&rest)
        elif c == c"-" and peek_u8(&rest, 1) == c"-":
            pass_while(&rest, MARKS, IN_LINE)
        else:
            break
    if c != c"'" or not below:
        return False
    read_u8(&rest)
    text[0] = rest
    return True


cdef TokenKind pass_part(Lexer *text, StringKind kind) noexcept nogil:
    """Behind an opening quote, up to and over the closing one."""
    cdef Reader *rest = &text.rest
    cdef TokenKind found = TOKEN_STRING
    cdef uint8_t c
    while peek_u8(rest, 0):
        pass_while(rest, MARKS, IN_STRING)
        c = peek_u8(rest, 0)
        if c == 0:
            break
        read_u8(rest)
        if c == c"'":
            if peek_u8(rest, 0) != c"'" or kind == STRING_RAW:
                return found
            read_u8(rest)  # doubled
            found = TOKEN_OTHER
        elif c == c"\\":
            found = TOKEN_OTHER
            pass_backslash(text, kind)
        elif kind != STRING_RAW and peek_u8(rest, 0) == c"\\":
            text.doubtful = True  # it may be the second byte of a character
    return TOKEN_BROKEN


cdef void pass_backslash(Lexer *text, StringKind kind) noexcept nogil:
    """Behind a backslash: past what it escapes; where it may do so or not, past another one."""
    cdef uint8_t c = peek_u8(&text.rest, 0)
    if kind == STRING_ESCAPED and c:
        read_u8(&text.rest)
        text.doubtful = text.doubtful or (c >= 128 and peek_u8(&text.rest, 0) == c"\\")
    elif kind == STRING_PLAIN and c == c"\\":
        read_u8(&text.rest)
    elif kind == STRING_PLAIN and c == c"'":
        text.doubtful = True


cdef TokenKind pass_string(Lexer *text, StringKind kind) noexcept nogil:
    """Behind an opening quote, up to and over the last closing one."""
    cdef TokenKind found = pass_part(text, kind)
    while found != TOKEN_BROKEN and goes_on_below(&text.rest):
        found = TOKEN_BROKEN if pass_part(text, kind) == TOKEN_BROKEN else TOKEN_OTHER
    return found


cdef TokenKind pass_quoted(Reader *text) noexcept nogil:
    """Behind an opening double quote, up to and over the closing one."""
    while True:
        pass_while(text, MARKS, IN_QUOTED)
        if peek_u8(text, 0) == 0:
            return TOKEN_BROKEN
        read_u8(text)
        if peek_u8(text, 0) != c'"':
            return TOKEN_QUOTED
        read_u8(text)


cdef bint matches(const Reader *text, const Reader *tag, size_t size) noexcept nogil:
    for i in range(size):
        if peek_u8(text, i) != peek_u8(tag, i):
            return False
    return True


cdef TokenKind pass_dollar(Lexer *text) noexcept nogil:
    """At a dollar sign: a string in dollar quotes, a parameter, or the sign alone."""
    cdef Reader tag = text.rest
    cdef size_t size = 1
    read_u8(&text.rest)
    if MARKS[peek_u8(&text.rest, 0)] & DIGIT:
        pass_while(&text.rest, MARKS, DIGIT)
        return TOKEN_OTHER
    while MARKS[peek_u8(&tag, size)] & TAG:
        text.doubtful = text.doubtful or peek_u8(&tag, size) >= 128
        size += 1
    if peek_u8(&tag, size) != c"$":
        return TOKEN_SYMBOL
    read_bytes(&text.rest, size)
    while True:
        pass_while(&text.rest, MARKS, IN_DOLLARS)
        if peek_u8(&text.rest, 0) == 0:
            return TOKEN_BROKEN
        if matches(&text.rest, &tag, size + 1):
            read_bytes(&text.rest, size + 1)
            return TOKEN_OTHER
        read_u8(&text.rest)


# ---- tokens --------------------------------------------------------------------------------------------------------

cdef TokenKind pass_prefixed(Lexer *text, uint8_t letter) noexcept nogil:
    """Behind a word of one letter: E'', B'', X'', U&'' and U&"" begin like words.  (N'' is the word and a string.)"""
    cdef uint8_t c = peek_u8(&text.rest, 0)
    cdef TokenKind found = TOKEN_WORD
    if c == c"'" and letter in (c"e", c"b", c"x"):
        read_u8(&text.rest)
        found = pass_string(text, STRING_ESCAPED if letter == c"e" else STRING_RAW)
    elif c == c"&" and letter == c"u" and peek_u8(&text.rest, 1) == c"'":
        read_bytes(&text.rest, 2)
        found = pass_string(text, STRING_RAW)
    elif c == c"&" and letter == c"u" and peek_u8(&text.rest, 1) == c'"':
        read_bytes(&text.rest, 2)
        text.doubtful = True  # its value stands in escapes
        found = pass_quoted(&text.rest)
    return found if found == TOKEN_WORD or found == TOKEN_BROKEN else TOKEN_OTHER


cdef TokenKind pass_special(Lexer *text, uint8_t c) noexcept nogil:
    """Past a character that begins more than a word, or is a symbol."""
    if c == 0:
        return TOKEN_END
    if c == c"$":
        return pass_dollar(text)
    read_u8(&text.rest)
    if c == c"'":
        return pass_string(text, STRING_ESCAPED if text.escapes else STRING_PLAIN)
    if c == c'"':
        return pass_quoted(&text.rest)
    if c != c":" or peek_u8(&text.rest, 0) != c":":
        return TOKEN_SYMBOL
    read_u8(&text.rest)
    return TOKEN_CAST


cdef Token token_since(const Lexer *text, const uint8_t *start, TokenKind kind) noexcept nogil:
    cdef Token token
    token.kind = kind
    token.text = start
    token.size = <uint32_t>(text.rest.at - start)
    return token


cdef Token prefixed_token(Lexer *text, const uint8_t *start) noexcept nogil:
    """The token that begins with the letter at `start`, behind which there is a quote or an ampersand."""
    return token_since(text, start, pass_prefixed(text, start[0] | 32))


cdef Token special_token(Lexer *text) noexcept nogil:
    """The next token, in front of which there may be a comment, or which is more than a word, a number or a symbol."""
    cdef const uint8_t *start = text.rest.at
    cdef uint8_t c = peek_u8(&text.rest, 0)
    if c == c"-" or c == c"/":
        if not pass_blank(&text.rest):
            return token_since(text, start, TOKEN_BROKEN)
        if text.rest.at != start:
            return next_token(text)
    return token_since(text, start, pass_special(text, c))


cdef Token next_token(Lexer *text) noexcept nogil:
    cdef Token token
    read_token(text, &token)
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
