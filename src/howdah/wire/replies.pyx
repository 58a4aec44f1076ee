"""Contents of the few backend messages that howdah reads: errors, descriptions, ParameterStatus, BackendKeyData.

Takes bytes, gives pointers into them.  False means that the contents do not fit the message's type.  Called by
`handshake`, `relay` and `recycle`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdio cimport snprintf
from libc.stdlib cimport atoi
from libc.string cimport strlen, strstr

from howdah.wire cimport tags
from howdah.wire.bytes cimport (
    Reader,
    Writer,
    begin_message,
    end_message,
    left,
    read_bytes,
    read_string,
    read_u8,
    read_u32,
    reader,
    write_bytes,
    write_string,
    write_u8,
)


cdef bint read_error(const uint8_t *body, size_t size, ErrorFields *fields) noexcept nogil:
    """ErrorResponse or NoticeResponse; fields the server left out are empty strings."""
    cdef Reader r = reader(body, size)
    cdef uint8_t code
    cdef const char *text
    cdef size_t length = 0
    fields.severity = fields.sqlstate = fields.message = fields.routine = b""
    while True:
        code = read_u8(&r)
        if code == 0:
            return r.ok
        text = read_string(&r, &length)
        if not r.ok:
            return False
        if code == c'V' or (code == c'S' and fields.severity[0] == 0):
            fields.severity = text
        elif code == c'C':
            fields.sqlstate = text
        elif code == c'M':
            fields.message = text
        elif code == c'R':
            fields.routine = text


cdef void compose_renamed_error(Writer *w, const uint8_t *body, size_t size, const char *old,
                                const char *new, int shift) noexcept nogil:
    """An ErrorResponse that `read_error` has found well-formed, with `new` for the first `old` in its message, and with
    its position in the text `shift` characters further to the front."""
    cdef Reader r = reader(body, size)
    cdef size_t mark = begin_message(w, tags.ERROR_RESPONSE)
    cdef uint8_t code = read_u8(&r)
    cdef const char *text
    cdef const char *at
    cdef size_t length = 0
    while code:
        write_u8(w, code)
        text = read_string(&r, &length)
        at = strstr(text, old) if code == c'M' and old[0] else NULL
        if code == c'P' and shift:
            write_position(w, text, shift)
        elif at == NULL:
            write_string(w, text)
        else:
            write_bytes(w, text, at - text)
            write_bytes(w, new, strlen(new))
            write_string(w, at + strlen(old))
        code = read_u8(&r)
    write_u8(w, 0)
    end_message(w, mark)


cdef void write_position(Writer *w, const char *text, int shift) noexcept nogil:
    cdef char[16] number
    snprintf(number, sizeof(number), b"%d", <int>max(atoi(text) - shift, 1))
    write_string(w, number)


cdef uint32_t mixed(uint32_t shape, const uint8_t *data, size_t size) noexcept nogil:
    """FNV-1a: short inputs, and nothing to gain for who makes two that are alike."""
    for i in range(size):
        shape = (shape ^ data[i]) * <uint32_t>16777619
    return shape


cdef uint32_t parameters_shape(const uint8_t *body, size_t size) noexcept nogil:
    """ParameterDescription, in a number."""
    return mixed(<uint32_t>2166136261, body, size)


cdef uint32_t result_shape(uint32_t parameters, const uint8_t *body, size_t size) noexcept nogil:
    """RowDescription, or NoData with its empty body, in a number that is never 0: names and types of the columns, and
    the shape of the parameters.  Which table they are from and the formats do not count, as in PostgreSQL's own
    comparison (equalRowTypes, src/backend/access/common/tupdesc.c)."""
    cdef Reader r = reader(body, size)
    cdef uint32_t shape = mixed(parameters, body, 2 if size >= 2 else 0)
    cdef size_t length = 0
    cdef const char *name
    read_bytes(&r, 2)
    while left(&r):
        name = read_string(&r, &length)
        read_bytes(&r, 6)  # table and column
        if not r.ok or left(&r) < 12:
            break
        shape = mixed(shape, <const uint8_t *>name, length + 1)
        shape = mixed(shape, read_bytes(&r, 10), 10)  # type, its size and its modifier
        read_bytes(&r, 2)
    return shape or 1


cdef bint read_parameter_status(const uint8_t *body, size_t size, const char **name, const char **value) noexcept nogil:
    cdef Reader r = reader(body, size)
    cdef size_t length = 0
    name[0] = read_string(&r, &length)
    value[0] = read_string(&r, &length)
    return r.ok and left(&r) == 0


cdef bint read_key_data(const uint8_t *body, size_t size, uint32_t *pid, const uint8_t **secret,
                        uint32_t *secret_size) noexcept nogil:
    """BackendKeyData; the secret is 4 bytes in protocol 3.0 and up to 256 in 3.2."""
    cdef Reader r = reader(body, size)
    pid[0] = read_u32(&r)
    secret_size[0] = <uint32_t>left(&r)
    secret[0] = read_bytes(&r, secret_size[0])
    return r.ok and 4 <= secret_size[0] <= 256
