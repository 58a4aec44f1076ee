#include "tls13.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "figures.h"

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION = 23 }; /* record types */
enum { SERVER_HELLO = 2, NEW_TICKET = 4, CERTIFICATE = 11, CERTIFICATE_REQUEST = 13, FINISHED = 20 };
enum { HEADER = 5, TAG = 16, KEY = 32, SAID_MOST = 32768 };

static const unsigned char NOTHING[HASH]; /* zeros */

static int fail(struct tls *tls, const char *error)
{
    if (tls->error == NULL)
        tls->error = error;
    return 0;
}

/* ---- HMAC and HKDF on SHA-384, without the look-ups and allocations of the EVP interface */

static void hmac(const unsigned char *key, const void *text, size_t length, unsigned char *out)
{
    unsigned char pad[SHA512_CBLOCK], inner[HASH];
    SHA512_CTX hash;
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < HASH; i++)
        pad[i] ^= key[i];
    SHA384_Init(&hash);
    SHA384_Update(&hash, pad, sizeof pad);
    SHA384_Update(&hash, text, length);
    SHA384_Final(inner, &hash);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    SHA384_Init(&hash);
    SHA384_Update(&hash, pad, sizeof pad);
    SHA384_Update(&hash, inner, HASH);
    SHA384_Final(out, &hash);
}

/* HKDF-Expand-Label (RFC 8446, 7.1); one block of output is all anybody needs here. */
static void expand(const unsigned char *secret, const char *label, const unsigned char *context, int context_length,
                   unsigned char *out, int length)
{
    unsigned char info[128], block[HASH];
    int label_length = (int)strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = (unsigned char)length;
    info[at++] = (unsigned char)(6 + label_length);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, (size_t)label_length);
    at += 6 + label_length;
    info[at++] = (unsigned char)context_length;
    if (context_length)
        memcpy(info + at, context, (size_t)context_length);
    at += context_length;
    info[at++] = 1;
    hmac(secret, info, (size_t)at, block);
    memcpy(out, block, (size_t)length);
}

static void hash_of(const SHA512_CTX *transcript, unsigned char *out)
{
    SHA512_CTX copy = *transcript;
    SHA384_Final(out, &copy);
}

/* Derive-Secret of the transcript so far. */
static void derive(struct tls *tls, const unsigned char *secret, const char *label, unsigned char *out)
{
    unsigned char hash[HASH];
    hash_of(&tls->transcript, hash);
    expand(secret, label, hash, HASH, out, HASH);
}

/* Derive-Secret(secret, "derived", "") and then HKDF-Extract with it as the salt. */
static void next_secret(const unsigned char *secret, const unsigned char *input, size_t length, unsigned char *out)
{
    unsigned char empty[HASH], salt[HASH];
    SHA384(NOTHING, 0, empty);
    expand(secret, "derived", empty, HASH, salt, HASH);
    hmac(salt, input, length, out);
}

/* ---- records */

static int set_keys(struct tls_keys *keys, const unsigned char *secret, int encrypt)
{
    unsigned char key[KEY];
    expand(secret, "key", NULL, 0, key, KEY);
    expand(secret, "iv", NULL, 0, keys->iv, sizeof keys->iv);
    keys->sequence = 0;
    if (keys->cipher == NULL)
        keys->cipher = EVP_CIPHER_CTX_new();
    return keys->cipher != NULL && EVP_CipherInit_ex(keys->cipher, EVP_aes_256_gcm(), NULL, key, NULL, encrypt) == 1;
}

static void next_nonce(struct tls_keys *keys, unsigned char *nonce)
{
    memcpy(nonce, keys->iv, sizeof keys->iv);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (unsigned char)(keys->sequence >> (8 * i));
    keys->sequence++;
}

