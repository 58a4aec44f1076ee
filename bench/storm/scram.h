/* SCRAM-SHA-256 for a client that logs in thousands of times with one password: keys once, two HMACs a login. */
#ifndef STORM_SCRAM_H
#define STORM_SCRAM_H

#include <openssl/hmac.h>
#include <stddef.h>

enum { KEY_BYTES = 32, SALT_MOST = 64, NONCE_LETTERS = 24 };

/* What a password comes to with one salt and iteration count.  Made by keys_for; freed never: a process has few. */
struct scram_keys {
    char password[128];
    unsigned char salt[SALT_MOST];
    int salt_length, iterations; /* 0 iterations: nothing derived yet */
    unsigned char client_key[KEY_BYTES];
    HMAC_CTX *stored, *server; /* keyed, to be used again and again */
};

/* Letters for a SASLInitialResponse; `nonce` gets NONCE_LETTERS letters and a NUL.  0 when there is no randomness. */
int scram_nonce(char *nonce);
/* The client-first message with its "n,," header.  Its length. */
int scram_first(const char *nonce, char *out, size_t room);
/* The client-final message in answer to `server_first` (NUL-terminated), and the signature the server must then show.
 * Its length; 0 with `*error` set when the server's message is not one. */
int scram_final(struct scram_keys *keys, const char *nonce, const char *server_first, char *out, size_t room,
                unsigned char *signature, const char **error);
/* Is `server_final` ("v=...") the signature expected? */
int scram_verify(const char *server_final, const unsigned char *signature);

#endif
