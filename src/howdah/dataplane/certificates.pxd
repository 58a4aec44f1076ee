"""What is read out of certificates: names, dates, the hash that SCRAM binds to."""

from libc.stdint cimport uint8_t

from howdah.cdefs.openssl cimport X509

cpdef enum:
    LARGEST_END_POINT = 64
    LARGEST_NAME = 256  # of a certificate's subject that may become a user name; longer ones are nobody's

cpdef enum NameVerdict:
    NAME_OK
    NAME_NONE  # the certificate has none
    NAME_BAD  # longer than LARGEST_NAME, with a NUL in it, or one of several

cdef NameVerdict common_name(X509 *certificate, char *to, size_t room) noexcept nogil
cdef NameVerdict distinguished_name(X509 *certificate, char *to, size_t room) noexcept nogil
cdef bint has_end_point(X509 *certificate) noexcept nogil
cdef size_t end_point(X509 *certificate, uint8_t *to) noexcept nogil
cdef str openssl_says()
