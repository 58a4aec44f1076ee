"""Messages that howdah itself sends, to clients and to servers.

Writes into the caller's buffer and nothing else.  The texts of errors come from `howdah.reasons`, copied into a C
table by `choose_texts`.  Called by `handshake`, `relay`, `recycle`, `canceller` and `listener`.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport strlen, strncmp, strstr

from howdah.wire cimport tags
from howdah.wire.bytes cimport (
    Writer,
    begin_message,
    end_message,
    write_bytes,
    write_string,
    write_u8,
    write_u16,
    write_u32,
)
from howdah.wire.startup cimport next_parameter

from howdah.reasons import REASONS

cdef enum:
    MOST_REASONS = 256
    PROTOCOL_3_0 = 196608
    CANCEL_CODE = 80877102
    SSL_CODE = 80877103
    AUTHENTICATION_MD5 = 5
    AUTHENTICATION_SASL = 10

cdef struct ErrorText:
    const char *severity
    const char *sqlstate
    const char *message
    const char *hint

cdef ErrorText[MOST_REASONS] errors
cdef list texts = []  # keeps the bytes of `errors` alive


cdef const char *kept(str text):
    cdef bytes encoded = text.encode()
    texts.append(encoded)
    return encoded


def choose_texts(drop_in):
    """Which of the table's texts clients get: ours, or PgBouncer's where it has one.  Before any worker runs."""
    for number, reason in enumerate(REASONS):
        told = reason.told(drop_in)
        errors[number].severity = kept(reason.severity)
        errors[number].sqlstate = kept(told.sqlstate)
        errors[number].message = kept(told.message)
        errors[number].hint = kept(told.hint)


choose_texts(False)


cdef void write_field(Writer *w, uint8_t code, const char *text) noexcept nogil:
    write_u8(w, code)
    write_string(w, text)


cdef void write_filled(Writer *w, const char *message, const char *detail) noexcept nogil:
    """The message, with `detail` (at most 400 bytes of it) where it says %s."""
    cdef const char *hole = strstr(message, "%s")
    if hole == NULL:
        write_string(w, message)
        return
    write_bytes(w, message, hole - message)
    write_bytes(w, detail, min(strlen(detail), <size_t>400))
    write_string(w, hole + 2)


cdef void compose_error(Writer *w, int reason, const char *detail) noexcept nogil:
    """ErrorResponse for one of `howdah.reasons.REASONS`, by number."""
    compose_reason(w, tags.ERROR_RESPONSE, reason, detail)


cdef void compose_notice(Writer *w, int reason, const char *detail) noexcept nogil:
    """NoticeResponse for one of them: the client stays."""
    compose_reason(w, tags.NOTICE_RESPONSE, reason, detail)


cdef const char *reason_message(int reason) noexcept nogil:
    """As it stands in the table."""
    return errors[reason].message


cdef void compose_reason(Writer *w, uint8_t tag, int reason, const char *detail) noexcept nogil:
    cdef ErrorText *text = &errors[reason]
    cdef size_t mark = begin_message(w, tag)
    write_field(w, c'S', text.severity)
    write_field(w, c'V', text.severity)
    write_field(w, c'C', text.sqlstate)
    write_u8(w, c'M')
    write_filled(w, text.message, detail)
    if text.hint[0]:
        write_field(w, c'H', text.hint)
    write_u8(w, 0)
    end_message(w, mark)


cdef void compose_error_text(Writer *w, const char *severity, const char *sqlstate, const char *message) noexcept nogil:
    """ErrorResponse with a text that is not ours, such as the one PostgreSQL gave."""
    compose_text(w, tags.ERROR_RESPONSE, severity, sqlstate, message)


cdef void compose_notice_text(Writer *w, const char *message) noexcept nogil:
    """NoticeResponse with a text that is the operator's."""
    compose_text(w, tags.NOTICE_RESPONSE, "NOTICE", "00000", message)


