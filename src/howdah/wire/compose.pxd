"""Messages that howdah itself sends."""

from libc.stdint cimport uint8_t, uint32_t

from howdah.wire.bytes cimport Writer

cpdef enum:
    LARGEST_ERROR = 1024  # bytes an ErrorResponse of ours takes at most

cdef void compose_error(Writer *w, int reason, const char *detail) noexcept nogil
cdef void compose_notice(Writer *w, int reason, const char *detail) noexcept nogil
cdef const char *reason_message(int reason) noexcept nogil
cdef void compose_notice_text(Writer *w, const char *message) noexcept nogil
cdef void compose_error_of(Writer *w, const char *sqlstate, const char *message, const char *routine) noexcept nogil
cdef void compose_error_text(Writer *w, const char *severity, const char *sqlstate, const char *message) noexcept nogil
cdef void compose_authentication_ok(Writer *w) noexcept nogil
cdef void compose_authentication(Writer *w, uint32_t code) noexcept nogil
cdef void compose_authentication_md5(Writer *w, const uint8_t *salt4) noexcept nogil
cdef void compose_authentication_sasl(Writer *w, bint plus) noexcept nogil
cdef void compose_authentication_data(Writer *w, uint32_t code, const uint8_t *data, size_t size) noexcept nogil
cdef void compose_parameter_status(Writer *w, const char *name, const char *value) noexcept nogil
cdef void compose_backend_key_data(Writer *w, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil
cdef void compose_command_complete(Writer *w, const char *tag) noexcept nogil
cdef void compose_ready(Writer *w, uint8_t status) noexcept nogil
cdef void compose_negotiate(Writer *w, uint32_t version, const char *parameters, uint32_t size,
                            uint32_t unknown) noexcept nogil
cdef void compose_startup(Writer *w, const char *user, const char *database, const char *extra,
                          uint32_t extra_size) noexcept nogil
cdef void compose_cancel(Writer *w, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil
cdef void compose_query(Writer *w, const char *text) noexcept nogil
cdef void write_identifier(Writer *w, const char *name, size_t size) noexcept nogil
cdef void compose_bare(Writer *w, uint8_t tag) noexcept nogil
cdef void compose_parse_head(Writer *w, const char *name, uint32_t size) noexcept nogil
cdef void compose_close_portal(Writer *w, const char *portal) noexcept nogil
cdef void compose_bind(Writer *w, const char *portal, const char *name) noexcept nogil
cdef void compose_describe(Writer *w, const char *name) noexcept nogil
cdef void compose_close(Writer *w, const char *name) noexcept nogil
cdef void compose_execute(Writer *w, const char *portal) noexcept nogil
cdef void compose_copy_fail(Writer *w, const char *message) noexcept nogil
cdef void compose_password(Writer *w, const char *text, size_t size) noexcept nogil
cdef void compose_sasl_initial(Writer *w, const char *mechanism, const uint8_t *data, size_t size) noexcept nogil
cdef void compose_sasl_response(Writer *w, const uint8_t *data, size_t size) noexcept nogil
cdef void compose_ssl_request(Writer *w) noexcept nogil
