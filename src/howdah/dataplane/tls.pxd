"""TLS as a filter between bytes on a socket and bytes of the protocol."""

from libc.stdint cimport uint8_t

from howdah.cdefs.openssl cimport SSL, SSL_CTX, SSL_SESSION

cpdef enum:
    TLS_RECORD = 16384  # most plain bytes in one record
    TLS_ROOM = 17408  # a record with everything around it, at most
    # How many plain bytes `tls_seal` takes at once, and the room it needs for what they become (and for a handshake).
    TLS_BATCH = 65536
    TLS_SEALED = TLS_BATCH + 16384

cpdef enum TlsVerdict:
    TLS_OK
    TLS_ENDED  # the other side has said goodbye
    TLS_FAILED  # see `tls_problem`

# One connection's TLS.  Made by `tls_new`, freed by `tls_free`; belongs to its connection and so to that one's worker.
# The four fields behind `ssl` mean something during a call only.
cdef struct Tls:
    SSL *ssl
    bint established  # the handshake was done once
    const uint8_t *incoming
    size_t incoming_size
    uint8_t *outgoing
    size_t outgoing_used
    SSL_SESSION *session  # the last one the server gave us; ours to free
    unsigned long error
    long verify_error

cdef SSL_CTX *tls_context(object plan, bint towards_clients) except NULL
cdef Tls *tls_accept(SSL_CTX *context, bint ticket) noexcept nogil
cdef Tls *tls_connect(SSL_CTX *context) noexcept nogil
cdef void tls_free(Tls *tls) noexcept nogil
cdef bint tls_expect(Tls *tls, const char *host, bint verify_name) noexcept nogil
cdef void tls_resume(Tls *tls, SSL_SESSION *session) noexcept nogil
cdef TlsVerdict tls_begin(Tls *tls, uint8_t *sealed, size_t *used) noexcept nogil
cdef TlsVerdict tls_open(Tls *tls, const uint8_t *data, size_t size, uint8_t *to, size_t room, size_t *got,
                         uint8_t *sealed, size_t *used) noexcept nogil
cdef TlsVerdict tls_seal(Tls *tls, const uint8_t *data, size_t size, uint8_t *sealed, size_t *used) noexcept nogil
cdef size_t tls_goodbye(Tls *tls, uint8_t *sealed) noexcept nogil
cdef bint tls_established(const Tls *tls) noexcept nogil
cdef bint tls_speaks_postgresql(const Tls *tls) noexcept nogil
cdef const char *tls_problem(const Tls *tls) noexcept nogil
cdef void tls_describe(const Tls *tls, char *to, size_t room) noexcept nogil
cdef const char *tls_server_name(const Tls *tls) noexcept nogil
