#define _GNU_SOURCE
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "figures.h"

enum { EVENTS = 256, LOGINS_AT_A_TIME = 100 /* fewer than any listen backlog */ };

struct crew {
    struct audience *audience;
    struct client *clients;
    int count, left, epoll;
    const char *sql;
    double start;
    struct outcome *outcome;
};

static void ended_badly(struct crew *crew, struct client *client)
{
    struct outcome *outcome = crew->outcome;
    if (outcome->errors++ == 0)
        memcpy(outcome->first_error, client->error, sizeof outcome->first_error);
    client_leave(client);
    crew->left--;
}

static void ready(struct crew *crew, struct client *client, int was_login)
{
    struct outcome *outcome = crew->outcome;
    double at = now() - crew->start;
    if (was_login) {
        client->logged_in = at;
        if (client_query(client, crew->sql) == STEP_FAILED)
            ended_badly(crew, client);
        return;
    }
    outcome->logged_in[outcome->ok] = client->logged_in;
    outcome->answered[outcome->ok++] = at;
    outcome->wall = at;
    outcome->resumed += client->tls != NULL && client->tls->resumed;
    client_leave(client);
    crew->left--;
}

static void serve(struct crew *crew, struct client *client)
{
    int was_login;
    if (client->fd < 0)
        return;
    was_login = client->state != QUERYING;
    switch (client_step(client, crew->audience)) {
    case STEP_READY:
        ready(crew, client, was_login);
        break;
    case STEP_FAILED:
        ended_badly(crew, client);
        break;
    case STEP_AGAIN:
        break;
    }
}

static void prepare(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++)
        if (!client_prepare(&crew->clients[i], crew->audience))
            ended_badly(crew, &crew->clients[i]);
}

/* Edge-triggered, once for reading and writing: no further epoll_ctl a client. */
static void start(struct crew *crew, struct client *client)
{
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = client}};
    if (client->state == BROKEN)
        return;
    if (client_connect(client, crew->audience) == STEP_FAILED ||
        epoll_ctl(crew->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        ended_badly(crew, client);
}

static void give_up(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++)
        if (crew->clients[i].fd >= 0) {
            crew->outcome->unfinished++;
            client_leave(&crew->clients[i]);
        }
}

static void go(struct crew *crew, double patience)
{
    struct epoll_event events[EVENTS];
    for (int i = 0; i < crew->count; i++)
        start(crew, &crew->clients[i]);
    crew->outcome->connecting = now() - crew->start;
    while (crew->left > 0 && now() - crew->start < patience) {
        int happened = epoll_wait(crew->epoll, events, EVENTS, 100);
        for (int i = 0; i < happened; i++)
            serve(crew, events[i].data.ptr);
    }
    give_up(crew);
}

void crew_storm(struct audience *audience, int count, const char *sql, double (*all_prepared)(void), double patience,
                struct outcome *outcome)
{
    struct crew crew = {audience, calloc((size_t)count, sizeof *crew.clients), count, count, epoll_create1(0), sql, 0, outcome};
    double cpu, waited;
    memset(outcome, 0, offsetof(struct outcome, logged_in));
    prepare(&crew);
    crew.start = all_prepared();
    wait_until(crew.start);
    cpu = cpu_used();
    waited = waited_for_core();
    go(&crew, patience);
    outcome->cpu = cpu_used() - cpu;
    outcome->waited = waited_for_core() - waited;
    for (int i = 0; i < count; i++)
        client_release(&crew.clients[i]);
    free(crew.clients);
    close(crew.epoll);
}

/* ---- idle clients */

static int log_in_some(struct audience *audience, struct client *clients, int count, char *error, size_t room)
{
    int good = 1;
    for (int i = 0; i < count; i++)
        good = good && client_prepare(&clients[i], audience) && client_connect(&clients[i], audience) == STEP_AGAIN;
    for (int i = 0; i < count && good; i++) {
        good = client_await(&clients[i], audience, 30000) == STEP_READY;
        client_release(&clients[i]);
        if (!good)
            snprintf(error, room, "%s", clients[i].error);
    }
    return good;
}

int crew_settle(struct audience *audience, int count, char *error, size_t room)
{
    struct client *clients = calloc(LOGINS_AT_A_TIME, sizeof *clients);
    int done = 0;
    while (done < count) {
        int some = count - done < LOGINS_AT_A_TIME ? count - done : LOGINS_AT_A_TIME;
        if (!log_in_some(audience, clients, some, error, room))
            break;
        done += some; /* the sockets stay open until this process ends */
    }
    free(clients);
    return done == count;
}
