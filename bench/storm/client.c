#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned char SSL_REQUEST[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

enum { AUTH_OK = 0, AUTH_PLAIN = 3, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12 };

static enum verdict fail(struct client *client, const char *what, const char *why)
{
    if (client->state != BROKEN)
        snprintf(client->error, sizeof client->error, "%s%s%s", what, *why ? ": " : "", why);
    client->state = BROKEN;
    return STEP_FAILED;
}

static enum verdict fail_tls(struct client *client, const char *what)
{
    return fail(client, what, client->tls->error ? client->tls->error : "");
}

int audience_open(struct audience *audience, const char *password, int record_room)
{
    snprintf(audience->keys.password, sizeof audience->keys.password, "%s", password);
    return tls_setup(&audience->tls, audience->encryption == RESUMED, record_room);
}

int client_prepare(struct client *client, struct audience *audience)
{
    int on = 1;
    memset(client, 0, sizeof *client);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return fail(client, "socket", strerror(errno)), 0;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!scram_nonce(client->nonce))
        return fail(client, "OpenSSL has no randomness", ""), 0;
    if (audience->encryption != PLAIN && (client->tls = tls_new(&audience->tls)) == NULL)
        return fail(client, "TLS", "no memory"), 0;
    return 1;
}

/* ---- sending: what a login sends fits into an empty socket, so a partial send is an error */

static enum verdict send_raw(struct client *client, const void *bytes, int length)
{
    if (send(client->fd, bytes, (size_t)length, MSG_NOSIGNAL) != length)
        return fail(client, "send", strerror(errno));
    return STEP_AGAIN;
}

static enum verdict send_bytes(struct client *client, const void *bytes, int length)
{
    if (client->tls == NULL)
        return send_raw(client, bytes, length);
    if (!tls_write(client->tls, client->fd, bytes, length))
        return fail_tls(client, "TLS write");
    return STEP_AGAIN;
}

static void put32(unsigned char *at, unsigned value)
{
    value = htonl(value);
    memcpy(at, &value, 4);
}

static unsigned get32(const unsigned char *at)
{
    unsigned value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static enum verdict send_startup(struct client *client, const struct audience *audience)
{
    unsigned char packet[400];
    int length = 8;
    put32(packet + 4, 0x30000);
    length += 1 + snprintf((char *)packet + length, sizeof packet - (size_t)length, "user%c%s", 0, audience->user);
    length += 1 + snprintf((char *)packet + length, sizeof packet - (size_t)length, "database%c%s", 0, audience->database);
    packet[length++] = 0;
    put32(packet, (unsigned)length);
    client->state = LOGIN;
    return send_bytes(client, packet, length);
}

static enum verdict send_message(struct client *client, char type, const void *body, int length)
{
    unsigned char packet[1024];
    if (length > (int)sizeof packet - 5)
        return fail(client, "a message is too long to send", "");
    packet[0] = (unsigned char)type;
    put32(packet + 1, (unsigned)length + 4);
    memcpy(packet + 5, body, (size_t)length);
    return send_bytes(client, packet, length + 5);
}

enum verdict client_query(struct client *client, const char *sql)
{
    client->state = QUERYING;
    return send_message(client, 'Q', sql, (int)strlen(sql) + 1);
}

enum verdict client_ask(struct client *client, const void *messages, int length)
{
    client->state = QUERYING;
    return send_bytes(client, messages, length);
}

/* ---- receiving */

/* Bytes read, 0 when there are none now; -1 at the end and on errors (see error). */
static int receive(struct client *client, void *out, int room)
{
    int got;
    if (client->tls == NULL) {
        got = (int)recv(client->fd, out, (size_t)room, 0);
        if (got > 0 || (got < 0 && errno == EAGAIN))
            return got > 0 ? got : 0;
        fail(client, got < 0 ? strerror(errno) : "the connection was closed", "");
        return -1;
    }
    got = tls_read(client->tls, client->fd, out, room);
    if (got < 0)
        fail_tls(client, "TLS");
    return got;
}

static enum verdict answer_sasl(struct client *client, struct audience *audience, unsigned kind, char *text)
{
    char answer[700];
    const char *error;
    int length;
    if (kind == AUTH_SASL) {
        unsigned char first[200];
        int at = 1 + snprintf((char *)first, sizeof first, "SCRAM-SHA-256");
        length = scram_first(client->nonce, (char *)first + at + 4, sizeof first - (size_t)at - 4);
        put32(first + at, (unsigned)length);
        return send_message(client, 'p', first, at + 4 + length);
    }
    if (kind == AUTH_SASL_CONTINUE) {
        length = scram_final(&audience->keys, client->nonce, text, answer, sizeof answer, client->signature, &error);
        return length ? send_message(client, 'p', answer, length) : fail(client, error, "");
    }
    return scram_verify(text, client->signature) ? STEP_AGAIN : fail(client, "the server's SCRAM signature is wrong", "");
}

static enum verdict answer_auth(struct client *client, struct audience *audience, char *body, int length)
{
    char text[400];
    unsigned kind = length >= 4 ? get32((unsigned char *)body) : ~0u;
    switch (kind) {
    case AUTH_OK:
        return STEP_AGAIN;
    case AUTH_PLAIN:
        return send_message(client, 'p', audience->keys.password, (int)strlen(audience->keys.password) + 1);
    case AUTH_SASL:
    case AUTH_SASL_CONTINUE:
    case AUTH_SASL_FINAL:
        snprintf(text, sizeof text, "%.*s", length - 4, body + 4);
        return answer_sasl(client, audience, kind, text);
    default:
        return fail(client, "the server asks for a way to log in that is not SCRAM-SHA-256", "");
    }
}

/* The M field of an ErrorResponse. */
static enum verdict refused(struct client *client, const char *body, int length)
{
    const char *end = body + length;
    while (body < end && *body != 0 && *body != 'M')
        body += strnlen(body, (size_t)(end - body)) + 1;
    return fail(client, body < end && *body == 'M' ? body + 1 : "an error without text", "");
}

static enum verdict take_message(struct client *client, struct audience *audience, char type, char *body, int length)
{
    if (type == 'R')
        return answer_auth(client, audience, body, length);
    if (type == 'E')
        return refused(client, body, length);
    if (type == 'Z') {
        client->state = IDLE;
        return STEP_READY;
    }
    return STEP_AGAIN;
}

/* All whole messages in the buffer; what follows a ReadyForQuery cannot be, as only we ask. */
static enum verdict take_messages(struct client *client, struct audience *audience)
{
    enum verdict verdict = STEP_AGAIN;
    int at = 0;
    while (verdict == STEP_AGAIN && client->length - at >= 5) {
        unsigned char *message = client->buffer + at;
        unsigned length = get32(message + 1);
        if (length < 4 || length > BUFFER_BYTES - 1)
            return fail(client, "the server sent a message of impossible length", "");
        if (client->length - at < (int)length + 1)
            break;
        verdict = take_message(client, audience, (char)message[0], (char *)message + 5, (int)length - 4);
        at += (int)length + 1;
    }
    client->length -= at;
    memmove(client->buffer, client->buffer + at, (size_t)client->length);
    return verdict;
}

/* A read that did not fill the room it had has emptied the socket: edge-triggered epoll will tell of more. */
static enum verdict read_messages(struct client *client, struct audience *audience)
{
    for (;;) {
        int room = BUFFER_BYTES - client->length;
        int got = receive(client, client->buffer + client->length, room);
        enum verdict verdict;
        if (got <= 0)
            return got < 0 ? STEP_FAILED : STEP_AGAIN;
        client->length += got;
        verdict = take_messages(client, audience);
        if (verdict != STEP_AGAIN)
            return verdict;
        if (client->tls == NULL ? got < room : !tls_pending(client->tls))
            return STEP_AGAIN;
    }
}

/* ---- from connect to login */

static enum verdict connected(struct client *client, const struct audience *audience)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        return fail(client, "connect", strerror(error));
    if (client->tls == NULL)
        return send_startup(client, audience);
    client->state = ASKED;
    return send_raw(client, SSL_REQUEST, sizeof SSL_REQUEST);
}

