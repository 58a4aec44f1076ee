"""Where `analysis` is in a text."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.sql.effects cimport Analysis
from howdah.sql.lexer cimport Lexer, Token

# On the stack of `analysis`; owns nothing.
cdef struct Scan:
    Lexer lexer
    Analysis *found
    const uint8_t *start  # of the text
    int32_t depth  # of brackets
    int32_t atomic  # BEGIN ATOMIC and CASE without their END: semicolons end no statement
    # Of the statement at hand:
    Token token  # at hand
    Token last  # the one before, where it matters
    const uint8_t *head  # the first of names with dots between them, of which the token at hand is the last
    const uint8_t *before  # what stands in front of that; NULL: nothing
    uint32_t dots
    const uint8_t *verb  # its first word
    const uint8_t *inserting  # the INSERT or MERGE that the next INTO belongs to
    bint is_insert  # its verb is INSERT
    bint begins_with  # it begins with WITH
    bint creates  # it may yet be a CREATE TABLE ... AS EXECUTE
    bint joins  # there has been a JOIN, or a MERGE: ON may stand in front of an expression
    bint is_odd  # a closing bracket may stand in front of an expression: DISTINCT ON (...), OPERATOR(...)
    bint updates
    bint names_settings  # it names the view pg_settings

cdef void advance(Scan *s) noexcept nogil
cdef bint at_end(const Scan *s) noexcept nogil
cdef Token ahead(const Scan *s) noexcept nogil
cdef Token token_at(const Scan *s, const uint8_t *place) noexcept nogil
cdef bint comes_keyword(const Scan *s, uint8_t keyword) noexcept nogil
cdef void note(Scan *s, uint32_t effects) noexcept nogil
cdef uint32_t offset_of(const Scan *s, const Token *token) noexcept nogil
