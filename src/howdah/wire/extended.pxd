"""What howdah reads of extended-protocol messages."""

from libc.stdint cimport uint8_t

cpdef enum StatementName:
    NAME_UNNAMED
    NAME_NAMED
    NAME_CUT  # the bytes at hand end before the name does

cdef StatementName parse_name(const uint8_t *body, size_t size) noexcept nogil
cdef StatementName bind_name(const uint8_t *body, size_t size) noexcept nogil
cdef StatementName describe_name(const uint8_t *body, size_t size) noexcept nogil
