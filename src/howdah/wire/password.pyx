"""Passwords in clear and as MD5, and what SASL messages wrap their data in.

Takes bodies of messages, gives pointers into them; decides nothing.  False means that the body is malformed.  Called by
the logins on both sides.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, strcmp, strlen

from howdah.cdefs.crypto cimport (
    EVP_MD, EVP_MD_CTX, EVP_DigestFinal_ex, EVP_DigestInit_ex2, EVP_DigestUpdate, EVP_MD_CTX_free, EVP_MD_CTX_new,
    EVP_MD_fetch, RAND_bytes,
)
from howdah.wire.bytes cimport Reader, left, read_string, read_u32, reader

cdef enum:
    MD5_SIZE = 16
    MD5_DIGITS = 32

cdef const char *DIGITS = b"0123456789abcdef"

#: NULL where the system's policy forbids MD5; then no MD5 password fits.
cdef EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL)


cdef void md5_of_password(const char *password, const char *user, char *to) noexcept nogil:
    """What PostgreSQL keeps of an MD5 password, as 36 bytes with NUL."""
    hash_pair(password, strlen(password), user, strlen(user), to)


cdef void md5_of_challenge(const char *md5_secret, const uint8_t *salt4, char *to) noexcept nogil:
    """The answer to AuthenticationMD5Password, from "md5" and 32 digits; 36 bytes with NUL."""
    hash_pair(md5_secret + 3, MD5_DIGITS, salt4, 4, to)


cdef void hash_pair(const void *a, size_t a_size, const void *b, size_t b_size, char *to) noexcept nogil:
    cdef uint8_t[MD5_SIZE] digest
    cdef int i
    if not hashed(a, a_size, b, b_size, digest):
        RAND_bytes(digest, MD5_SIZE)  # equal to nothing anybody can send
    memcpy(to, b"md5", 3)
    for i in range(MD5_SIZE):
        to[3 + 2 * i] = DIGITS[digest[i] >> 4]
        to[4 + 2 * i] = DIGITS[digest[i] & 15]
    to[3 + MD5_DIGITS] = 0


cdef bint hashed(const void *a, size_t a_size, const void *b, size_t b_size, uint8_t *digest) noexcept nogil:
    cdef EVP_MD_CTX *ctx = EVP_MD_CTX_new()
    cdef bint done = (
        ctx != NULL
        and md5 != NULL
        and EVP_DigestInit_ex2(ctx, md5, NULL) == 1
        and EVP_DigestUpdate(ctx, a, a_size) == 1
        and EVP_DigestUpdate(ctx, b, b_size) == 1
        and EVP_DigestFinal_ex(ctx, digest, NULL) == 1
    )
    EVP_MD_CTX_free(ctx)
    return done


cdef bint read_password_message(const uint8_t *body, size_t size, const char **password,
                                size_t *password_size) noexcept nogil:
    """PasswordMessage: one string, nothing behind it.  An empty one is for the caller to refuse, as PostgreSQL does."""
    cdef Reader r = reader(body, size)
    password_size[0] = 0
    password[0] = read_string(&r, password_size)
    return r.ok and left(&r) == 0


cdef bint read_sasl_initial(const uint8_t *body, size_t size, const char **mechanism, const uint8_t **data,
                            int32_t *data_size) noexcept nogil:
    """SASLInitialResponse.  `data_size` -1: the client sends its first data once it got an (empty) challenge."""
    cdef Reader r = reader(body, size)
    cdef size_t length = 0
    mechanism[0] = read_string(&r, &length)
    data_size[0] = <int32_t>read_u32(&r)
    data[0] = r.at
    if not r.ok:
        return False
    if data_size[0] == -1:
        return left(&r) == 0
    return data_size[0] >= 0 and left(&r) == <size_t>data_size[0]


cdef bint read_sasl_mechanisms(const uint8_t *body, size_t size, bint *scram, bint *plus) noexcept nogil:
    """AuthenticationSASL behind its code: which of the mechanisms that we know does the server offer?"""
    cdef Reader r = reader(body, size)
    cdef const char *name
    cdef size_t length = 0
    scram[0] = plus[0] = False
    while True:
        name = read_string(&r, &length)
        if not r.ok:
            return False
        if length == 0:
            return left(&r) == 0
        if strcmp(name, "SCRAM-SHA-256") == 0:
            scram[0] = True
        elif strcmp(name, "SCRAM-SHA-256-PLUS") == 0:
            plus[0] = True
