/* What must hold whatever the input was.  A claim that does not hold says which and ends the process: libFuzzer then
   keeps the input, and a replay under pytest shows the line. */
#ifndef HOWDAH_FUZZ_CLAIM_H
#define HOWDAH_FUZZ_CLAIM_H

#include <stdio.h>
#include <stdlib.h>

#define claim(holds)                                                                  \
    do {                                                                              \
        if (!(holds)) {                                                               \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

#endif
