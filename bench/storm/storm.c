/* storm MODE name=value...: the load of `python -m bench` that pgbench cannot make.
 *
 *   storm  clients=2000 crews=2 seconds=5 patience=60   all clients at the same moment, one query each, again and again
 *          until the storms have taken `seconds`; meanwhile a bystander, logged in before, runs SELECT 1 every 10 ms
 *   idle   clients=10000                                log in, say so, stay until standard input ends
 *   copy   sql=...                                      one client, one COPY ... TO STDOUT or SELECT, read and thrown away
 *   statements  clients=64 statements=500 seconds=5     each client prepares all statements; then, after a line on
 *          standard input, each runs one at random again and again
 *
 * and for all: port=, user=, database=, password=, tls=off|full|resumed (TLS 1.3), sql=.  One JSON object a line on
 * standard output.  The clients of a storm are spread over processes, which share nothing that could be waited for. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bystander.h"
#include "crew.h"
#include "figures.h"
#include "statements.h"

enum { CREWS_MOST = 64, RECORDS_OF_A_LOGIN = 17408, RECORDS_OF_A_COPY = 262144 };

static struct {
    const char *mode, *password, *sql;
    int clients, crews, statements;
    double seconds, patience;
} options = {"", "", "SELECT 1", 2000, 2, 500, 1, 60};

static struct audience audience = {.user = "bench", .database = "bench"};

static void __attribute__((noreturn)) give_up(const char *what, const char *why)
{
    fprintf(stderr, "storm: %s%s%s\n", what, *why ? ": " : "", why);
    exit(1);
}

/* ---- the command line */

static enum encryption encryption_of(const char *value)
{
    if (strcmp(value, "full") == 0)
        return FULL;
    if (strcmp(value, "resumed") == 0)
        return RESUMED;
    if (strcmp(value, "off") != 0)
        give_up("tls= is off, full or resumed, not", value);
    return PLAIN;
}

static void read_option(const char *argument)
{
    const char *value = strchr(argument, '=');
    size_t length;
    if (value == NULL)
        give_up("not name=value", argument);
    length = (size_t)(value++ - argument);
#define IS(name) (length == strlen(name) && strncmp(argument, name, length) == 0)
    if (IS("port"))
        audience.port = atoi(value);
    else if (IS("user"))
        audience.user = value;
    else if (IS("database"))
        audience.database = value;
    else if (IS("password"))
        options.password = value;
    else if (IS("tls"))
        audience.encryption = encryption_of(value);
    else if (IS("clients"))
        options.clients = atoi(value);
    else if (IS("crews"))
        options.crews = atoi(value);
    else if (IS("statements"))
        options.statements = atoi(value);
    else if (IS("seconds"))
        options.seconds = atof(value);
    else if (IS("patience"))
        options.patience = atof(value);
    else if (IS("sql"))
        options.sql = value;
    else
        give_up("no such option", argument);
#undef IS
}

/* ---- one client before all: the keys and the ticket the others come with */

static void log_in(struct client *client)
{
    if (!client_prepare(client, &audience) || client_connect(client, &audience) == STEP_FAILED ||
        client_await(client, &audience, 30000) != STEP_READY)
        give_up("the first client cannot log in", client->error);
}

static void come_first(void)
{
    struct client client;
    log_in(&client);
    if (client_query(&client, "SELECT 1") == STEP_FAILED || client_await(&client, &audience, 30000) != STEP_READY)
        give_up("the first client's query", client.error);
    client_leave(&client);
    client_release(&client);
}

/* ---- the storm: one pipe to each crew and one back, a letter for each thing there is to say */

struct crew_process {
    pid_t pid;
    int commands, reports;
    struct outcome *outcome;
};

static struct crew_process crews[CREWS_MOST];
static double *start_at; /* shared with the crews */
static int my_commands, my_reports;

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("no memory", "");
    return memory;
}

static void say(int pipe, char letter)
{
    if (write(pipe, &letter, 1) != 1)
        exit(1);
}

static char hear(int pipe)
{
    char letter;
    return read(pipe, &letter, 1) == 1 ? letter : 0;
}

static double all_prepared(void)
{
    say(my_reports, 'r');
    if (hear(my_commands) != 'g')
        exit(1);
    return *start_at;
}

static int share_of(int crew)
{
    return options.clients / options.crews + (crew < options.clients % options.crews);
}

static void __attribute__((noreturn)) crew_main(int number)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (hear(my_commands) == 's') {
        crew_storm(&audience, share_of(number), options.sql, all_prepared, options.patience, crews[number].outcome);
        say(my_reports, 'd');
    }
    exit(0);
}

