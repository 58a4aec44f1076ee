"""Names in certificates: what is given out is a whole, short C string, whatever the certificate holds.

An input is a certificate in DER, or with an odd first byte a common name: its ASN.1 type and its bytes, for which a
certificate is made here (nearly every change to DER makes it no certificate at all).
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, strlen

from howdah.cdefs.openssl cimport (
    X509, X509_NAME, ASN1_STRING_to_UTF8, CRYPTO_free, ERR_clear_error, NID_commonName, X509_free,
    X509_get_subject_name, X509_NAME_ENTRY_get_data, X509_NAME_get_entry, X509_NAME_get_index_by_NID,
)
from howdah.dataplane.certificates cimport (
    LARGEST_END_POINT, LARGEST_NAME, NAME_NONE, NAME_OK, NameVerdict, common_name, distinguished_name, end_point,
)


cdef extern from "claim.h" nogil:
    void claim(bint holds)

cdef extern from "openssl/x509.h" nogil:
    int V_ASN1_UTF8STRING
    int V_ASN1_BMPSTRING
    int V_ASN1_UNIVERSALSTRING
    int V_ASN1_T61STRING
    int V_ASN1_PRINTABLESTRING
    int V_ASN1_IA5STRING
    X509 *d2i_X509(X509 **to, const unsigned char **at, long size) noexcept
    X509 *X509_new() noexcept
    int X509_NAME_add_entry_by_NID(
        X509_NAME *name, int nid, int type, const unsigned char *data, int size, int place, int together
    ) noexcept

ctypedef NameVerdict (*reader_t)(X509 *certificate, char *to, size_t room) noexcept nogil

cdef enum:
    SMALL = 8
    LARGE = 4 * LARGEST_NAME


cdef X509 *named(uint8_t kind, const uint8_t *name, size_t size) noexcept nogil:
    """A certificate with this CN, or NULL where OpenSSL takes no such name."""
    cdef int[6] types = [
        V_ASN1_UTF8STRING, V_ASN1_BMPSTRING, V_ASN1_UNIVERSALSTRING, V_ASN1_T61STRING, V_ASN1_PRINTABLESTRING,
        V_ASN1_IA5STRING,
    ]
    cdef X509 *made = X509_new()
    claim(made != NULL)
    if X509_NAME_add_entry_by_NID(
        X509_get_subject_name(made), NID_commonName, types[kind % 6], name, <int>size, -1, 0
    ) != 1:
        X509_free(made)
        return NULL
    return made


cdef void claim_name(X509 *certificate, reader_t read) noexcept nogil:
    """A name is a C string that fits, and is not cut where there is less room."""
    cdef char[LARGE] large
    cdef char[SMALL] small
    cdef NameVerdict verdict = read(certificate, large, LARGE)
    cdef NameVerdict again = read(certificate, small, SMALL)
    if verdict != NAME_OK:
        claim(again == verdict)
        return
    claim(0 < strlen(large) < LARGE)
    claim((again == NAME_OK) == (strlen(large) < SMALL))
    if again == NAME_OK:
        claim(memcmp(large, small, strlen(large) + 1) == 0)


cdef void claim_common_name(X509 *certificate) noexcept nogil:
    """As long as OpenSSL says: what stands behind a NUL cannot have been lost."""
    cdef X509_NAME *subject = X509_get_subject_name(certificate)
    cdef char[LARGE] text
    cdef unsigned char *whole = NULL
    cdef int size
    cdef int at = -1
    cdef int found = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    cdef NameVerdict verdict = common_name(certificate, text, LARGE)
    claim((found >= 0) or verdict == NAME_NONE)
    if verdict != NAME_OK:
        return
    while found >= 0:
        at = found
        found = X509_NAME_get_index_by_NID(subject, NID_commonName, at)
    size = ASN1_STRING_to_UTF8(&whole, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))
    claim(size > 0 and <size_t>size == strlen(text))
    claim(memcmp(whole, text, size) == 0)
    CRYPTO_free(whole, "certificate_names", 0)


cdef void claim_subject(X509 *certificate) noexcept nogil:
    """RFC 2253 as OpenSSL writes it is printable ASCII."""
    cdef char[LARGE] text
    if distinguished_name(certificate, text, LARGE) == NAME_OK:
        for i in range(<uint32_t>strlen(text)):
            claim(0x20 <= text[i] < 0x7f)


cdef api int one_input(const uint8_t *data, size_t size) noexcept nogil:
    cdef const unsigned char *at = data
    cdef uint8_t[LARGEST_END_POINT] bound
    cdef X509 *certificate = NULL
    if size and data[0] & 1:
        certificate = named(data[0] >> 1, data + 1, size - 1)
    elif size:
        certificate = d2i_X509(NULL, &at, <long>size)
    ERR_clear_error()
    if certificate == NULL:
        return 0
    claim_name(certificate, common_name)
    claim_name(certificate, distinguished_name)
    claim_common_name(certificate)
    claim_subject(certificate)
    claim(end_point(certificate, bound) <= LARGEST_END_POINT)
    X509_free(certificate)
    ERR_clear_error()
    return 0


def replay(bytes data):
    """Run one input from Python: a claim that does not hold ends the process."""
    one_input(<const uint8_t *><const char *>data, len(data))
