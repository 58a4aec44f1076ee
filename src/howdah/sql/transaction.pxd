"""Beginnings and ends of transactions."""

from libc.stdint cimport uint8_t

cpdef enum TransactionCommand:
    COMMAND_OTHER
    COMMAND_BEGIN
    COMMAND_START  # the same, said as START TRANSACTION
    COMMAND_COMMIT
    COMMAND_ROLLBACK

cdef TransactionCommand transaction_command(const uint8_t *text, size_t size, bint *plain) noexcept nogil
