"""Passwords in clear and as MD5, and what SASL messages wrap their data in."""

from libc.stdint cimport int32_t, uint8_t

cpdef enum:
    MD5_TEXT = 36  # "md5", 32 hexadecimal digits, NUL

cdef void md5_of_password(const char *password, const char *user, char *to) noexcept nogil
cdef void md5_of_challenge(const char *md5_secret, const uint8_t *salt4, char *to) noexcept nogil
cdef bint read_password_message(const uint8_t *body, size_t size, const char **password,
                                size_t *password_size) noexcept nogil
cdef bint read_sasl_initial(const uint8_t *body, size_t size, const char **mechanism, const uint8_t **data,
                            int32_t *data_size) noexcept nogil
cdef bint read_sasl_mechanisms(const uint8_t *body, size_t size, bint *scram, bint *plus) noexcept nogil
