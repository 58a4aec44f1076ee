"""Calls `howdah.sql` from Python; see `howdah_probe.frame` on why the input is copied."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from howdah.sql cimport effects, lexer, transaction
from howdah.sql.lexer cimport TOKEN_END, Token
from howdah.wire.bytes cimport Reader, reader

from howdah.sql.lexer import TokenKind
from howdah.sql.transaction import TransactionCommand


cdef uint8_t *copied(bytes data) except NULL:
    cdef uint8_t *copy = <uint8_t *>malloc(max(len(data), 1))
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char *>data, len(data))
    return copy


def transaction_command(bytes text):
    """(command, whether it is without modes)."""
    cdef uint8_t *copy = copied(text)
    cdef bint plain = False
    command = TransactionCommand(transaction.transaction_command(copy, len(text), &plain))
    free(copy)
    return command, plain


def may_drop_statements(bytes text):
    cdef uint8_t *copy = copied(text)
    found = effects.may_drop_statements(copy, len(text))
    free(copy)
    return found


def tokens(bytes text):
    """[(kind, text)] up to the end, which is left out."""
    cdef uint8_t *copy = copied(text)
    cdef Reader rest = reader(copy, len(text))
    cdef Token token
    found = []
    while True:
        token = lexer.next_token(&rest)
        if token.kind == TOKEN_END:
            break
        found.append((TokenKind(token.kind), (<const char *>token.text)[:token.size]))
        if token.size == 0:
            break
    free(copy)
    return found
