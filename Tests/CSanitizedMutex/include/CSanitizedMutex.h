// To be linked is enough for a program to be understood by ThreadSanitizer. See CSanitizedMutex.c.
#pragma once

#include <stdbool.h>

/// Whether this was built with ThreadSanitizer.
bool sanitizes_threads(void);
