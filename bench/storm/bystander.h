/* A client that was there before: SELECT 1 every 10 ms, and how long each took. */
#ifndef STORM_BYSTANDER_H
#define STORM_BYSTANDER_H

#include "client.h"

enum { SAMPLES_MOST = 200000 };

/* One answer: when it was asked for and how long it took, in seconds. */
struct sample {
    double at, took;
};

/* Logs in and starts its thread; 0: see bystander_error. */
int bystander_start(struct audience *audience);
/* Ends the thread; `samples` then hold still. */
void bystander_stop(void);
/* Copies to `out` how long those samples took that were under way between two moments.  How many. */
int bystander_between(double from, double to, double *out);
/* What went wrong, or "". */
const char *bystander_error(void);

#endif
