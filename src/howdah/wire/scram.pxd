"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, RFC 5929), the server's side and the client's."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from howdah.wire.bytes cimport Writer

cpdef enum:
    SCRAM_KEY = 32  # bytes of every key, signature and proof
    SCRAM_LARGEST_SALT = 64  # bytes
    SCRAM_LARGEST_FIRST = 1024  # bytes of a client-first-message we read
    SCRAM_LARGEST_MESSAGE = 1024  # of any other, as PostgreSQL has it
    SCRAM_LARGEST_END_POINT = 64  # bytes of a certificate's hash
    SCRAM_LARGEST_ITERATIONS = 200000  # that a server may ask of us: 50 ms of a worker's time
    SCRAM_NONCE = 18  # random bytes of ours
    SCRAM_NONCE_TEXT = 24  # the same in base64

cpdef enum ScramVerdict:
    SCRAM_OK = 0
    SCRAM_MALFORMED = 1
    SCRAM_WRONG = 2  # the proof, or the server's signature
    SCRAM_BINDING = 3  # the channel binding is not this connection's, or somebody took PLUS out of our offer
    SCRAM_SERVER_ERROR = 4  # the server says e=
    SCRAM_UNSUPPORTED = 5  # an authorization identity, or an extension that must not be ignored

# What a server must know of a password.  A value: copied freely, wiped by whoever wants it gone.
cdef struct ScramKeys:
    uint32_t iterations
    uint8_t salt_size
    uint8_t[64] salt
    uint8_t[32] stored_key
    uint8_t[32] server_key

# A login at us.  Made by the client's login, which keeps client-first-message-bare beside it; freed with it.
cdef struct ScramServer:
    uint8_t flag  # 'n', 'y' or 'p', as the client said
    uint8_t[18] nonce  # ours, random
    uint16_t nonce_at  # where the client's nonce is in client-first-message-bare
    uint16_t nonce_size

# A login of ours at PostgreSQL.  Made by the server's login, freed with it.
cdef struct ScramClient:
    uint8_t flag  # 'n', 'y' or 'p', as we said
    bint signed  # `signature` is what the server must know
    char[24] nonce
    uint8_t[32] signature

cdef void scram_derive(const char *password, size_t size, const uint8_t *salt, uint8_t salt_size, uint32_t iterations,
                       ScramKeys *keys, uint8_t *client_key) noexcept nogil
cdef void scram_mock(const uint8_t *key, const char *user, uint32_t iterations, ScramKeys *keys) noexcept nogil

cdef ScramVerdict scram_read_first(ScramServer *s, const uint8_t *data, size_t size, bint plus, bint plus_offered,
                                   const uint8_t **bare, size_t *bare_size) noexcept nogil
cdef bint scram_write_challenge(ScramServer *s, const uint8_t *bare, size_t bare_size, const ScramKeys *keys,
                                Writer *to) noexcept nogil
cdef ScramVerdict scram_read_final(ScramServer *s, const uint8_t *bare, size_t bare_size, const ScramKeys *keys,
                                   const uint8_t *end_point, size_t end_point_size, const uint8_t *data, size_t size,
                                   uint8_t *client_key, Writer *to) noexcept nogil

cdef bint scram_client_first(ScramClient *c, bint plus, bint tls, Writer *to) noexcept nogil
cdef ScramVerdict scram_client_final(ScramClient *c, const uint8_t *data, size_t size, const char *password,
                                     size_t password_size, const ScramKeys *keys, const uint8_t *client_key,
                                     const uint8_t *end_point, size_t end_point_size, Writer *to) noexcept nogil
cdef ScramVerdict scram_client_verify(ScramClient *c, const uint8_t *data, size_t size) noexcept nogil
