// Why not libdispatch's signal sources: they set their handler on another thread some time after `activate`. Until then
// the default action ends the process, or SIG_IGN discards the signal. Blocking the signals meanwhile does not help,
// because libdispatch parks the main thread in sigsuspend(2) with nothing blocked. A handler holds for all threads at
// once, whatever they block, and a pipe keeps the order, so that SIGTSTP and SIGCONT are never swapped.

#define _GNU_SOURCE
#include "CDaemonProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

// A program may send signals faster than they are taken. Signals beyond this number of the same kind are merged, so
// that the pipe of 64 kB is never full: a flood of SIGUSR1 does not keep SIGTERM out.
enum { most_kept = 512 };

static _Atomic int reading = -1;
static _Atomic int writing = -1;
static atomic_int kept[_NSIG];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

void daemonprocess_secure_streams(void) {
    // write(2) reports a reader that has gone, like a full disk.
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1) continue;
        // The connection to the database would otherwise get this number, and the output. open(2) takes the lowest
        // free one. It is open in the wrong direction, so that its use fails as that of a closed one does.
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) == -1) return;
    }
}

static void keep(int number) {
    int error = errno;
    unsigned char byte = (unsigned char)number;
    if (atomic_fetch_add(&kept[number], 1) >= most_kept || write(writing, &byte, 1) != 1) {
        atomic_fetch_sub(&kept[number], 1);
    }
    errno = error;
}

static int make_pipe(void) {
    int error = 0;
    pthread_mutex_lock(&making);
    if (reading == -1) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
            writing = ends[1];
            reading = ends[0];
        } else {
            error = errno;
        }
    }
    pthread_mutex_unlock(&making);
    return error;
}

int daemonprocess_keep_signal(int number) {
    int error = make_pipe();
    if (error != 0) return error;
    struct sigaction action = {.sa_handler = keep, .sa_flags = SA_RESTART};
    // No two handlers run in one thread: their order would be the wrong one.
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0) return errno;
    // Whoever started this process may have blocked it.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int daemonprocess_keep_signals(void) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        int error = daemonprocess_keep_signal(numbers[index]);
        if (error != 0) return error;
    }
    return 0;
}

int daemonprocess_signal_descriptor(void) { return reading; }

int daemonprocess_take_signal(void) {
    unsigned char byte;
    ssize_t count;
    do {
        count = read(reading, &byte, 1);
    } while (count == -1 && errno == EINTR);
    if (count != 1) return 0;
    atomic_fetch_sub(&kept[byte], 1);
    return byte;
}
