"""OpenSSL 3: hashes, key derivation, random numbers.  TLS and certificates are in `openssl`."""

cdef extern from "<openssl/evp.h>" nogil:
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    # Fetched once and kept for good: looking a hash up by name costs more than a short hash and takes a lock.
    EVP_MD *EVP_MD_fetch(void *library, const char *name, const char *properties) noexcept
    int EVP_Digest(const void *data, size_t size, unsigned char *to, unsigned int *written, const EVP_MD *hash,
                   void *engine) noexcept
    EVP_MD_CTX *EVP_MD_CTX_new() noexcept
    void EVP_MD_CTX_free(EVP_MD_CTX *ctx) noexcept
    int EVP_DigestInit_ex2(EVP_MD_CTX *ctx, const EVP_MD *hash, const void *params) noexcept
    int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *data, size_t size) noexcept
    int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *to, unsigned int *written) noexcept
    int PKCS5_PBKDF2_HMAC(const char *password, int password_size, const unsigned char *salt, int salt_size,
                          int iterations, const EVP_MD *hash, int key_size, unsigned char *to) noexcept

cdef extern from "<openssl/rand.h>" nogil:
    int RAND_bytes(unsigned char *to, int size) noexcept

cdef extern from "<openssl/crypto.h>" nogil:
    int CRYPTO_memcmp(const void *a, const void *b, size_t size) noexcept
    void OPENSSL_cleanse(void *memory, size_t size) noexcept
