"""Texts as they are shown to operators: without values, so that the same statement looks the same each time.

Strings and numbers become question marks, several in a row one; comments go, and so do spaces that say nothing.
Nothing of a value is shown, also where a text may be read in two ways: there it is cut.  Called by the modules of the
data plane that tell operators what a client has sent.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from howdah.sql.lexer cimport (
    TOKEN_BROKEN,
    TOKEN_END,
    TOKEN_OTHER,
    TOKEN_STRING,
    TOKEN_WORD,
    Lexer,
    Token,
    is_symbol,
    lexer,
    next_token,
)

cdef enum:
    ROOM_FOR_END = 4  # the dots of a text that is cut, and a NUL

# Where the text is written, on the caller's stack.
cdef struct Line:
    char *to
    size_t room
    size_t used
    bint in_number  # what was written last stands for a number, or for its beginning


cdef size_t normal_text(const uint8_t *text, size_t size, char *to, size_t room) noexcept nogil:
    """Write it with a NUL to `to`, which has `room` bytes; gives its size.  What does not fit is cut."""
    cdef Lexer rest = lexer(text, size)
    cdef Line line
    cdef Token token = next_token(&rest)
    cdef const uint8_t *end = token.text
    cdef bint whole = room > ROOM_FOR_END
    line.in_number = False
    line.to = to
    line.room = room - ROOM_FOR_END if whole else 0
    line.used = 0
    while whole and token.kind != TOKEN_END:
        if token.kind == TOKEN_BROKEN or rest.doubtful:
            whole = False
        elif token.text != end:
            line.in_number = False
            whole = (not wants_space(&line, &token) or put(&line, b" ", 1)) and put_token(&line, &token)
        elif not goes_on(&line, &token):
            whole = put_token(&line, &token)
        end = token.text + token.size
        token = next_token(&rest)
    if not whole:
        memcpy(to + line.used, b"...", min(room, <size_t>3))
        line.used += min(room, <size_t>3)
    if room:
        to[min(line.used, room - 1)] = 0
    return line.used


cdef bint wants_space(const Line *line, const Token *token) noexcept nogil:
    """In front of this token, where there is some: not inside of brackets, nor in front of a comma."""
    if line.used == 0 or line.to[line.used - 1] == c"(":
        return False
    return not (is_symbol(token, c")") or is_symbol(token, c",") or is_symbol(token, c";"))


cdef bint put(Line *line, const void *data, size_t size) noexcept nogil:
    """False: it does not fit."""
    if line.used + size > line.room:
        return False
    memcpy(line.to + line.used, data, size)
    line.used += size
    return True


cdef bint put_token(Line *line, const Token *token) noexcept nogil:
    line.in_number = token.kind == TOKEN_OTHER and c"0" <= token.text[0] <= c"9"
    if token.kind != TOKEN_STRING and (token.kind != TOKEN_OTHER or is_parameter(token)):
        return put(line, token.text, token.size)
    return follows_value(line) or put(line, b"?", 1)


cdef bint goes_on(const Line *line, const Token *token) noexcept nogil:
    """Is it part of the number that stands directly in front of it: .5 of 0.5, e5 of 1e5?"""
    return line.in_number and (token.kind == TOKEN_WORD or token.kind == TOKEN_OTHER or is_symbol(token, c"."))


cdef bint is_parameter(const Token *token) noexcept nogil:
    """$1, and no string in dollar quotes?"""
    return token.text[0] == c"$" and token.size > 1 and c"0" <= token.text[1] <= c"9"


cdef bint follows_value(Line *line) noexcept nogil:
    """Is it one more in a list?  Then the comma goes, and what stands there stands for all of them."""
    cdef size_t at = line.used
    while at and line.to[at - 1] == c" ":
        at -= 1
    if at < 2 or line.to[at - 1] != c",":
        return False
    at -= 1
    while at and line.to[at - 1] == c" ":
        at -= 1
    if at == 0 or line.to[at - 1] != c"?":
        return False
    line.used = at
    return True