cdef void compose_text(Writer *w, uint8_t tag, const char *severity, const char *sqlstate,
                       const char *message) noexcept nogil:
    cdef size_t mark = begin_message(w, tag)
    write_field(w, c'S', severity)
    write_field(w, c'V', severity)
    write_field(w, c'C', sqlstate)
    write_field(w, c'M', message)
    write_u8(w, 0)
    end_message(w, mark)


cdef void compose_error_of(Writer *w, const char *sqlstate, const char *message, const char *routine) noexcept nogil:
    """An ERROR as a routine of PostgreSQL's would have raised it."""
    cdef size_t mark = begin_message(w, tags.ERROR_RESPONSE)
    write_field(w, c'S', "ERROR")
    write_field(w, c'V', "ERROR")
    write_field(w, c'C', sqlstate)
    write_field(w, c'M', message)
    write_field(w, c'R', routine)
    write_u8(w, 0)
    end_message(w, mark)


cdef void compose_authentication_ok(Writer *w) noexcept nogil:
    compose_authentication(w, 0)


cdef void compose_authentication(Writer *w, uint32_t code) noexcept nogil:
    """An authentication request that has nothing but its code: 0 Ok, 3 CleartextPassword."""
    compose_authentication_data(w, code, NULL, 0)


cdef void compose_authentication_md5(Writer *w, const uint8_t *salt4) noexcept nogil:
    compose_authentication_data(w, AUTHENTICATION_MD5, salt4, 4)


cdef void compose_authentication_sasl(Writer *w, bint plus) noexcept nogil:
    """AuthenticationSASL; the mechanism we would rather have comes first."""
    cdef size_t mark = begin_message(w, tags.AUTHENTICATION)
    write_u32(w, AUTHENTICATION_SASL)
    if plus:
        write_string(w, "SCRAM-SHA-256-PLUS")
    write_string(w, "SCRAM-SHA-256")
    write_u8(w, 0)
    end_message(w, mark)


cdef void compose_authentication_data(Writer *w, uint32_t code, const uint8_t *data, size_t size) noexcept nogil:
    """An authentication request with data: 11 SASLContinue, 12 SASLFinal."""
    cdef size_t mark = begin_message(w, tags.AUTHENTICATION)
    write_u32(w, code)
    if size:
        write_bytes(w, data, size)
    end_message(w, mark)


cdef void compose_parameter_status(Writer *w, const char *name, const char *value) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.PARAMETER_STATUS)
    write_string(w, name)
    write_string(w, value)
    end_message(w, mark)


cdef void compose_backend_key_data(Writer *w, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.BACKEND_KEY_DATA)
    write_u32(w, pid)
    write_bytes(w, secret, size)
    end_message(w, mark)


cdef void compose_command_complete(Writer *w, const char *tag) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.COMMAND_COMPLETE)
    write_string(w, tag)
    end_message(w, mark)


cdef void compose_ready(Writer *w, uint8_t status) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.READY_FOR_QUERY)
    write_u8(w, status)
    end_message(w, mark)


cdef void compose_negotiate(Writer *w, uint32_t version, const char *parameters, uint32_t size,
                            uint32_t unknown) noexcept nogil:
    """NegotiateProtocolVersion: the newest version we speak and the `_pq_.` parameters we do not know."""
    cdef size_t mark = begin_message(w, tags.NEGOTIATE_PROTOCOL_VERSION)
    cdef const char *at = parameters
    cdef const char *name = NULL
    cdef const char *value = NULL
    write_u32(w, version)
    write_u32(w, unknown)
    while next_parameter(&at, parameters + size, &name, &value):
        if strncmp(name, "_pq_.", 5) == 0:
            write_string(w, name)
    end_message(w, mark)


