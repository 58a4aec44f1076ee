"""What is read out of certificates: names, dates, the hash that SCRAM binds to.

A name with a NUL in it is never given out: as a C string it would be another one (CVE-2009-4034).  Called by `tls`,
and through `engine` by the control plane.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy

from howdah.cdefs.openssl cimport (
    ASN1_STRING,
    ASN1_TIME,
    BIO,
    EVP_MD,
    GEN_DNS,
    GEN_IPADD,
    GENERAL_NAME,
    GENERAL_NAMES,
    NID_commonName,
    NID_md5,
    NID_sha1,
    NID_subject_alt_name,
    NID_undef,
    X509,
    X509_NAME,
    XN_FLAG_RFC2253,
    ASN1_STRING_free,
    ASN1_STRING_get0_data,
    ASN1_STRING_length,
    ASN1_STRING_to_UTF8,
    ASN1_TIME_diff,
    ASN1_TIME_set,
    BIO_free,
    BIO_get_mem_data,
    BIO_new,
    BIO_new_mem_buf,
    BIO_s_mem,
    CRYPTO_free,
    ERR_clear_error,
    ERR_get_error,
    ERR_reason_error_string,
    EVP_get_digestbynid,
    EVP_sha256,
    GENERAL_NAME_get0_value,
    GENERAL_NAMES_free,
    PEM_read_bio_X509,
    X509_digest,
    X509_free,
    X509_get0_notAfter,
    X509_get0_notBefore,
    X509_get_ext_d2i,
    X509_get_signature_info,
    X509_get_subject_name,
    X509_NAME_ENTRY_get_data,
    X509_NAME_get_entry,
    X509_NAME_get_index_by_NID,
    X509_NAME_print_ex,
    sk_GENERAL_NAME_num,
    sk_GENERAL_NAME_value,
)

import ipaddress
from typing import NamedTuple


class TlsError(ValueError):
    """See engine.pyi."""


class CertificateFacts(NamedTuple):
    """See engine.pyi."""

    subject: str
    names: tuple
    not_before_s: int
    not_after_s: int


cdef NameVerdict copy_name(const char *text, size_t size, char *to, size_t room) noexcept nogil:
    if size == 0:
        return NAME_NONE
    if size >= room or memchr(text, 0, size) != NULL:
        return NAME_BAD
    memcpy(to, text, size)
    to[size] = 0
    return NAME_OK


cdef NameVerdict common_name(X509 *certificate, char *to, size_t room) noexcept nogil:
    """The subject's CN, as UTF-8.  Of several PostgreSQL takes the first; nobody should have to know: none is taken."""
    cdef X509_NAME *subject = X509_get_subject_name(certificate)
    cdef int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    cdef unsigned char *text = NULL
    cdef int size
    cdef NameVerdict verdict
    if at < 0:
        return NAME_NONE
    if X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0:
        return NAME_BAD
    size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))
    if size < 0:
        ERR_clear_error()
        return NAME_BAD
    verdict = copy_name(<const char *>text, size, to, room)
    CRYPTO_free(text, "certificates", 0)
    return verdict


cdef NameVerdict distinguished_name(X509 *certificate, char *to, size_t room) noexcept nogil:
    """The whole subject by RFC 2253."""
    cdef BIO *bio = BIO_new(BIO_s_mem())
    cdef char *text = NULL
    cdef long size
    cdef NameVerdict verdict = NAME_BAD
    if bio == NULL:
        return NAME_BAD
    if X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0:
        size = BIO_get_mem_data(bio, &text)
        verdict = copy_name(text, max(size, 0), to, room)
    BIO_free(bio)
    return verdict


cdef int signature_digest(X509 *certificate) noexcept nogil:
    """The hash in the certificate's signature; NID_undef: it has none, as with Ed25519."""
    cdef int digest = NID_undef
    cdef int key = NID_undef
    cdef int bits = 0
    cdef uint32_t flags = 0
    if certificate == NULL or not X509_get_signature_info(certificate, &digest, &key, &bits, &flags):
        ERR_clear_error()
        return NID_undef
    return digest