static void fork_crew(int number)
{
    struct crew_process *crew = &crews[number];
    int down[2], up[2];
    size_t times = sizeof(double) * (size_t)share_of(number);
    crew->outcome = shared(sizeof *crew->outcome);
    crew->outcome->logged_in = shared(times);
    crew->outcome->answered = shared(times);
    if (pipe(down) != 0 || pipe(up) != 0 || (crew->pid = fork()) < 0)
        give_up("cannot start a crew", "");
    if (crew->pid == 0) {
        close(down[1]);
        close(up[0]);
        for (int earlier = 0; earlier < number; earlier++)
            close(crews[earlier].commands); /* so that each sees its own end when the parent goes */
        my_commands = down[0];
        my_reports = up[1];
        crew_main(number);
    }
    close(down[0]);
    close(up[1]);
    crew->commands = down[1];
    crew->reports = up[0];
}

static void tell_all(char letter)
{
    for (int i = 0; i < options.crews; i++)
        say(crews[i].commands, letter);
}

static void hear_all(char letter)
{
    for (int i = 0; i < options.crews; i++)
        if (hear(crews[i].reports) != letter)
            give_up("a crew died", "");
}

static int times_of(double *out, int answered)
{
    int count = 0;
    for (int i = 0; i < options.crews; i++) {
        const struct outcome *outcome = crews[i].outcome;
        memcpy(out + count, answered ? outcome->answered : outcome->logged_in, sizeof *out * (size_t)outcome->ok);
        count += outcome->ok;
    }
    return count;
}

static void print_samples(double from, double to)
{
    static double took[SAMPLES_MOST];
    int count = bystander_between(from, to, took);
    putchar('[');
    for (int i = 0; i < count; i++)
        printf("%s%.1f", i ? "," : "", took[i] * 1e6);
    putchar(']');
}

/* Sums over the crews, but for the busiest one's shares of its own time. */
static struct outcome sum_up(double *busiest, double *kept_waiting)
{
    struct outcome all = {0};
    *busiest = *kept_waiting = 0;
    for (int i = 0; i < options.crews; i++) {
        const struct outcome *one = crews[i].outcome;
        all.ok += one->ok;
        all.errors += one->errors;
        all.unfinished += one->unfinished;
        all.resumed += one->resumed;
        all.cpu += one->cpu;
        all.connecting = one->connecting > all.connecting ? one->connecting : all.connecting;
        all.wall = one->wall > all.wall ? one->wall : all.wall;
        if (one->wall > 0 && one->cpu / one->wall > *busiest)
            *busiest = one->cpu / one->wall;
        if (one->wall > 0 && one->waited / one->wall > *kept_waiting)
            *kept_waiting = one->waited / one->wall;
        if (one->errors && !*all.first_error)
            memcpy(all.first_error, one->first_error, sizeof all.first_error);
    }
    return all;
}

static void print_storm(double began, double *times)
{
    double busiest, kept_waiting, p50, p99;
    struct outcome all = sum_up(&busiest, &kept_waiting);
    int count = times_of(times, 0);
    p50 = percentile(times, count, 0.50);
    p99 = percentile(times, count, 0.99);
    printf("{\"clients\":%d,\"ok\":%d,\"errors\":%d,\"unfinished\":%d,\"resumed\":%d,", options.clients, all.ok, all.errors,
           all.unfinished, all.resumed);
    printf("\"connecting_s\":%.6f,\"login_p50_s\":%.6f,\"login_p99_s\":%.6f,", all.connecting, p50, p99);
    count = times_of(times, 1);
    p50 = percentile(times, count, 0.50);
    p99 = percentile(times, count, 0.99);
    printf("\"result_p50_s\":%.6f,\"result_p99_s\":%.6f,\"last_s\":%.6f,", p50, p99, all.wall);
    printf("\"cpu_s\":%.6f,\"busiest\":%.3f,\"kept_waiting\":%.3f,\"first_error\":", all.cpu, busiest, kept_waiting);
    print_json_string(all.first_error);
    printf(",\"bystander_us\":");
    print_samples(began, began + all.wall);
    printf("}\n");
    fflush(stdout);
}

static double storm_once(double *times)
{
    tell_all('s');
    hear_all('r');
    *start_at = now() + 0.005;
    tell_all('g');
    hear_all('d');
    print_storm(*start_at, times);
    return now() - *start_at;
}

