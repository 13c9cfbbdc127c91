#ifndef CSTART_H
#define CSTART_H

// For the program `pgmqd` alone. In a library, the code that runs before `main` would change every program that links
// it.

/// The arguments that the process was started with, its name first.
int cstart_argument_count(void);

/// The index is below the count.
const char *cstart_argument(int index);

#endif
