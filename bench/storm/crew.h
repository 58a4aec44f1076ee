/* A process of the storm and its share of the clients. */
#ifndef STORM_CREW_H
#define STORM_CREW_H

#include "client.h"

/* What became of one crew's clients in one storm; shared memory between the crew, which writes, and the parent. */
struct outcome {
    int ok, errors, unfinished, resumed;
    double connecting;  /* seconds until the last connect() had returned */
    double cpu, waited; /* seconds of the crew: on a core, ready without one */
    double wall;        /* seconds to its last result */
    char first_error[200];
    double *logged_in, *answered; /* seconds from the start, `ok` of each */
};

/* `count` clients all at once from `start` on, each with one query; `ready` is called when all are prepared and gives
 * the moment to start at. */
void crew_storm(struct audience *audience, int count, const char *sql, double (*ready)(void), double patience,
                struct outcome *outcome);
/* Log `count` clients in, some at a time, and keep their sockets.  0 and the error of the first that cannot. */
int crew_settle(struct audience *audience, int count, char *error, size_t room);

#endif