static void storms(void)
{
    double *times = malloc(sizeof *times * (size_t)options.clients), spent = 0;
    if (options.crews < 1 || options.crews > CREWS_MOST || options.clients < options.crews)
        give_up("crews= is at least 1, and each needs a client", "");
    start_at = shared(sizeof *start_at);
    for (int i = 0; i < options.crews; i++)
        fork_crew(i);
    if (!bystander_start(&audience))
        give_up("the bystander cannot log in", bystander_error());
    do
        spent += storm_once(times);
    while (spent < options.seconds);
    bystander_stop();
    if (*bystander_error())
        give_up("the bystander", bystander_error());
    for (int i = 0; i < options.crews; i++)
        close(crews[i].commands);
    while (wait(NULL) > 0)
        ;
}

/* ---- idle clients */

static void idle(void)
{
    char error[200];
    if (!crew_settle(&audience, options.clients, error, sizeof error))
        give_up("an idle client cannot log in", error);
    printf("{\"settled\":%d}\n", options.clients);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

/* ---- a long answer */

/* Walks over the messages of a stream; bytes of CopyData's and DataRow's bodies are counted. */
struct walk {
    unsigned char head[5];
    int have;           /* of head */
    unsigned remaining; /* of the body */
    unsigned long long copied;
    char last; /* type of the last whole message */
};

static void walk_over(struct walk *walk, const unsigned char *at, int length)
{
    while (length > 0 && walk->last != 'Z') {
        int step;
        if (walk->have < 5) {
            walk->head[walk->have++] = *at++;
            length--;
            if (walk->have < 5)
                continue;
            memcpy(&walk->remaining, walk->head + 1, 4);
            walk->remaining = ntohl(walk->remaining) - 4;
        }
        step = (unsigned)length < walk->remaining ? length : (int)walk->remaining;
        walk->copied += walk->head[0] == 'd' || walk->head[0] == 'D' ? (unsigned)step : 0;
        walk->remaining -= (unsigned)step;
        at += step;
        length -= step;
        if (walk->remaining == 0) {
            walk->last = (char)walk->head[0];
            walk->have = 0;
        }
    }
}

static void copy(void)
{
    static unsigned char block[65536];
    struct client client;
    struct walk walk = {.have = 0};
    double began, used;
    log_in(&client);
    began = now();
    used = cpu_used();
    if (client_query(&client, options.sql) == STEP_FAILED)
        give_up("the query", client.error);
    while (walk.last != 'Z') {
        int got = client_read(&client, block, sizeof block);
        if (got < 0)
            give_up("the answer", client.error);
        walk_over(&walk, block, got);
        if (walk.last == 'E')
            give_up("the server answered with an error", "");
    }
    printf("{\"bytes\":%llu,\"seconds\":%.6f,\"cpu_s\":%.6f}\n", walk.copied, now() - began, cpu_used() - used);
    client_leave(&client);
}

/* ---- prepared statements */

static void statements(void)
{
    struct statements load = {.audience = &audience, .client_count = options.clients, .statement_count = options.statements};
    char error[200];
    double began, used;
    if (options.statements < 1 || options.statements > STATEMENTS_MOST)
        give_up("statements= is 1 to 10000", "");
    if (!statements_open(&load, error, sizeof error))
        give_up("a client cannot prepare its statements", error);
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF)
        return;
    began = now();
    used = cpu_used();
    if (!statements_run(&load, options.seconds, error, sizeof error))
        give_up("a client's statement", error);
    printf("{\"units\":%d,\"seconds\":%.6f,\"cpu_s\":%.6f,", load.transactions, now() - began, cpu_used() - used);
    printf("\"p50_us\":%.1f,", 1e6 * percentile(load.took, load.transactions, 0.50));
    printf("\"p95_us\":%.1f,", 1e6 * percentile(load.took, load.transactions, 0.95));
    printf("\"p99_us\":%.1f}\n", 1e6 * percentile(load.took, load.transactions, 0.99));
}

int main(int argc, char **argv)
{
    struct rlimit files;
    int copies;
    options.mode = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++)
        read_option(argv[i]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    copies = strcmp(options.mode, "copy") == 0;
    if (!audience_open(&audience, options.password, copies ? RECORDS_OF_A_COPY : RECORDS_OF_A_LOGIN))
        give_up("OpenSSL cannot make a key", "");
    if (strcmp(options.mode, "storm") == 0) {
        come_first();
        storms();
    } else if (strcmp(options.mode, "idle") == 0) {
        idle();
    } else if (copies) {
        copy();
    } else if (strcmp(options.mode, "statements") == 0) {
        statements();
    } else {
        give_up("the first word is storm, idle, copy or statements, not", options.mode);
    }
    return 0;
}