static void put16(unsigned char *at, int value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static int get16(const unsigned char *at)
{
    return at[0] << 8 | at[1];
}

/* A whole record at `out`; its length, 0 on failure.  Room: length + HEADER + 1 + TAG. */
static int seal(struct tls_keys *keys, int type, const void *content, int length, unsigned char *out)
{
    unsigned char nonce[12], kind = (unsigned char)type;
    int done;
    memcpy(out, "\x17\x03\x03", 3);
    put16(out + 3, length + 1 + TAG);
    next_nonce(keys, nonce);
    if (EVP_CipherInit_ex(keys->cipher, NULL, NULL, NULL, nonce, 1) != 1 ||
        EVP_CipherUpdate(keys->cipher, NULL, &done, out, HEADER) != 1 ||
        EVP_CipherUpdate(keys->cipher, out + HEADER, &done, content, length) != 1 ||
        EVP_CipherUpdate(keys->cipher, out + HEADER + length, &done, &kind, 1) != 1 ||
        EVP_CipherFinal_ex(keys->cipher, out + HEADER + length + 1, &done) != 1 ||
        EVP_CIPHER_CTX_ctrl(keys->cipher, EVP_CTRL_AEAD_GET_TAG, TAG, out + HEADER + length + 1) != 1)
        return 0;
    return HEADER + length + 1 + TAG;
}

/* Decrypts a record where it stands; its content's length and its type, -1 when it is not what the server sealed. */
static int open_record(struct tls_keys *keys, unsigned char *record, int length, int *type)
{
    unsigned char nonce[12], *body = record + HEADER;
    int done, content = length - TAG;
    if (content < 1)
        return -1;
    next_nonce(keys, nonce);
    if (EVP_CipherInit_ex(keys->cipher, NULL, NULL, NULL, nonce, 0) != 1 ||
        EVP_CIPHER_CTX_ctrl(keys->cipher, EVP_CTRL_AEAD_SET_TAG, TAG, body + content) != 1 ||
        EVP_CipherUpdate(keys->cipher, NULL, &done, record, HEADER) != 1 ||
        EVP_CipherUpdate(keys->cipher, body, &done, body, content) != 1 ||
        EVP_CipherFinal_ex(keys->cipher, body + content, &done) != 1)
        return -1;
    while (content > 0 && body[content - 1] == 0)
        content--; /* padding */
    if (content == 0)
        return -1;
    *type = body[content - 1];
    return content - 1;
}

static int whole_record(const struct tls *tls)
{
    const unsigned char *at = tls->in + tls->in_taken;
    int there = tls->in_length - tls->in_taken;
    return there >= HEADER && there >= HEADER + get16(at + 3);
}

int tls_pending(const struct tls *tls)
{
    return tls->plain_length > 0 || tls->in_full || whole_record(tls);
}

/* More bytes from the socket: 1, 0 when there are none now, -1. */
static int fill(struct tls *tls, int fd)
{
    int room, got;
    memmove(tls->in, tls->in + tls->in_taken, (size_t)(tls->in_length - tls->in_taken));
    tls->in_length -= tls->in_taken;
    tls->in_taken = 0;
    room = tls->setup->record_room - tls->in_length;
    if (room == 0)
        return fail(tls, "a TLS record is too long"), -1;
    got = (int)recv(fd, tls->in + tls->in_length, (size_t)room, 0);
    tls->in_full = got == room;
    if (got > 0) {
        tls->in_length += got;
        return 1;
    }
    if (got < 0 && errno == EAGAIN)
        return 0;
    return fail(tls, got < 0 ? strerror(errno) : "the connection was closed"), -1;
}

/* The next record's type and content, decrypted; 0 when there is none now, -1. */
static int next_record(struct tls *tls, int fd, unsigned char **content, int *length)
{
    int type, got;
    unsigned char *record;
    while (!whole_record(tls))
        if ((got = fill(tls, fd)) <= 0)
            return got;
    record = tls->in + tls->in_taken;
    type = record[0];
    *length = get16(record + 3);
    *content = record + HEADER;
    tls->in_taken += HEADER + *length;
    if (tls->keyed && type == APPLICATION) {
        *length = open_record(&tls->reading, record, *length, &type);
        if (*length < 0)
            return fail(tls, "a TLS record cannot be decrypted"), -1;
    }
    if (type == ALERT)
        return fail(tls, *length == 2 && (*content)[1] == 0 ? "the connection was closed" : "a TLS alert"), -1;
    return type;
}

/* ---- ClientHello */

int tls_setup(struct tls_setup *setup, int resume, int record_room)
{
    size_t length = sizeof setup->share;
    setup->resume = resume;
    setup->record_room = record_room;
    setup->key_pair = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    return setup->key_pair != NULL && EVP_PKEY_get_raw_public_key(setup->key_pair, setup->share, &length) == 1;
}

static int add(unsigned char *to, int at, const void *bytes, int length)
{
    memcpy(to + at, bytes, (size_t)length);
    return at + length;
}

/* pre_shared_key, the last extension: the ticket, and zeros where the binder goes. */
static int add_ticket(const struct tls_setup *setup, unsigned char *to, int at)
{
    unsigned age = (unsigned)((now() - setup->ticket_at) * 1000) + setup->age_add;
    int identity = 2 + setup->ticket_length + 4;
    put16(to + at, 41);
    put16(to + at + 2, 2 + identity + 2 + 1 + HASH);
    put16(to + at + 4, identity);
    put16(to + at + 6, setup->ticket_length);
    at = add(to, at + 8, setup->ticket, setup->ticket_length);
    put16(to + at, (int)(age >> 16));
    put16(to + at + 2, (int)(age & 0xffff));
    put16(to + at + 4, 1 + HASH);
    to[at + 6] = HASH;
    return at + 7 + HASH;
}

/* Over all but the binders themselves and their length (RFC 8446, 4.2.11.2). */
static void bind_ticket(struct tls *tls, unsigned char *message, int length)
{
    unsigned char empty[HASH], key[HASH], hash[HASH];
    SHA384(NOTHING, 0, empty);
    expand(tls->early, "res binder", empty, HASH, key, HASH);
    expand(key, "finished", NULL, 0, key, HASH);
    SHA384(message, (size_t)(length - HASH - 3), hash);
    hmac(key, hash, HASH, message + length - HASH);
}

static void make_hello(struct tls *tls)
{
    /* versions: 1.3; groups: X25519; what signatures we would believe; a PSK only with a new key exchange */
    static const unsigned char EXTENSIONS[] = {
        0, 43, 0, 3, 2, 3, 4, 0, 10, 0, 4, 0, 2, 0, 29, 0, 13, 0, 12, 0, 10, 4, 3, 8, 4, 4, 1, 8, 5, 5, 3, 0, 45, 0, 2, 1, 1, 0,
        51, 0, 38, 0, 36, 0, 29, 0, 32,
    };
    unsigned char *hello = tls->hello + HEADER;
    int at = 4, extensions;
    at = add(hello, at, "\x03\x03", 2);
    RAND_bytes(hello + at, 32);
    at += 32;
    hello[at++] = 32; /* a session id, for middle boxes, as OpenSSL sends one */
    RAND_bytes(hello + at, 32);
    at = add(hello, at + 32, "\x00\x02\x13\x02\x01\x00", 6);
    extensions = at;
    at = add(hello, at + 2, EXTENSIONS, sizeof EXTENSIONS);
    at = add(hello, at, tls->setup->share, 32);
    tls->offered = tls->setup->resume && tls->setup->ticket_length > 0;
    if (tls->offered)
        at = add_ticket(tls->setup, hello, at);
    put16(hello + extensions, at - extensions - 2);
    hello[0] = 1;
    hello[1] = 0;
    put16(hello + 2, at - 4);
    hmac(NOTHING, tls->offered ? tls->setup->psk : NOTHING, HASH, tls->early);
    if (tls->offered)
        bind_ticket(tls, hello, at);
    memcpy(tls->hello, "\x16\x03\x01", 3);
    put16(tls->hello + 3, at);
    tls->hello_length = HEADER + at;
    SHA384_Init(&tls->transcript);
    SHA384_Update(&tls->transcript, hello, (size_t)at);
}

struct tls *tls_new(struct tls_setup *setup)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL || (tls->in = malloc((size_t)setup->record_room)) == NULL)
        return free(tls), NULL;
    tls->setup = setup;
    make_hello(tls);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    EVP_CIPHER_CTX_free(tls->reading.cipher);
    EVP_CIPHER_CTX_free(tls->writing.cipher);
    free(tls->in);
    free(tls->said);
    free(tls);
}

