// Swift's own arguments are empty where /proc is not mounted, and the runtime takes tens of milliseconds to start, in
// which a signal would end the process by its default action.

#include "CStart.h"
#include "CDaemonProcess.h"

#include <string.h>

static int count;
static char **arguments;

static void start(int argc, char **argv, char **environment) {
    (void)environment;
    count = argc;
    arguments = argv;
    daemonprocess_secure_streams();
    // The other commands end by a signal like any program. Where there is no pipe, `run` says so itself.
    if (argc > 1 && strcmp(argv[1], "run") == 0) (void)daemonprocess_keep_signals();
}

// Before the constructors of all libraries, preloaded ones too. glibc passes the three arguments.
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = start;

int cstart_argument_count(void) { return count; }

const char *cstart_argument(int index) { return arguments[index]; }
