#define _GNU_SOURCE
#include "statements.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "figures.h"

enum { EVENTS = 256, REQUEST_BYTES = 400, LONGEST_WAIT_MS = 30000 };
enum { ROWS = 100000 /* of pgbench's smallest scale */, INT4 = 23 /* the type's OID */ };

struct statements_client {
    struct client client;
    int prepared;    /* statements, in order */
    double asked_at; /* the transaction under way */
    unsigned seed;
};

/* ---- messages */

struct request {
    unsigned char bytes[REQUEST_BYTES];
    int length, message; /* where the body of the message being written begins */
};

static void begin(struct request *request, char type)
{
    request->bytes[request->length] = (unsigned char)type;
    request->message = request->length + 1;
    request->length += 5;
}

static void put(struct request *request, const void *bytes, int length)
{
    memcpy(request->bytes + request->length, bytes, (size_t)length);
    request->length += length;
}

static void put16(struct request *request, int value)
{
    unsigned short number = htons((unsigned short)value);
    put(request, &number, 2);
}

static void put32(struct request *request, int value)
{
    unsigned number = htonl((unsigned)value);
    put(request, &number, 4);
}

static void put_text(struct request *request, const char *text)
{
    put(request, text, (int)strlen(text) + 1);
}

static void end(struct request *request)
{
    unsigned length = htonl((unsigned)(request->length - request->message));
    memcpy(request->bytes + request->message, &length, 4);
}

static void put_sync(struct request *request)
{
    begin(request, 'S');
    end(request);
}

static void put_parse(struct request *request, int statement)
{
    char text[100];
    begin(request, 'P');
    snprintf(text, sizeof text, "s%d", statement);
    put_text(request, text);
    snprintf(text, sizeof text, "SELECT abalance + %d FROM pgbench_accounts WHERE aid = $1", statement);
    put_text(request, text);
    put16(request, 1);
    put32(request, INT4);
    end(request);
}

/* Bind, Describe, Execute: what libpq's PQsendQueryPrepared sends. */
static void put_execution(struct request *request, int statement, int row)
{
    char name[16], value[16];
    int length = snprintf(value, sizeof value, "%d", row);
    snprintf(name, sizeof name, "s%d", statement);
    begin(request, 'B');
    put_text(request, ""); /* the unnamed portal */
    put_text(request, name);
    put16(request, 0); /* all parameters as text */
    put16(request, 1);
    put32(request, length);
    put(request, value, length);
    put16(request, 0); /* the result likewise */
    end(request);
    begin(request, 'D');
    put(request, "P", 2);
    end(request);
    begin(request, 'E');
    put_text(request, "");
    put32(request, 0); /* all rows */
    end(request);
}

/* ---- clients; each asks for one thing at a time and is called when it is answered */

/* One Parse up to each Sync: PgBouncer 1.24 loses count where it answers some of a pipeline's Parses itself and has to
 * close other statements meanwhile, and never lets go of the server. */
static enum verdict prepare_next(struct statements *load, struct statements_client *client)
{
    struct request request = {.length = 0};
    if (client->prepared == load->statement_count) {
        load->running--;
        return STEP_AGAIN;
    }
    put_parse(&request, client->prepared++);
    put_sync(&request);
    return client_ask(&client->client, request.bytes, request.length);
}

static int room_for_one_more(struct statements *load)
{
    int room = load->room ? load->room * 2 : 65536;
    double *more;
    if (load->transactions < load->room)
        return 1;
    more = realloc(load->took, sizeof *more * (size_t)room);
    if (more == NULL)
        return 0;
    load->took = more;
    load->room = room;
    return 1;
}

static enum verdict execute_next(struct statements *load, struct statements_client *client)
{
    struct request request = {.length = 0};
    double at = now();
    if (client->asked_at > 0 && room_for_one_more(load))
        load->took[load->transactions++] = at - client->asked_at;
    if (at >= load->end) {
        load->running--;
        return STEP_AGAIN;
    }
    client->asked_at = at;
    put_execution(&request, rand_r(&client->seed) % load->statement_count, 1 + rand_r(&client->seed) % ROWS);
    put_sync(&request);
    return client_ask(&client->client, request.bytes, request.length);
}

typedef enum verdict (*next_fn)(struct statements *load, struct statements_client *client);

static enum verdict serve(struct statements *load, struct statements_client *client, next_fn next)
{
    enum verdict verdict = client_step(&client->client, load->audience);
    return verdict == STEP_READY ? next(load, client) : verdict;
}

/* Every client asks again and again, until `next` asks for nothing more. */
static int go_on(struct statements *load, next_fn next, char *error, size_t room)
{
    struct epoll_event events[EVENTS];
    struct statements_client *client = load->clients;
    enum verdict verdict = STEP_AGAIN;
    load->running = load->client_count;
    for (int i = 0; i < load->client_count && verdict == STEP_AGAIN; i++)
        verdict = next(load, client = &load->clients[i]);
    while (load->running > 0 && verdict == STEP_AGAIN) {
        int happened = epoll_wait(load->epoll, events, EVENTS, LONGEST_WAIT_MS);
        if (happened <= 0) {
            snprintf(error, room, "%d of %d clients have no answer", load->running, load->client_count);
            return 0;
        }
        for (int i = 0; i < happened && verdict == STEP_AGAIN; i++)
            verdict = serve(load, client = events[i].data.ptr, next);
    }
    if (verdict == STEP_FAILED)
        snprintf(error, room, "%s", client->client.error);
    return verdict != STEP_FAILED;
}

static int log_in(struct statements *load, struct statements_client *client, char *error, size_t room)
{
    struct epoll_event event = {EPOLLIN, {.ptr = client}};
    if (client_prepare(&client->client, load->audience) && client_connect(&client->client, load->audience) == STEP_AGAIN &&
        client_await(&client->client, load->audience, LONGEST_WAIT_MS) == STEP_READY &&
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->client.fd, &event) == 0)
        return 1;
    snprintf(error, room, "%s", client->client.error);
    return 0;
}

int statements_open(struct statements *load, char *error, size_t room)
{
    load->epoll = epoll_create1(0);
    load->clients = calloc((size_t)load->client_count, sizeof *load->clients);
    for (int i = 0; i < load->client_count; i++) {
        load->clients[i].seed = (unsigned)i + 1; /* the same choices for each pooler */
        if (!log_in(load, &load->clients[i], error, room))
            return 0;
    }
    return go_on(load, prepare_next, error, room);
}

int statements_run(struct statements *load, double seconds, char *error, size_t room)
{
    load->end = now() + seconds;
    return go_on(load, execute_next, error, room);
}