/* ---- the server's answer */

/* The extensions that matter: the server's share, and whether it took the ticket. */
static const unsigned char *find_share(struct tls *tls, const unsigned char *at, const unsigned char *end)
{
    const unsigned char *share = NULL;
    while (at + 4 <= end && at + 4 + get16(at + 2) <= end) {
        int type = get16(at), length = get16(at + 2);
        at += 4;
        if (type == 51 && length == 36 && get16(at) == 29)
            share = at + 4;
        if (type == 41)
            tls->resumed = 1;
        at += length;
    }
    return share;
}

static int agree(struct tls *tls, const unsigned char *share, unsigned char *secret)
{
    size_t length = 32;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, 32);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(tls->setup->key_pair, NULL);
    int good = peer != NULL && context != NULL && EVP_PKEY_derive_init(context) == 1 &&
               EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1 && EVP_PKEY_derive(context, secret, &length) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    return good;
}

static int take_server_hello(struct tls *tls, const unsigned char *message, int length)
{
    const unsigned char *at = message + 4 + 2 + 32, *share;
    unsigned char secret[32];
    if (length < 4 + 2 + 32 + 1 + 32 + 2 + 1 + 2 || at[0] != 32)
        return fail(tls, "the ServerHello cannot be read");
    at += 33;
    if (get16(at) != 0x1302)
        return fail(tls, "the server chose no TLS_AES_256_GCM_SHA384");
    share = find_share(tls, at + 5, message + length);
    if (share == NULL || !agree(tls, share, secret))
        return fail(tls, "the server has no X25519 (or wants another ClientHello)");
    if (tls->offered && !tls->resumed)
        hmac(NOTHING, NOTHING, HASH, tls->early);
    next_secret(tls->early, secret, sizeof secret, tls->handshake);
    derive(tls, tls->handshake, "c hs traffic", tls->client_secret);
    derive(tls, tls->handshake, "s hs traffic", tls->server_secret);
    tls->keyed = 1;
    return set_keys(&tls->reading, tls->server_secret, 0) && set_keys(&tls->writing, tls->client_secret, 1);
}

