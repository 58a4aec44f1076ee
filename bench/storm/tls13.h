/* As much of TLS 1.3 (RFC 8446) as a load generator needs on the client's side: X25519, TLS_AES_256_GCM_SHA384, tickets.
 *
 * On the wire it is what libpq with OpenSSL does in the same case.  It is NOT a secure client: it looks at no
 * certificate and no signature, and all clients of a process have one key pair.  That is the point: the server's work is
 * the same, and a handshake costs the generator a tenth of what it costs with libssl 3.0, so that even on two cores the
 * generator does not become what is measured. */
#ifndef STORM_TLS13_H
#define STORM_TLS13_H

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { HASH = SHA384_DIGEST_LENGTH, TICKET_MOST = 2048, HELLO_MOST = 512 + TICKET_MOST };

/* What a server gave for coming back, and how a process's clients come.  Filled by the first client. */
struct tls_setup {
    int resume;         /* come back with the ticket, once there is one */
    int record_room;    /* bytes of each client's receive buffer */
    EVP_PKEY *key_pair; /* X25519 */
    unsigned char share[32];
    int ticket_length; /* 0: none yet */
    unsigned char ticket[TICKET_MOST], psk[HASH];
    unsigned age_add;
    double ticket_at;
};

/* One direction's protection. */
struct tls_keys {
    EVP_CIPHER_CTX *cipher;
    unsigned char iv[12];
    unsigned long long sequence;
};

/* One connection. */
struct tls {
    struct tls_setup *setup;
    int hello_length, shaken, resumed;
    int offered, asked;              /* a ticket to the server; by the server for a certificate */
    unsigned char hello[HELLO_MOST]; /* a whole record, ready to be sent */
    SHA512_CTX transcript;
    unsigned char early[HASH], handshake[HASH], client_secret[HASH], server_secret[HASH], resumption[HASH];
    struct tls_keys reading, writing;
    int keyed;                        /* records are encrypted from here on */
    unsigned char *in;                /* received, not yet taken apart */
    int in_length, in_taken, in_full; /* in_full: the last recv() used all the room there was */
    unsigned char *plain;             /* a record's content, inside `in` */
    int plain_length;
    unsigned char *said; /* a handshake message that spans records */
    int said_length;
    const char *error;
};

enum tls_verdict { TLS_AGAIN, TLS_DONE, TLS_FAILED };

/* Makes the key pair.  0 when OpenSSL cannot. */
int tls_setup(struct tls_setup *setup, int resume, int record_room);
/* A connection with its ClientHello in `hello`; NULL when OpenSSL cannot. */
struct tls *tls_new(struct tls_setup *setup);
/* Go on with the handshake as far as what has come allows; DONE once the own Finished is sent. */
enum tls_verdict tls_shake(struct tls *tls, int fd);
/* Bytes of application data; 0: none now; -1: the end or an error, which `error` names. */
int tls_read(struct tls *tls, int fd, void *out, int room);
/* Is there more to be read without the socket telling? */
int tls_pending(const struct tls *tls);
/* Send as one record.  0 when it could not all be sent. */
int tls_write(struct tls *tls, int fd, const void *bytes, int length);
/* Send close_notify. */
void tls_goodbye(struct tls *tls, int fd);
void tls_free(struct tls *tls);

#endif