cdef bint has_end_point(X509 *certificate) noexcept nogil:
    """Is there a tls-server-end-point?  RFC 5929 says nothing of signatures without a hash of their own."""
    return signature_digest(certificate) != NID_undef


cdef size_t end_point(X509 *certificate, uint8_t *to) noexcept nogil:
    """tls-server-end-point of RFC 5929 (at most LARGEST_END_POINT bytes); 0: the certificate has none."""
    cdef int digest = signature_digest(certificate)
    cdef unsigned int size = 0
    cdef const EVP_MD *method
    if digest == NID_undef:
        return 0
    method = EVP_sha256() if digest == NID_md5 or digest == NID_sha1 else EVP_get_digestbynid(digest)
    if method == NULL or not X509_digest(certificate, method, to, &size):
        ERR_clear_error()
        return 0
    return size


# ---- for the control plane -----------------------------------------------------------------------------------------

cdef str openssl_says():
    """The first error in OpenSSL's queue, which is empty afterwards."""
    cdef unsigned long error = ERR_get_error()
    cdef const char *text = ERR_reason_error_string(error) if error else NULL
    ERR_clear_error()
    return (<bytes>text).decode("utf-8", "replace") if text != NULL else "unknown error"


cdef long long seconds_of(const ASN1_TIME *time):
    cdef ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0)
    cdef int days = 0
    cdef int seconds = 0
    ASN1_TIME_diff(&days, &seconds, epoch, time)
    ASN1_STRING_free(<ASN1_STRING *>epoch)
    return days * 86400ll + seconds


cdef tuple names_of(X509 *certificate):
    """DNS names and IP addresses of the alternative names, else the CN."""
    cdef GENERAL_NAMES *names = <GENERAL_NAMES *>X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL)
    cdef GENERAL_NAME *name
    cdef ASN1_STRING *value
    cdef int kind = 0
    cdef char[LARGEST_NAME] text
    found = []
    if names != NULL:
        for i in range(sk_GENERAL_NAME_num(names)):
            name = sk_GENERAL_NAME_value(names, i)
            value = <ASN1_STRING *>GENERAL_NAME_get0_value(name, &kind)
            if kind != GEN_DNS and kind != GEN_IPADD:
                continue
            octets = (<const char *>ASN1_STRING_get0_data(value))[:ASN1_STRING_length(value)]
            if kind == GEN_DNS:
                found.append(octets.decode("ascii", "backslashreplace"))
            elif len(octets) in (4, 16):
                found.append(str(ipaddress.ip_address(octets)))
        GENERAL_NAMES_free(names)
    ERR_clear_error()
    if not found and common_name(certificate, text, sizeof(text)) == NAME_OK:
        found.append((<bytes>(<char *>text)).decode("utf-8", "replace"))
    return tuple(found)


cdef object facts_of(X509 *certificate):
    cdef char[4 * LARGEST_NAME] subject
    cdef NameVerdict verdict = distinguished_name(certificate, subject, sizeof(subject))
    return CertificateFacts(
        (<bytes>(<char *>subject)).decode("utf-8", "replace") if verdict == NAME_OK else "",
        names_of(certificate),
        seconds_of(X509_get0_notBefore(certificate)),
        seconds_of(X509_get0_notAfter(certificate)))


def read_certificates(bytes pem):
    """See engine.pyi."""
    cdef BIO *bio = BIO_new_mem_buf(<const char *>pem, <int>len(pem))
    cdef X509 *certificate
    found = []
    if bio == NULL:
        raise MemoryError
    ERR_clear_error()  # what other work of this thread left there would count as this text's
    try:
        while True:
            certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)
            if certificate == NULL:
                break
            try:
                found.append(facts_of(certificate))
            finally:
                X509_free(certificate)
    finally:
        BIO_free(bio)
    says = openssl_says()
    if says != "no start line":
        raise TlsError(f"a certificate in it is broken: {says}")
    if not found:
        raise TlsError("there is no certificate in it")
    return found
