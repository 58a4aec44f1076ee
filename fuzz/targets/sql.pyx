"""SQL as far as howdah looks at it: the input is a text."""

from libc.stdint cimport uint8_t

from howdah.sql.effects cimport may_drop_statements
from howdah.sql.lexer cimport TOKEN_END, TOKEN_OTHER, TOKEN_QUOTED, TOKEN_SYMBOL, TOKEN_WORD, Token, next_token
from howdah.sql.transaction cimport COMMAND_OTHER, transaction_command
from howdah.wire.bytes cimport Reader, left, reader

cdef extern from "claim.h" nogil:
    void claim(bint holds)


cdef void claim_tokens(const uint8_t *data, size_t size) noexcept nogil:
    """Tokens follow each other inside the text until it ends."""
    cdef Reader text = reader(data, size)
    cdef const uint8_t *end = data
    cdef Token token
    while True:
        token = next_token(&text)
        claim(token.text >= end and token.text + token.size <= data + size)
        claim(text.at >= token.text + token.size and text.ok)
        if token.kind == TOKEN_END:
            claim(left(&text) == 0 or text.at[0] == 0)
            return
        if token.kind == TOKEN_OTHER and token.size == 0:
            return  # a comment that never ends
        claim(token.size > 0)
        claim(token.kind != TOKEN_SYMBOL or token.size == 1)
        claim(token.kind != TOKEN_QUOTED or (token.size >= 2 and token.text[token.size - 1] == c'"'))
        claim(token.kind != TOKEN_WORD or not c"0" <= token.text[0] <= c"9")
        end = text.at


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef bint plain = False
    claim_tokens(data, size)
    if transaction_command(data, size, &plain) != COMMAND_OTHER:
        claim(size >= 3)
    may_drop_statements(data, size)
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
