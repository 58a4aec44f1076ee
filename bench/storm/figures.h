/* Clocks, what a process has used, percentiles. */
#ifndef STORM_FIGURES_H
#define STORM_FIGURES_H

/* Seconds of the monotonic clock. */
double now(void);
/* Wait until the monotonic clock shows `when`. */
void wait_until(double when);
/* CPU seconds of this process. */
double cpu_used(void);
/* Seconds this thread was ready to run and had no core (/proc/thread-self/schedstat). */
double waited_for_core(void);
/* Sorts `values` and gives the smallest that `share` of them do not exceed; 0 of none. */
double percentile(double *values, int count, double share);
/* `text` as a JSON string on standard output. */
void print_json_string(const char *text);

#endif