/* An empty Certificate, if one was asked for, and Finished; what their records come to. */
static int last_messages(struct tls *tls, unsigned char *flight)
{
    static const unsigned char NO_CERTIFICATE[8] = {CERTIFICATE, 0, 0, 4, 0, 0, 0, 0};
    unsigned char key[HASH], hash[HASH], finished[4 + HASH] = {FINISHED, 0, 0, HASH};
    int length = 0;
    if (tls->asked) {
        SHA384_Update(&tls->transcript, NO_CERTIFICATE, sizeof NO_CERTIFICATE);
        length = seal(&tls->writing, HANDSHAKE, NO_CERTIFICATE, sizeof NO_CERTIFICATE, flight);
    }
    hash_of(&tls->transcript, hash);
    expand(tls->client_secret, "finished", NULL, 0, key, HASH);
    hmac(key, hash, HASH, finished + 4);
    SHA384_Update(&tls->transcript, finished, sizeof finished);
    return length + seal(&tls->writing, HANDSHAKE, finished, sizeof finished, flight + length);
}

/* ChangeCipherSpec (for middle boxes) and the own last messages in one segment, then the keys for everything else. */
static int finish(struct tls *tls, int fd)
{
    unsigned char client[HASH], server[HASH], master[HASH], flight[256] = {CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
    int length = 6;
    next_secret(tls->handshake, NOTHING, HASH, master);
    derive(tls, master, "c ap traffic", client);
    derive(tls, master, "s ap traffic", server);
    length += last_messages(tls, flight + length);
    if (tls->setup->resume && tls->setup->ticket_length == 0)
        derive(tls, master, "res master", tls->resumption);
    if (!set_keys(&tls->reading, server, 0) || !set_keys(&tls->writing, client, 1))
        return fail(tls, "OpenSSL has no AES-256-GCM");
    if (send(fd, flight, (size_t)length, MSG_NOSIGNAL) != length)
        return fail(tls, strerror(errno));
    tls->shaken = 1;
    return 1;
}

/* NewSessionTicket (RFC 8446, 4.6.1): kept if it is the first and anybody wants one. */
static void take_ticket(struct tls *tls, const unsigned char *message, int length)
{
    struct tls_setup *setup = tls->setup;
    const unsigned char *at = message + 4, *nonce;
    int nonce_length, ticket_length;
    if (!setup->resume || setup->ticket_length > 0 || length < 4 + 4 + 4 + 1)
        return;
    setup->age_add = (unsigned)get16(at + 4) << 16 | (unsigned)get16(at + 6);
    nonce_length = at[8];
    nonce = at + 9;
    if (nonce_length > HASH || 4 + 9 + nonce_length + 2 > length)
        return;
    ticket_length = get16(nonce + nonce_length);
    if (ticket_length > TICKET_MOST || 4 + 9 + nonce_length + 2 + ticket_length > length)
        return;
    memcpy(setup->ticket, nonce + nonce_length + 2, (size_t)ticket_length);
    expand(tls->resumption, "resumption", nonce, nonce_length, setup->psk, HASH);
    setup->ticket_at = now();
    setup->ticket_length = ticket_length;
}

/* One whole handshake message.  Certificate and CertificateVerify only go into the transcript. */
static int take_message(struct tls *tls, int fd, const unsigned char *message, int length)
{
    if (tls->shaken) {
        if (message[0] == NEW_TICKET)
            take_ticket(tls, message, length);
        return 1;
    }
    if ((message[0] == SERVER_HELLO) == tls->keyed)
        return fail(tls, "the server's handshake messages come in no order TLS 1.3 knows");
    SHA384_Update(&tls->transcript, message, (size_t)length);
    tls->asked |= message[0] == CERTIFICATE_REQUEST;
    if (message[0] == SERVER_HELLO)
        return take_server_hello(tls, message, length);
    return message[0] != FINISHED || finish(tls, fd);
}

/* Messages may share a record or span several. */
static int take_handshake(struct tls *tls, int fd, const unsigned char *content, int length)
{
    int at = 0;
    if (tls->said == NULL && (tls->said = malloc(SAID_MOST)) == NULL)
        return fail(tls, "no memory");
    if (tls->said_length + length > SAID_MOST)
        return fail(tls, "a handshake message is too long");
    memcpy(tls->said + tls->said_length, content, (size_t)length);
    tls->said_length += length;
    while (tls->said_length - at >= 4) {
        const unsigned char *message = tls->said + at;
        int whole = 4 + (message[1] << 16 | get16(message + 2));
        if (tls->said_length - at < whole)
            break;
        if (!take_message(tls, fd, message, whole))
            return 0;
        at += whole;
    }
    tls->said_length -= at;
    memmove(tls->said, tls->said + at, (size_t)tls->said_length);
    return 1;
}

enum tls_verdict tls_shake(struct tls *tls, int fd)
{
    while (!tls->shaken) {
        unsigned char *content;
        int length, type = next_record(tls, fd, &content, &length);
        if (type == 0)
            return TLS_AGAIN;
        if (type < 0)
            return TLS_FAILED;
        if (type == HANDSHAKE && !take_handshake(tls, fd, content, length))
            return fail(tls, "OpenSSL refused"), TLS_FAILED;
    }
    return TLS_DONE;
}

/* ---- application data */

int tls_read(struct tls *tls, int fd, void *out, int room)
{
    int some;
    while (tls->plain_length == 0) {
        unsigned char *content;
        int length, type = next_record(tls, fd, &content, &length);
        if (type <= 0)
            return type;
        if (type == HANDSHAKE && !take_handshake(tls, fd, content, length))
            return -1;
        if (type == APPLICATION) {
            tls->plain = content;
            tls->plain_length = length;
        }
    }
    some = tls->plain_length < room ? tls->plain_length : room;
    memcpy(out, tls->plain, (size_t)some);
    tls->plain += some;
    tls->plain_length -= some;
    return some;
}

int tls_write(struct tls *tls, int fd, const void *bytes, int length)
{
    unsigned char record[2048];
    int whole = length + HEADER + 1 + TAG > (int)sizeof record ? 0 : seal(&tls->writing, APPLICATION, bytes, length, record);
    if (whole == 0)
        return fail(tls, "too long for one record");
    return send(fd, record, (size_t)whole, MSG_NOSIGNAL) == whole ? 1 : fail(tls, strerror(errno));
}

void tls_goodbye(struct tls *tls, int fd)
{
    unsigned char record[64];
    int length = seal(&tls->writing, ALERT, "\x01\x00", 2, record);
    if (tls->shaken && send(fd, record, (size_t)length, MSG_NOSIGNAL) != length)
        fail(tls, strerror(errno));
}
