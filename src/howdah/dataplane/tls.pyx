"""TLS as a filter between bytes on a socket and bytes of the protocol.

OpenSSL never touches the socket: `conn` reads as much as there is, `tls_open` makes plain bytes of it, and `tls_seal`
makes records of what is to be sent, which go out in one system call however many they are.  Between two calls OpenSSL
holds at most the beginning of one record.  Called by `conn`, by the two logins, and through `engine` for checks.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, strlen

from howdah.cdefs.openssl cimport (
    BIO,
    BIO_CTRL_FLUSH,
    BIO_METHOD,
    BIO_TYPE_SOURCE_SINK,
    EVP_PKEY,
    SSL,
    SSL_CIPHER,
    SSL_CTX,
    SSL_ERROR_WANT_READ,
    SSL_ERROR_ZERO_RETURN,
    SSL_MODE_NO_AUTO_CHAIN,
    SSL_MODE_RELEASE_BUFFERS,
    SSL_OP_CIPHER_SERVER_PREFERENCE,
    SSL_OP_NO_COMPRESSION,
    SSL_OP_NO_RENEGOTIATION,
    SSL_OP_NO_TLSv1,
    SSL_OP_NO_TLSv1_1,
    SSL_OP_NO_TLSv1_2,
    SSL_OP_NO_TLSv1_3,
    SSL_SESS_CACHE_CLIENT,
    SSL_SESS_CACHE_NO_INTERNAL,
    SSL_SESS_CACHE_OFF,
    SSL_SESSION,
    SSL_TLSEXT_ERR_ALERT_FATAL,
    SSL_TLSEXT_ERR_OK,
    SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    SSL_VERIFY_NONE,
    SSL_VERIFY_PEER,
    TLS1_1_VERSION,
    TLS1_2_VERSION,
    TLS1_3_VERSION,
    TLS1_VERSION,
    TLSEXT_NAMETYPE_host_name,
    X509,
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
    X509_STORE,
    X509_V_OK,
    X509_VERIFY_PARAM,
    BIO_clear_retry_flags,
    BIO_free,
    BIO_get_data,
    BIO_get_new_index,
    BIO_meth_new,
    BIO_meth_set_ctrl,
    BIO_meth_set_read,
    BIO_meth_set_write,
    BIO_new,
    BIO_new_mem_buf,
    BIO_set_data,
    BIO_set_init,
    BIO_set_retry_read,
    ERR_clear_error,
    ERR_peek_last_error,
    ERR_reason_error_string,
    EVP_PKEY_free,
    PEM_read_bio_PrivateKey,
    PEM_read_bio_X509,
    SSL_CIPHER_get_name,
    SSL_CTX_add1_chain_cert,
    SSL_CTX_add_client_CA,
    SSL_CTX_check_private_key,
    SSL_CTX_free,
    SSL_CTX_get_cert_store,
    SSL_CTX_new,
    SSL_CTX_sess_set_new_cb,
    SSL_CTX_set1_groups_list,
    SSL_CTX_set_alpn_select_cb,
    SSL_CTX_set_cipher_list,
    SSL_CTX_set_ciphersuites,
    SSL_CTX_set_default_verify_paths,
    SSL_CTX_set_max_proto_version,
    SSL_CTX_set_min_proto_version,
    SSL_CTX_set_mode,
    SSL_CTX_set_options,
    SSL_CTX_set_session_cache_mode,
    SSL_CTX_set_session_id_context,
    SSL_CTX_set_timeout,
    SSL_CTX_set_tlsext_ticket_keys,
    SSL_CTX_set_verify,
    SSL_CTX_use_certificate,
    SSL_CTX_use_PrivateKey,
    SSL_do_handshake,
    SSL_free,
    SSL_get0_alpn_selected,
    SSL_get0_param,
    SSL_get_app_data,
    SSL_get_current_cipher,
    SSL_get_error,
    SSL_get_servername,
    SSL_get_verify_mode,
    SSL_get_verify_result,
    SSL_get_version,
    SSL_is_init_finished,
    SSL_new,
    SSL_read,
    SSL_SESSION_free,
    SSL_set_accept_state,
    SSL_set_alpn_protos,
    SSL_set_app_data,
    SSL_set_bio,
    SSL_set_connect_state,
    SSL_set_num_tickets,
    SSL_set_quiet_shutdown,
    SSL_set_session,
    SSL_set_tlsext_host_name,
    SSL_shutdown,
    SSL_write,
    TLS_client_method,
    TLS_server_method,
    X509_free,
    X509_STORE_add_cert,
    X509_verify_cert_error_string,
    X509_VERIFY_PARAM_set1_host,
    X509_VERIFY_PARAM_set1_ip_asc,
    X509_VERIFY_PARAM_set_hostflags,
)
from howdah.cdefs.sockets cimport AF_INET, AF_INET6, inet_pton
from howdah.dataplane.certificates cimport openssl_says

from hashlib import sha256

from howdah.dataplane.certificates import TlsError
from howdah.dataplane.plan import TlsMode

cdef extern from "<stdio.h>" nogil:
    int snprintf(char *to, size_t size, const char *format, ...) noexcept

cdef const unsigned char *PROTOCOL = b"\x0apostgresql"  # the ALPN name with its length before it
cdef enum:
    PROTOCOL_SIZE = 11


# ---- the bytes on OpenSSL's other side -----------------------------------------------------------------------------

cdef int bio_read(BIO *bio, char *to, int size) noexcept nogil:
    cdef Tls *tls = <Tls *>BIO_get_data(bio)
    cdef size_t part = min(<size_t>size, tls.incoming_size)
    BIO_clear_retry_flags(bio)
    if part == 0:
        BIO_set_retry_read(bio)
        return -1
    memcpy(to, tls.incoming, part)
    tls.incoming += part
    tls.incoming_size -= part
    return <int>part


cdef int bio_write(BIO *bio, const char *data, int size) noexcept nogil:
    cdef Tls *tls = <Tls *>BIO_get_data(bio)
    BIO_clear_retry_flags(bio)
    if tls.outgoing == NULL or TLS_SEALED - tls.outgoing_used < <size_t>size:
        return -1
    memcpy(tls.outgoing + tls.outgoing_used, data, size)
    tls.outgoing_used += size
    return size


cdef long bio_ctrl(BIO *bio, int command, long number, void *pointer) noexcept nogil:
    return command == BIO_CTRL_FLUSH


cdef BIO_METHOD *between_calls = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "howdah")
BIO_meth_set_read(between_calls, bio_read)
BIO_meth_set_write(between_calls, bio_write)
BIO_meth_set_ctrl(between_calls, bio_ctrl)


# ---- contexts ------------------------------------------------------------------------------------------------------

VERSIONS = {
    "tlsv1.0": TLS1_VERSION, "tlsv1.1": TLS1_1_VERSION, "tlsv1.2": TLS1_2_VERSION, "tlsv1.3": TLS1_3_VERSION}
# OpenSSL's own choice has finite fields, too: one packet of a stranger would cost 50 ms of work (CVE-2002-20001).
CURVES = "X25519:prime256v1:X448:secp521r1:secp384r1"
WITHOUT = {
    "tlsv1.0": SSL_OP_NO_TLSv1, "tlsv1.1": SSL_OP_NO_TLSv1_1, "tlsv1.2": SSL_OP_NO_TLSv1_2,
    "tlsv1.3": SSL_OP_NO_TLSv1_3}


cdef int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
                     unsigned int size, void *arg) noexcept nogil:
    """A client that offers protocols must offer ours."""
    cdef unsigned int at = 0
    while at < size:
        if size - at >= PROTOCOL_SIZE and memcmp(offered + at, PROTOCOL, PROTOCOL_SIZE) == 0:
            out[0] = offered + at + 1
            out_size[0] = PROTOCOL_SIZE - 1
            return SSL_TLSEXT_ERR_OK
        at += 1 + offered[at]
    return SSL_TLSEXT_ERR_ALERT_FATAL


cdef int new_session(SSL *ssl, SSL_SESSION *session) noexcept nogil:
    """A server gives us a session to come back with."""
    cdef Tls *tls = <Tls *>SSL_get_app_data(ssl)
    SSL_SESSION_free(tls.session)
    tls.session = session
    return 1  # the reference is ours now


cdef int no_passphrase(char *to, int size, int writing, void *arg) noexcept nogil:
    return 0  # rather than have OpenSSL ask at the terminal


cdef int check(bint ok, str what) except -1:
    if not ok:
        raise TlsError(f"{what}: {openssl_says()}")
    return 0


cdef class Pem:
    """The certificates or the key of a PEM text, one after the other."""

    cdef BIO *bio
    cdef bytes text

    def __cinit__(self, bytes text):
        self.text = text
        self.bio = BIO_new_mem_buf(<const char *>text, <int>len(text))
        if self.bio == NULL:
            raise MemoryError
        ERR_clear_error()  # what other work of this thread left there would count as this text's

    def __dealloc__(self):
        BIO_free(self.bio)

    cdef X509 *certificate(self) noexcept:
        return PEM_read_bio_X509(self.bio, NULL, no_passphrase, NULL)

    cdef EVP_PKEY *key(self) noexcept:
        return PEM_read_bio_PrivateKey(self.bio, NULL, no_passphrase, NULL)

    cdef int at_end(self, str what, int count) except -1:
        """After the last one: was there any, and nothing broken behind it?"""
        says = openssl_says()
        if count == 0 and says == "no start line":
            raise TlsError(f"{what}: there is no certificate in it")
        if says != "no start line":
            raise TlsError(f"{what}: a certificate in it is broken: {says}")
        return 0


cdef int use_certificate(SSL_CTX *ctx, bytes text) except -1:
    """The chain, the own certificate first."""
    cdef Pem pem = Pem(text)
    cdef X509 *certificate
    cdef int count = 0
    cdef bint ok
    while True:
        certificate = pem.certificate()
        if certificate == NULL:
            return pem.at_end("certificate", count)
        if count == 0:
            ok = SSL_CTX_use_certificate(ctx, certificate) == 1
        else:
            ok = SSL_CTX_add1_chain_cert(ctx, certificate) == 1
        X509_free(certificate)
        check(ok, "certificate")
        count += 1


cdef int use_key(SSL_CTX *ctx, bytes text) except -1:
    cdef EVP_PKEY *key = Pem(text).key()
    cdef bint ok
    if key == NULL:
        raise TlsError(f"key: there is no usable private key in it (is it encrypted?): {openssl_says()}")
    ok = SSL_CTX_use_PrivateKey(ctx, key) == 1 and SSL_CTX_check_private_key(ctx) == 1
    EVP_PKEY_free(key)
    return check(ok, "the key does not belong to the certificate")


cdef int use_ca(SSL_CTX *ctx, bytes text, bint towards_clients) except -1:
    cdef Pem pem = Pem(text)
    cdef X509_STORE *store = SSL_CTX_get_cert_store(ctx)
    cdef X509 *certificate
    cdef int count = 0
    cdef bint ok
    while True:
        certificate = pem.certificate()
        if certificate == NULL:
            return pem.at_end("CA", count)
        ok = X509_STORE_add_cert(store, certificate) == 1
        if ok and towards_clients:
            ok = SSL_CTX_add_client_CA(ctx, certificate) == 1  # told to clients, who choose a certificate by it
        X509_free(certificate)
        check(ok, "CA")
        count += 1


cdef int use_protocols(SSL_CTX *ctx, object protocols) except -1:
    known = [version for version in VERSIONS if version in protocols]
    if not known:
        raise TlsError("protocols: none is left")
    check(SSL_CTX_set_min_proto_version(ctx, VERSIONS[known[0]]) == 1, "protocols")
    check(SSL_CTX_set_max_proto_version(ctx, VERSIONS[known[len(known) - 1]]) == 1, "protocols")
    for version, option in WITHOUT.items():
        if version not in known:
            SSL_CTX_set_options(ctx, option)
    return 0


cdef int use_choices(SSL_CTX *ctx, object plan) except -1:
    use_protocols(ctx, plan.protocols)
    if plan.ciphers:
        check(SSL_CTX_set_cipher_list(ctx, plan.ciphers.encode()) == 1, f"ciphers {plan.ciphers!r}")
    if plan.suites:
        check(SSL_CTX_set_ciphersuites(ctx, plan.suites.encode()) == 1, f"TLS 1.3 ciphers {plan.suites!r}")
    groups = plan.groups or CURVES
    check(SSL_CTX_set1_groups_list(ctx, groups.encode()) == 1, f"curves {groups!r}")
    return 0


cdef int fit_for_clients(SSL_CTX *ctx, object plan) except -1:
    if not plan.certificate or not plan.key:
        raise TlsError("a certificate and its key are needed")
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF)
    # A ticket stands for what was checked, and for the certificate that was shown, when it was given: when any of it
    # changes, it counts for nothing.  (SCRAM binds to the certificate, too.)
    terms = sha256(b"%d\0%b\0%b" % (plan.mode, plan.ca, plan.certificate)).digest()
    SSL_CTX_set_session_id_context(ctx, <const unsigned char *><bytes>terms, <unsigned int>len(terms))
    SSL_CTX_set_timeout(ctx, 7200)  # seconds a ticket is good for
    if plan.ticket_key:
        check(SSL_CTX_set_tlsext_ticket_keys(ctx, <char *><bytes>plan.ticket_key, len(plan.ticket_key)) == 1,
              "ticket key")
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL)
    if plan.mode >= TlsMode.VERIFY_CA:
        if not plan.ca:
            raise TlsError("verifying clients needs a CA")
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL)
    elif plan.ca:
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL)
    return 0


cdef int fit_for_servers(SSL_CTX *ctx, object plan) except -1:
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL)
    SSL_CTX_sess_set_new_cb(ctx, new_session)
    if plan.mode >= TlsMode.VERIFY_CA:
        if not plan.ca:
            check(SSL_CTX_set_default_verify_paths(ctx) == 1, "the system's CAs")
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL)
    else:
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL)
    return 0


cdef SSL_CTX *tls_context(object plan, bint towards_clients) except NULL:
    """The context of a TlsPlan; raises TlsError."""
    ERR_clear_error()  # what other work of this thread left there would count as this plan's
    cdef SSL_CTX *ctx = SSL_CTX_new(TLS_server_method() if towards_clients else TLS_client_method())
    if ctx == NULL:
        raise TlsError(openssl_says())
    try:
        # Without NO_AUTO_CHAIN each handshake would look for the certificate's issuers in the CA's store.
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN)
        SSL_CTX_set_options(
            ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE)
        use_choices(ctx, plan)
        if plan.certificate:
            use_certificate(ctx, plan.certificate)
            use_key(ctx, plan.key)
        if plan.ca:
            use_ca(ctx, plan.ca, towards_clients)
        if towards_clients:
            fit_for_clients(ctx, plan)
        else:
            fit_for_servers(ctx, plan)
    except BaseException:
        SSL_CTX_free(ctx)
        raise
    return ctx


def check_tls(plan, bint towards_clients):
    """See engine.pyi."""
    SSL_CTX_free(tls_context(plan, towards_clients))


# ---- one connection ------------------------------------------------------------------------------------------------

cdef Tls *tls_accept(SSL_CTX *context, bint ticket) noexcept nogil:
    """Towards a client, who gets a session ticket with the handshake or not.  NULL: out of memory."""
    cdef Tls *tls = tls_new(context)
    if tls != NULL:
        SSL_set_accept_state(tls.ssl)
        SSL_set_num_tickets(tls.ssl, 1 if ticket else 0)
    return tls


cdef Tls *tls_connect(SSL_CTX *context) noexcept nogil:
    """Towards a server.  NULL: out of memory."""
    cdef Tls *tls = tls_new(context)
    if tls != NULL:
        SSL_set_connect_state(tls.ssl)
        SSL_set_alpn_protos(tls.ssl, PROTOCOL, PROTOCOL_SIZE)
    return tls


cdef Tls *tls_new(SSL_CTX *context) noexcept nogil:
    cdef Tls *tls = <Tls *>calloc(1, sizeof(Tls))
    cdef BIO *bio
    if tls == NULL:
        return NULL
    bio = BIO_new(between_calls)
    tls.ssl = SSL_new(context)
    if bio == NULL or tls.ssl == NULL:
        BIO_free(bio)
        SSL_free(tls.ssl)
        free(tls)
        ERR_clear_error()
        return NULL
    BIO_set_data(bio, tls)
    BIO_set_init(bio, 1)
    SSL_set_bio(tls.ssl, bio, bio)
    SSL_set_app_data(tls.ssl, tls)
    return tls


cdef void tls_free(Tls *tls) noexcept nogil:
    if tls == NULL:
        return
    tls.outgoing = NULL
    SSL_set_quiet_shutdown(tls.ssl, 1)
    if SSL_is_init_finished(tls.ssl):
        SSL_shutdown(tls.ssl)  # or OpenSSL would take the session for one that must not be resumed
    SSL_free(tls.ssl)
    SSL_SESSION_free(tls.session)
    free(tls)


cdef bint tls_expect(Tls *tls, const char *host, bint verify_name) noexcept nogil:
    """Towards a server: the name it must prove (an IP address or a DNS name), which also goes out as SNI."""
    cdef X509_VERIFY_PARAM *param = SSL_get0_param(tls.ssl)
    if host[0] == 0:
        return not verify_name
    if is_address(host):
        return not verify_name or X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1
    SSL_set_tlsext_host_name(tls.ssl, host)
    if not verify_name:
        return True
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
    return X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) == 1


cdef bint is_address(const char *host) noexcept nogil:
    cdef uint8_t[16] address
    return inet_pton(AF_INET, host, address) == 1 or inet_pton(AF_INET6, host, address) == 1


cdef void tls_resume(Tls *tls, SSL_SESSION *session) noexcept nogil:
    SSL_set_session(tls.ssl, session)
    ERR_clear_error()


cdef TlsVerdict failed(Tls *tls) noexcept nogil:
    tls.error = ERR_peek_last_error()
    tls.verify_error = SSL_get_verify_result(tls.ssl)
    ERR_clear_error()
    return TLS_FAILED


cdef TlsVerdict tls_begin(Tls *tls, uint8_t *sealed, size_t *used) noexcept nogil:
    """Towards a server: the first bytes, to be sent from `sealed` (room for TLS_SEALED)."""
    cdef int result
    ERR_clear_error()  # what another connection left there would count as this one's
    tls.outgoing = sealed
    tls.outgoing_used = 0
    result = SSL_do_handshake(tls.ssl)
    used[0] = tls.outgoing_used
    tls.outgoing = NULL
    if result == 1 or SSL_get_error(tls.ssl, result) == SSL_ERROR_WANT_READ:
        return TLS_OK
    return failed(tls)


cdef TlsVerdict tls_open(Tls *tls, const uint8_t *data, size_t size, uint8_t *to, size_t room, size_t *got,
                         uint8_t *sealed, size_t *used) noexcept nogil:
    """Take `size` bytes from the socket; `got` plain bytes are at `to`, `used` bytes at `sealed` are to be sent.

    `room` is at least `size` + TLS_ROOM, so that all that comes out of them fits.  What was got and what is to be sent
    counts whatever the verdict.
    """
    cdef int n
    cdef int error
    cdef TlsVerdict verdict = TLS_OK
    ERR_clear_error()
    tls.incoming = data
    tls.incoming_size = size
    tls.outgoing = sealed
    tls.outgoing_used = 0
    got[0] = 0
    while True:
        n = SSL_read(tls.ssl, to + got[0], <int>(room - got[0]))
        if n > 0:
            got[0] += n
            continue
        error = SSL_get_error(tls.ssl, n)
        if error == SSL_ERROR_ZERO_RETURN:
            verdict = TLS_ENDED
        elif error != SSL_ERROR_WANT_READ:
            verdict = failed(tls)
        break
    tls.established = tls.established or SSL_is_init_finished(tls.ssl)
    used[0] = tls.outgoing_used
    tls.outgoing = NULL
    tls.incoming_size = 0
    return verdict


cdef TlsVerdict tls_seal(Tls *tls, const uint8_t *data, size_t size, uint8_t *sealed, size_t *used) noexcept nogil:
    """Make records of at most TLS_BATCH plain bytes at `sealed` (room for TLS_SEALED)."""
    cdef int n
    ERR_clear_error()
    tls.outgoing = sealed
    tls.outgoing_used = 0
    n = SSL_write(tls.ssl, data, <int>size)
    used[0] = tls.outgoing_used
    tls.outgoing = NULL
    return TLS_OK if n == <int>size else failed(tls)


cdef size_t tls_goodbye(Tls *tls, uint8_t *sealed) noexcept nogil:
    """The bytes that tell the other side that nothing more will come."""
    if not SSL_is_init_finished(tls.ssl):
        return 0
    tls.outgoing = sealed
    tls.outgoing_used = 0
    if SSL_shutdown(tls.ssl) < 0:
        ERR_clear_error()
    tls.outgoing = NULL
    return tls.outgoing_used


cdef bint tls_established(const Tls *tls) noexcept nogil:
    """Is the handshake done, and the other side whom it must be?"""
    return tls.established


cdef bint tls_speaks_postgresql(const Tls *tls) noexcept nogil:
    """Was ALPN used?"""
    cdef const unsigned char *name = NULL
    cdef unsigned int size = 0
    SSL_get0_alpn_selected(tls.ssl, &name, &size)
    return size == PROTOCOL_SIZE - 1


cdef const char *tls_problem(const Tls *tls) noexcept nogil:
    """What went wrong, for people; the text lives for ever."""
    cdef const char *text = NULL
    if tls.verify_error != X509_V_OK and SSL_get_verify_mode(tls.ssl) != SSL_VERIFY_NONE:
        return X509_verify_cert_error_string(tls.verify_error)
    if tls.error:
        text = ERR_reason_error_string(tls.error)
    if text == NULL:
        text = b"the connection was closed in the middle of it"
    return text


cdef void tls_describe(const Tls *tls, char *to, size_t room) noexcept nogil:
    """Version and cipher: "TLSv1.3/TLS_AES_256_GCM_SHA384"; "" while the handshake lasts."""
    cdef const SSL_CIPHER *cipher = SSL_get_current_cipher(tls.ssl)
    to[0] = 0
    if cipher != NULL and SSL_is_init_finished(tls.ssl):
        snprintf(to, room, b"%s/%s", SSL_get_version(tls.ssl), SSL_CIPHER_get_name(cipher))


cdef const char *tls_server_name(const Tls *tls) noexcept nogil:
    """The name the client asked for (SNI); NULL: none."""
    return SSL_get_servername(tls.ssl, TLSEXT_NAMETYPE_host_name)
