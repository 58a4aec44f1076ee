"""OpenSSL 3: TLS, certificates and keys, as far as `howdah.dataplane.tls` uses them.  Hashes are in `crypto`."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<openssl/ssl.h>" nogil:
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL_METHOD:
        pass
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_SESSION:
        pass
    ctypedef struct SSL_CIPHER:
        pass

    enum:
        TLS1_VERSION
        TLS1_1_VERSION
        TLS1_2_VERSION
        TLS1_3_VERSION
        SSL_VERIFY_NONE
        SSL_VERIFY_PEER
        SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        SSL_MODE_RELEASE_BUFFERS
        SSL_MODE_NO_AUTO_CHAIN
        SSL_MODE_AUTO_RETRY
        SSL_SESS_CACHE_OFF
        SSL_SESS_CACHE_CLIENT
        SSL_SESS_CACHE_NO_INTERNAL
        SSL_ERROR_WANT_READ
        SSL_ERROR_WANT_WRITE
        SSL_ERROR_ZERO_RETURN
        SSL_TLSEXT_ERR_OK
        SSL_TLSEXT_ERR_ALERT_FATAL
        SSL_TLSEXT_ERR_NOACK
        TLSEXT_NAMETYPE_host_name
        SSL_FILETYPE_PEM
        X509_V_OK

    const uint64_t SSL_OP_NO_COMPRESSION
    const uint64_t SSL_OP_NO_RENEGOTIATION
    const uint64_t SSL_OP_CIPHER_SERVER_PREFERENCE
    const uint64_t SSL_OP_NO_TLSv1
    const uint64_t SSL_OP_NO_TLSv1_1
    const uint64_t SSL_OP_NO_TLSv1_2
    const uint64_t SSL_OP_NO_TLSv1_3
    const uint64_t SSL_OP_IGNORE_UNEXPECTED_EOF

    const SSL_METHOD *TLS_server_method() noexcept
    const SSL_METHOD *TLS_client_method() noexcept
    SSL_CTX *SSL_CTX_new(const SSL_METHOD *method) noexcept
    void SSL_CTX_free(SSL_CTX *ctx) noexcept
    int SSL_CTX_up_ref(SSL_CTX *ctx) noexcept
    uint64_t SSL_CTX_set_options(SSL_CTX *ctx, uint64_t options) noexcept
    long SSL_CTX_set_mode(SSL_CTX *ctx, long mode) noexcept
    long SSL_CTX_set_session_cache_mode(SSL_CTX *ctx, long mode) noexcept
    long SSL_CTX_set_timeout(SSL_CTX *ctx, long seconds) noexcept
    SSL_CTX *SSL_get_SSL_CTX(const SSL *ssl) noexcept
    int SSL_set_num_tickets(SSL *ssl, size_t count) noexcept
    long SSL_CTX_set_tlsext_ticket_keys(SSL_CTX *ctx, void *keys, long size) noexcept
    int SSL_CTX_set_session_id_context(SSL_CTX *ctx, const unsigned char *context, unsigned int size) noexcept
    int SSL_CTX_set_min_proto_version(SSL_CTX *ctx, int version) noexcept
    int SSL_CTX_set_max_proto_version(SSL_CTX *ctx, int version) noexcept
    int SSL_CTX_set_cipher_list(SSL_CTX *ctx, const char *ciphers) noexcept
    int SSL_CTX_set_ciphersuites(SSL_CTX *ctx, const char *suites) noexcept
    int SSL_CTX_set1_groups_list(SSL_CTX *ctx, const char *groups) noexcept
    int SSL_CTX_use_certificate(SSL_CTX *ctx, X509 *certificate) noexcept
    long SSL_CTX_add1_chain_cert(SSL_CTX *ctx, X509 *certificate) noexcept
    int SSL_CTX_use_PrivateKey(SSL_CTX *ctx, EVP_PKEY *key) noexcept
    int SSL_CTX_check_private_key(const SSL_CTX *ctx) noexcept
    X509_STORE *SSL_CTX_get_cert_store(const SSL_CTX *ctx) noexcept
    int SSL_CTX_set_default_verify_paths(SSL_CTX *ctx) noexcept
    int SSL_CTX_add_client_CA(SSL_CTX *ctx, X509 *certificate) noexcept
    void SSL_CTX_set_verify(SSL_CTX *ctx, int mode, void *callback) noexcept
    void SSL_CTX_set_alpn_select_cb(SSL_CTX *ctx, int (*callback)(
        SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
        unsigned int size, void *arg) noexcept, void *arg) noexcept
    void SSL_CTX_sess_set_new_cb(SSL_CTX *ctx, int (*callback)(SSL *ssl, SSL_SESSION *session) noexcept) noexcept
    long SSL_CTX_set_dh_auto(SSL_CTX *ctx, long on) noexcept

    SSL *SSL_new(SSL_CTX *ctx) noexcept
    void SSL_free(SSL *ssl) noexcept
    void SSL_set_bio(SSL *ssl, BIO *read_from, BIO *write_to) noexcept
    void SSL_set_accept_state(SSL *ssl) noexcept
    void SSL_set_connect_state(SSL *ssl) noexcept
    int SSL_do_handshake(SSL *ssl) noexcept
    int SSL_read(SSL *ssl, void *to, int size) noexcept
    int SSL_write(SSL *ssl, const void *data, int size) noexcept
    int SSL_shutdown(SSL *ssl) noexcept
    void SSL_set_quiet_shutdown(SSL *ssl, int quiet) noexcept
    int SSL_get_error(const SSL *ssl, int result) noexcept
    int SSL_is_init_finished(const SSL *ssl) noexcept
    int SSL_set_session(SSL *ssl, SSL_SESSION *session) noexcept
    int SSL_session_reused(const SSL *ssl) noexcept
    void SSL_SESSION_free(SSL_SESSION *session) noexcept
    int SSL_SESSION_up_ref(SSL_SESSION *session) noexcept
    int SSL_SESSION_is_resumable(const SSL_SESSION *session) noexcept
    void *SSL_get_app_data(const SSL *ssl) noexcept
    int SSL_set_app_data(SSL *ssl, void *data) noexcept
    const char *SSL_get_version(const SSL *ssl) noexcept
    int SSL_version(const SSL *ssl) noexcept
    const SSL_CIPHER *SSL_get_current_cipher(const SSL *ssl) noexcept
    const char *SSL_CIPHER_get_name(const SSL_CIPHER *cipher) noexcept
    const char *SSL_get_servername(const SSL *ssl, int kind) noexcept
    long SSL_set_tlsext_host_name(SSL *ssl, const char *name) noexcept
    int SSL_set_alpn_protos(SSL *ssl, const unsigned char *protocols, unsigned int size) noexcept
    void SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **name, unsigned int *size) noexcept
    X509 *SSL_get_certificate(const SSL *ssl) noexcept
    X509 *SSL_get1_peer_certificate(const SSL *ssl) noexcept
    X509 *SSL_get0_peer_certificate(const SSL *ssl) noexcept
    int SSL_get_verify_mode(const SSL *ssl) noexcept
    long SSL_get_verify_result(const SSL *ssl) noexcept
    X509_VERIFY_PARAM *SSL_get0_param(SSL *ssl) noexcept

cdef extern from "<openssl/bio.h>" nogil:
    ctypedef struct BIO:
        pass
    ctypedef struct BIO_METHOD:
        pass
    enum:
        BIO_TYPE_SOURCE_SINK
        BIO_CTRL_FLUSH
    int BIO_get_new_index() noexcept
    BIO_METHOD *BIO_meth_new(int kind, const char *name) noexcept
    int BIO_meth_set_write(BIO_METHOD *method, int (*write)(BIO *bio, const char *data, int size) noexcept) noexcept
    int BIO_meth_set_read(BIO_METHOD *method, int (*read)(BIO *bio, char *to, int size) noexcept) noexcept
    int BIO_meth_set_ctrl(
        BIO_METHOD *method, long (*ctrl)(BIO *bio, int command, long number, void *pointer) noexcept) noexcept
    BIO *BIO_new(const BIO_METHOD *method) noexcept
    int BIO_free(BIO *bio) noexcept
    int BIO_up_ref(BIO *bio) noexcept
    void BIO_set_data(BIO *bio, void *data) noexcept
    void *BIO_get_data(BIO *bio) noexcept
    void BIO_set_init(BIO *bio, int init) noexcept
    void BIO_set_retry_read(BIO *bio) noexcept
    void BIO_set_retry_write(BIO *bio) noexcept
    void BIO_clear_retry_flags(BIO *bio) noexcept
    BIO *BIO_new_mem_buf(const void *data, int size) noexcept

cdef extern from "<openssl/pem.h>" nogil:
    X509 *PEM_read_bio_X509(BIO *bio, X509 **into, int (*password)(char *, int, int, void *) noexcept,
                            void *arg) noexcept
    EVP_PKEY *PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **into,
                                      int (*password)(char *, int, int, void *) noexcept, void *arg) noexcept

cdef extern from "<openssl/x509v3.h>" nogil:
    ctypedef struct X509:
        pass
    ctypedef struct X509_NAME:
        pass
    ctypedef struct X509_NAME_ENTRY:
        pass
    ctypedef struct X509_STORE:
        pass
    ctypedef struct X509_VERIFY_PARAM:
        pass
    ctypedef struct ASN1_STRING:
        pass
    ctypedef struct ASN1_TIME:
        pass
    ctypedef struct GENERAL_NAMES:
        pass
    ctypedef struct GENERAL_NAME:
        pass
    enum:
        NID_commonName
        NID_subject_alt_name
        GEN_DNS
        GEN_IPADD
        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
        XN_FLAG_RFC2253
    X509_NAME *X509_get_subject_name(const X509 *certificate) noexcept
    int X509_NAME_get_index_by_NID(X509_NAME *name, int nid, int after) noexcept
    X509_NAME_ENTRY *X509_NAME_get_entry(const X509_NAME *name, int at) noexcept
    ASN1_STRING *X509_NAME_ENTRY_get_data(const X509_NAME_ENTRY *entry) noexcept
    int X509_NAME_print_ex(BIO *to, const X509_NAME *name, int indent, unsigned long flags) noexcept
    const ASN1_TIME *X509_get0_notBefore(const X509 *certificate) noexcept
    const ASN1_TIME *X509_get0_notAfter(const X509 *certificate) noexcept
    int ASN1_TIME_diff(int *days, int *seconds, const ASN1_TIME *earlier, const ASN1_TIME *later) noexcept
    ASN1_TIME *ASN1_TIME_set(ASN1_TIME *time, long long seconds) noexcept
    void ASN1_STRING_free(ASN1_STRING *text) noexcept
    int ASN1_STRING_to_UTF8(unsigned char **to, const ASN1_STRING *text) noexcept
    const unsigned char *ASN1_STRING_get0_data(const ASN1_STRING *text) noexcept
    int ASN1_STRING_length(const ASN1_STRING *text) noexcept
    void *X509_get_ext_d2i(const X509 *certificate, int nid, int *critical, int *index) noexcept
    int sk_GENERAL_NAME_num(const GENERAL_NAMES *names) noexcept
    GENERAL_NAME *sk_GENERAL_NAME_value(const GENERAL_NAMES *names, int at) noexcept
    void *GENERAL_NAME_get0_value(const GENERAL_NAME *name, int *kind) noexcept
    void GENERAL_NAMES_free(GENERAL_NAMES *names) noexcept
    int X509_get_signature_info(X509 *certificate, int *digest, int *key, int *bits, uint32_t *flags) noexcept
    int X509_digest(const X509 *certificate, const EVP_MD *digest, unsigned char *to, unsigned int *size) noexcept
    void X509_free(X509 *certificate) noexcept
    int X509_STORE_add_cert(X509_STORE *store, X509 *certificate) noexcept
    int X509_VERIFY_PARAM_set1_host(X509_VERIFY_PARAM *param, const char *name, size_t size) noexcept
    int X509_VERIFY_PARAM_set1_ip_asc(X509_VERIFY_PARAM *param, const char *address) noexcept
    void X509_VERIFY_PARAM_set_hostflags(X509_VERIFY_PARAM *param, unsigned int flags) noexcept
    const char *X509_verify_cert_error_string(long error) noexcept

cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_PKEY:
        pass
    ctypedef struct EVP_MD:
        pass
    enum:
        NID_undef
        NID_md5
        NID_sha1
    const EVP_MD *EVP_sha256() noexcept
    const EVP_MD *EVP_get_digestbynid(int nid) noexcept
    void EVP_PKEY_free(EVP_PKEY *key) noexcept

cdef extern from "<openssl/crypto.h>" nogil:
    void CRYPTO_free(void *memory, const char *file, int line) noexcept

cdef extern from "<openssl/bio.h>" nogil:
    const BIO_METHOD *BIO_s_mem() noexcept
    long BIO_get_mem_data(BIO *bio, char **data) noexcept

cdef extern from "<openssl/err.h>" nogil:
    unsigned long ERR_get_error() noexcept
    unsigned long ERR_peek_last_error() noexcept
    void ERR_clear_error() noexcept
    const char *ERR_reason_error_string(unsigned long error) noexcept
