#define _GNU_SOURCE
#include "bystander.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "figures.h"

static const double EVERY = 0.010;

static struct client client;
static struct audience *audience;
static pthread_t thread;
static struct sample samples[SAMPLES_MOST];
static atomic_int count;
static atomic_bool stop;

/* On full cores the bystander's own wait for one is not the pooler's doing: it goes before everybody, where it may. */
static void go_first(void)
{
    struct sched_param first = {.sched_priority = 1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

static void *stand_by(void *unused)
{
    (void)unused;
    go_first();
    while (!stop && count < SAMPLES_MOST) {
        double asked = now();
        if (client_query(&client, "SELECT 1") == STEP_FAILED || client_await(&client, audience, 60000) != STEP_READY)
            break;
        samples[count] = (struct sample){asked, now() - asked};
        count++;
        wait_until(asked + EVERY);
    }
    client_leave(&client);
    return NULL;
}

int bystander_start(struct audience *with)
{
    audience = with;
    if (!client_prepare(&client, audience) || client_connect(&client, audience) == STEP_FAILED ||
        client_await(&client, audience, 30000) != STEP_READY)
        return 0;
    return pthread_create(&thread, NULL, stand_by, NULL) == 0;
}

void bystander_stop(void)
{
    stop = 1;
    pthread_join(thread, NULL);
}

int bystander_between(double from, double to, double *out)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        if (samples[i].at < to && samples[i].at + samples[i].took > from)
            out[found++] = samples[i].took;
    return found;
}

const char *bystander_error(void)
{
    return client.error;
}
