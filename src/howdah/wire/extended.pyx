"""What howdah reads of extended-protocol messages: the statement's name at the front of a Parse.

Takes bytes, gives a verdict.  Called by `relay`.
"""

from libc.stdint cimport uint8_t


cdef StatementName parse_name(const uint8_t *body, size_t size) noexcept nogil:
    """Is the Parse whose body starts here (and may be cut short) for the unnamed statement?"""
    if size == 0:
        return NAME_CUT
    return NAME_UNNAMED if body[0] == 0 else NAME_NAMED