cdef void compose_startup(Writer *w, const char *user, const char *database, const char *extra,
                          uint32_t extra_size) noexcept nogil:
    """StartupMessage; `extra` is more name and value strings."""
    cdef size_t start = w.used
    write_u32(w, 0)
    write_u32(w, PROTOCOL_3_0)
    write_string(w, "user")
    write_string(w, user)
    write_string(w, "database")
    write_string(w, database)
    write_bytes(w, extra, extra_size)
    write_u8(w, 0)
    end_message(w, start)


cdef void compose_cancel(Writer *w, uint32_t pid, const uint8_t *secret, uint32_t size) noexcept nogil:
    cdef size_t start = w.used
    write_u32(w, 0)
    write_u32(w, CANCEL_CODE)
    write_u32(w, pid)
    write_bytes(w, secret, size)
    end_message(w, start)


cdef void compose_query(Writer *w, const char *text) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.QUERY)
    write_string(w, text)
    end_message(w, mark)


cdef void write_identifier(Writer *w, const char *name, size_t size) noexcept nogil:
    """A quoted identifier of SQL, whatever is in it; in an encoding that PostgreSQL has databases in."""
    write_u8(w, c'"')
    for i in range(size):
        if name[i] == c'"':
            write_u8(w, c'"')
        write_u8(w, name[i])
    write_u8(w, c'"')


cdef void compose_bare(Writer *w, uint8_t tag) noexcept nogil:
    """A message without a body: Sync, Terminate."""
    end_message(w, begin_message(w, tag))


cdef void compose_copy_fail(Writer *w, const char *message) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.COPY_FAIL)
    write_string(w, message)
    end_message(w, mark)


cdef void compose_parse_head(Writer *w, const char *name, uint32_t size) noexcept nogil:
    """A Parse up to its text and parameter types, which are to follow with `size` bytes."""
    write_u8(w, tags.PARSE)
    write_u32(w, 4 + <uint32_t>strlen(name) + 1 + size)
    write_string(w, name)


cdef void compose_close(Writer *w, const char *name) noexcept nogil:
    """Close of a statement."""
    cdef size_t mark = begin_message(w, tags.CLOSE)
    write_u8(w, c"S")
    write_string(w, name)
    end_message(w, mark)


cdef void compose_close_portal(Writer *w, const char *portal) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.CLOSE)
    write_u8(w, c"P")
    write_string(w, portal)
    end_message(w, mark)


cdef void compose_bind(Writer *w, const char *portal, const char *name) noexcept nogil:
    """Without parameters."""
    cdef size_t mark = begin_message(w, tags.BIND)
    write_string(w, portal)
    write_string(w, name)
    for _ in range(3):
        write_u16(w, 0)
    end_message(w, mark)


cdef void compose_describe(Writer *w, const char *name) noexcept nogil:
    """Describe of a statement."""
    cdef size_t mark = begin_message(w, tags.DESCRIBE)
    write_u8(w, c"S")
    write_string(w, name)
    end_message(w, mark)


cdef void compose_execute(Writer *w, const char *portal) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.EXECUTE)
    write_string(w, portal)
    write_u32(w, 0)
    end_message(w, mark)


cdef void compose_password(Writer *w, const char *text, size_t size) noexcept nogil:
    """PasswordMessage: a password in clear or an answer to an MD5 challenge, without NUL in it."""
    cdef size_t mark = begin_message(w, tags.PASSWORD)
    write_bytes(w, text, size)
    write_u8(w, 0)
    end_message(w, mark)


cdef void compose_sasl_initial(Writer *w, const char *mechanism, const uint8_t *data, size_t size) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.PASSWORD)
    write_string(w, mechanism)
    write_u32(w, <uint32_t>size)
    write_bytes(w, data, size)
    end_message(w, mark)


cdef void compose_sasl_response(Writer *w, const uint8_t *data, size_t size) noexcept nogil:
    cdef size_t mark = begin_message(w, tags.PASSWORD)
    write_bytes(w, data, size)
    end_message(w, mark)


cdef void compose_ssl_request(Writer *w) noexcept nogil:
    write_u32(w, 8)
    write_u32(w, SSL_CODE)
