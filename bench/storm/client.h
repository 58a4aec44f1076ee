/* One PostgreSQL client that logs in and runs queries on a non-blocking socket.
 *
 * It does on the wire what libpq does (SSLRequest, handshake, StartupMessage, SASL, Query, Terminate, close_notify; each
 * in a segment of its own), and as little as possible beside: the ClientHello is made before the clock runs, SCRAM's
 * keys are derived once for all clients, and see tls13.h. */
#ifndef STORM_CLIENT_H
#define STORM_CLIENT_H

#include "scram.h"
#include "tls13.h"

enum encryption { PLAIN, FULL, RESUMED };

/* What all clients of a process share.  Made by audience_open. */
struct audience {
    int port;
    const char *user, *database;
    enum encryption encryption;
    struct tls_setup tls;
    struct scram_keys keys;
};

enum state {
    IDLE,       /* connected or not, nothing under way */
    CONNECTING, /* the socket is not yet writable */
    ASKED,      /* for TLS; one byte is to come */
    SHAKING,    /* hands */
    LOGIN,      /* from the StartupMessage to the first ReadyForQuery */
    QUERYING,   /* to the next one */
    BROKEN,     /* see error */
};

enum verdict { STEP_AGAIN, STEP_READY, STEP_FAILED };

enum { BUFFER_BYTES = 4096 }; /* longer than any message of a login */

struct client {
    int fd;
    enum state state;
    struct tls *tls; /* NULL without */
    char nonce[NONCE_LETTERS + 1];
    unsigned char signature[KEY_BYTES];
    double logged_in; /* the crew's: seconds from its start */
    int length;       /* of what is in buffer */
    unsigned char buffer[BUFFER_BYTES];
    char error[200];
};

/* `record_room`: bytes a client can take of the socket at once; a TLS record must fit.  0 when OpenSSL cannot. */
int audience_open(struct audience *audience, const char *password, int record_room);
/* Everything that can be done before the clock runs: socket, TLS object, ClientHello, nonce.  0: see error. */
int client_prepare(struct client *client, struct audience *audience);
/* Start connecting. */
enum verdict client_connect(struct client *client, const struct audience *audience);
/* The socket is ready for something: go on until it is not, or until a ReadyForQuery has come. */
enum verdict client_step(struct client *client, struct audience *audience);
/* Send a simple query; STEP_READY comes out of client_step when it is answered. */
enum verdict client_query(struct client *client, const char *sql);
/* The same with messages of the extended protocol, the last of which is a Sync. */
enum verdict client_ask(struct client *client, const void *messages, int length);
/* Wait with poll() until STEP_READY or STEP_FAILED. */
enum verdict client_await(struct client *client, struct audience *audience, int timeout_ms);
/* Bytes of the connection as they come, for who reads a long answer himself; -1 at its end and on errors. */
int client_read(struct client *client, void *out, int room);
/* Say goodbye and close the socket; the TLS object stays for client_release. */
void client_leave(struct client *client);
/* Give up the TLS object without a word and keep the socket: to the server this client is just idle. */
void client_release(struct client *client);

#endif
