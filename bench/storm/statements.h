/* A load of prepared statements: every client prepares all of them and then runs one at random, again and again.
 *
 * pgbench cannot do this: it takes at most 128 scripts, and inside of one it walks over all that is not chosen. */
#ifndef STORM_STATEMENTS_H
#define STORM_STATEMENTS_H

#include "client.h"

enum { STATEMENTS_MOST = 10000 };

/* Made by statements_open, whose clients it holds; they go with the process. */
struct statements {
    struct audience *audience;
    struct statements_client *clients;
    int client_count, statement_count;
    int epoll, running; /* clients that have something under way */
    double end;         /* no new transaction from then on */
    double *took;       /* seconds of each transaction */
    int transactions, room;
};

/* Log the clients in and let each prepare its statements.  0: see `error`. */
int statements_open(struct statements *load, char *error, size_t room);
/* One statement after the other on each client, for `seconds`.  0: see `error`. */
int statements_run(struct statements *load, double seconds, char *error, size_t room);

#endif