static enum verdict tls_answered(struct client *client)
{
    char answer;
    int got = (int)recv(client->fd, &answer, 1, 0);
    if (got < 0 && errno == EAGAIN)
        return STEP_AGAIN;
    if (got < 1)
        return fail(client, "the connection was closed after SSLRequest", "");
    if (answer != 'S')
        return fail(client, "the server has no TLS", "");
    client->state = SHAKING;
    return send_raw(client, client->tls->hello, client->tls->hello_length);
}

static enum verdict shake_hands(struct client *client, struct audience *audience)
{
    switch (tls_shake(client->tls, client->fd)) {
    case TLS_DONE:
        return send_startup(client, audience);
    case TLS_AGAIN:
        return STEP_AGAIN;
    default:
        return fail_tls(client, "TLS handshake");
    }
}

enum verdict client_connect(struct client *client, const struct audience *audience)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)audience->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->state = CONNECTING;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
        return fail(client, "connect", strerror(errno));
    return STEP_AGAIN;
}

/* What is asked for in one step has not come at its end: each step is one round trip. */
enum verdict client_step(struct client *client, struct audience *audience)
{
    switch (client->state) {
    case CONNECTING:
        return connected(client, audience);
    case ASKED:
        return tls_answered(client);
    case SHAKING:
        return shake_hands(client, audience);
    default:
        return read_messages(client, audience);
    }
}

enum verdict client_await(struct client *client, struct audience *audience, int timeout_ms)
{
    for (;;) {
        struct pollfd wait = {client->fd, client->state == CONNECTING ? POLLOUT : POLLIN, 0};
        enum verdict verdict;
        if (poll(&wait, 1, timeout_ms) <= 0)
            return fail(client, "no answer in time", "");
        verdict = client_step(client, audience);
        if (verdict != STEP_AGAIN)
            return verdict;
    }
}

int client_read(struct client *client, void *out, int room)
{
    for (;;) {
        struct pollfd wait = {client->fd, POLLIN, 0};
        int got = receive(client, out, room);
        if (got != 0)
            return got;
        if (poll(&wait, 1, 60000) <= 0)
            return fail(client, "no answer in time", ""), -1;
    }
}

/* ---- the end */

void client_leave(struct client *client)
{
    static const unsigned char terminate[5] = {'X', 0, 0, 0, 4};
    if (client->fd < 0)
        return;
    if (client->state != BROKEN && client->state != CONNECTING) {
        send_bytes(client, terminate, sizeof terminate);
        if (client->tls != NULL)
            tls_goodbye(client->tls, client->fd);
    }
    close(client->fd);
    client->fd = -1;
}

void client_release(struct client *client)
{
    tls_free(client->tls);
    client->tls = NULL;
}
