#include "scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char BINDING[] = "n,,"; /* as a libpq without channel binding: PgBouncer has none to offer */
static const char BINDING_BASE64[] = "biws";

int scram_nonce(char *nonce)
{
    unsigned char bytes[NONCE_LETTERS / 4 * 3];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return 0;
    EVP_EncodeBlock((unsigned char *)nonce, bytes, sizeof bytes);
    return 1;
}

int scram_first(const char *nonce, char *out, size_t room)
{
    return snprintf(out, room, "%sn=,r=%s", BINDING, nonce);
}

static HMAC_CTX *keyed(const unsigned char *key)
{
    HMAC_CTX *context = HMAC_CTX_new();
    if (context == NULL || HMAC_Init_ex(context, key, KEY_BYTES, EVP_sha256(), NULL) != 1)
        abort();
    return context;
}

static void hmac(HMAC_CTX *context, const char *text, size_t length, unsigned char *out)
{
    HMAC_Init_ex(context, NULL, 0, NULL, NULL); /* the same key again */
    HMAC_Update(context, (const unsigned char *)text, length);
    HMAC_Final(context, out, NULL);
}

/* Derives again only when the server names another salt or count than last time. */
static void keys_for(struct scram_keys *keys, const unsigned char *salt, int salt_length, int iterations)
{
    unsigned char salted[KEY_BYTES], stored[KEY_BYTES], server[KEY_BYTES];
    if (keys->iterations == iterations && keys->salt_length == salt_length &&
        memcmp(keys->salt, salt, (size_t)salt_length) == 0)
        return;
    PKCS5_PBKDF2_HMAC(keys->password, -1, salt, salt_length, iterations, EVP_sha256(), KEY_BYTES, salted);
    HMAC(EVP_sha256(), salted, KEY_BYTES, (const unsigned char *)"Client Key", 10, keys->client_key, NULL);
    HMAC(EVP_sha256(), salted, KEY_BYTES, (const unsigned char *)"Server Key", 10, server, NULL);
    SHA256(keys->client_key, KEY_BYTES, stored);
    HMAC_CTX_free(keys->stored);
    HMAC_CTX_free(keys->server);
    keys->stored = keyed(stored);
    keys->server = keyed(server);
    memcpy(keys->salt, salt, (size_t)salt_length);
    keys->salt_length = salt_length;
    keys->iterations = iterations;
}

/* Bytes of `length` letters of base64, which must be whole groups; -1 if they are not or do not fit. */
static int decode(const char *letters, size_t length, unsigned char *out, size_t room)
{
    int bytes;
    if (length == 0 || length % 4 != 0 || length / 4 * 3 > room)
        return -1;
    bytes = EVP_DecodeBlock(out, (const unsigned char *)letters, (int)length);
    for (size_t back = 1; back <= 2 && letters[length - back] == '='; back++)
        bytes--;
    return bytes;
}

int scram_final(struct scram_keys *keys, const char *nonce, const char *server_first, char *out, size_t room,
                unsigned char *signature, const char **error)
{
    char full_nonce[160], salt_letters[100], message[600], proof_letters[48];
    unsigned char salt[SALT_MOST + 16], proof[KEY_BYTES];
    int iterations, salt_length, length, bare;

    *error = "the server's first SCRAM message cannot be read";
    if (sscanf(server_first, "r=%150[^,],s=%90[^,],i=%d", full_nonce, salt_letters, &iterations) != 3 || iterations < 1)
        return 0;
    if (strncmp(full_nonce, nonce, NONCE_LETTERS) != 0)
        return 0;
    salt_length = decode(salt_letters, strlen(salt_letters), salt, sizeof salt);
    if (salt_length < 1 || salt_length > SALT_MOST)
        return 0;
    keys_for(keys, salt, salt_length, iterations);

    bare = snprintf(message, sizeof message, "n=,r=%s,%s,", nonce, server_first);
    if (bare >= (int)sizeof message)
        return 0;
    length = snprintf(message + bare, sizeof message - (size_t)bare, "c=%s,r=%s", BINDING_BASE64, full_nonce);
    if (bare + length >= (int)sizeof message)
        return 0;
    hmac(keys->stored, message, (size_t)(bare + length), proof);
    hmac(keys->server, message, (size_t)(bare + length), signature);
    for (int i = 0; i < KEY_BYTES; i++)
        proof[i] ^= keys->client_key[i];
    EVP_EncodeBlock((unsigned char *)proof_letters, proof, KEY_BYTES);
    *error = NULL;
    return snprintf(out, room, "%s,p=%s", message + bare, proof_letters);
}

int scram_verify(const char *server_final, const unsigned char *signature)
{
    unsigned char shown[KEY_BYTES + 16];
    if (strncmp(server_final, "v=", 2) != 0)
        return 0;
    return decode(server_final + 2, strcspn(server_final + 2, ","), shown, sizeof shown) == KEY_BYTES &&
           CRYPTO_memcmp(shown, signature, KEY_BYTES) == 0;
}
