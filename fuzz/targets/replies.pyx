"""Backend messages that howdah reads: the first byte picks the reader, the rest is the body."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen

from howdah.wire.replies cimport (
    ErrorFields,
    parameters_shape,
    read_error,
    read_key_data,
    read_parameter_status,
    result_shape,
)

cdef extern from "claim.h" nogil:
    void claim(bint holds)


cdef void claim_inside_or_empty(const char *text, const uint8_t *body, size_t size) noexcept nogil:
    """A field is an empty string where the message has none, else a string that ends inside the message."""
    if text[0] == 0:
        return
    claim(text >= <const char *>body and text + strlen(text) < <const char *>body + size)


cdef void error_response(const uint8_t *body, size_t size) noexcept nogil:
    cdef ErrorFields fields
    if not read_error(body, size, &fields):
        return
    claim_inside_or_empty(fields.severity, body, size)
    claim_inside_or_empty(fields.sqlstate, body, size)
    claim_inside_or_empty(fields.message, body, size)


cdef void parameter_status(const uint8_t *body, size_t size) noexcept nogil:
    cdef const char *name
    cdef const char *value
    if not read_parameter_status(body, size, &name, &value):
        return
    claim(name == <const char *>body)
    claim(value == name + strlen(name) + 1)
    claim(value + strlen(value) + 1 == <const char *>body + size)


cdef void key_data(const uint8_t *body, size_t size) noexcept nogil:
    cdef uint32_t pid
    cdef const uint8_t *secret
    cdef uint32_t secret_size
    if read_key_data(body, size, &pid, &secret, &secret_size):
        claim(secret == body + 4 and secret + secret_size == body + size)


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    if size == 0:
        return 0
    if data[0] == c"E":
        error_response(data + 1, size - 1)
    elif data[0] == c"S":
        parameter_status(data + 1, size - 1)
    elif data[0] == c"K":
        key_data(data + 1, size - 1)
    elif data[0] == c"T":
        claim(result_shape(parameters_shape(data + 1, size - 1), data + 1, size - 1) != 0)
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
