"""What an identifier names."""

from libc.stdint cimport uint32_t

from howdah.sql.lexer cimport Token

cpdef enum:
    LARGEST_IDENTIFIER = 63  # bytes; PostgreSQL cuts longer ones

cdef uint32_t identifier(const Token *token, char *name, uint32_t room) noexcept nogil
