"""What howdah reads of extended-protocol messages: which statement a Parse, Bind or Describe is about.

Takes bytes, gives a verdict.  Called by `relay`.
"""

from libc.stdint cimport uint8_t

from howdah.wire.bytes cimport Reader, left, read_string, read_u8, reader


cdef StatementName parse_name(const uint8_t *body, size_t size) noexcept nogil:
    """Is the Parse whose body starts here (and may be cut short) for the unnamed statement?"""
    if size == 0:
        return NAME_CUT
    return NAME_UNNAMED if body[0] == 0 else NAME_NAMED


cdef StatementName bind_name(const uint8_t *body, size_t size) noexcept nogil:
    """The same for a Bind, where the portal's name comes first."""
    cdef Reader r = reader(body, size)
    cdef size_t length = 0
    read_string(&r, &length)
    if not r.ok:
        return NAME_CUT
    return parse_name(r.at, left(&r))


cdef StatementName describe_name(const uint8_t *body, size_t size) noexcept nogil:
    """The same for a Describe; a portal's name is no statement's and counts as named."""
    cdef Reader r = reader(body, size)
    cdef uint8_t kind = read_u8(&r)
    if not r.ok:
        return NAME_CUT
    return parse_name(r.at, left(&r)) if kind == c"S" else NAME_NAMED
