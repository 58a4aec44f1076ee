"""Contents of the few backend messages that howdah reads."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Writer

cdef struct ErrorFields:
    const char *severity  # untranslated where the server sends it; all valid as long as the input is
    const char *sqlstate
    const char *message
    const char *routine  # in PostgreSQL's source: the same in every language

cdef bint read_error(const uint8_t *body, size_t size, ErrorFields *fields) noexcept nogil
cdef void compose_renamed_error(Writer *w, const uint8_t *body, size_t size, const char *old,
                                const char *new, int shift) noexcept nogil
cdef uint32_t parameters_shape(const uint8_t *body, size_t size) noexcept nogil
cdef uint32_t result_shape(uint32_t parameters, const uint8_t *body, size_t size) noexcept nogil
cdef bint read_parameter_status(const uint8_t *body, size_t size, const char **name, const char **value) noexcept nogil
cdef bint read_key_data(const uint8_t *body, size_t size, uint32_t *pid, const uint8_t **secret,
                        uint32_t *secret_size) noexcept nogil
