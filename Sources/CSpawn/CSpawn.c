// Why our own: swift-subprocess 1.0.2 and posix_spawn(3) have no hook for the parent-death signal, without which the
// children of a killed daemon run on beside the next daemon's; setpriv(1) in front of every command would be a second
// exec. The child borrows our memory until it executes (as vfork does), so nothing of a large daemon is copied, and
// its errno is simply there when it fails.

#define _GNU_SOURCE
#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// The kernel's signal set. Raw, because the C library's calls leave out the two signals it keeps for itself: a handler
// of theirs in the child would work on the parent's memory, and where they are ignored the child would inherit that.
typedef unsigned long long kernel_sigset;

static void set_mask(kernel_sigset mask, kernel_sigset *former) {
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, former, sizeof mask);
}

struct birth {
    const struct cspawn_plan *plan;
    pid_t parent;
    enum cspawn_step step;
    int error;
};

// Where close_range(2) is filtered away, one by one.
static void close_all_from_3(void) {
    if (close_range(3, ~0U, 0) == 0) return;
    struct rlimit limit;
    int end = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 20 ? (int)limit.rlim_cur : 1 << 20;
    for (int fd = 3; fd < end; fd++) close(fd);
}

static int place_descriptors(const struct cspawn_plan *plan) {
    int from[3] = {plan->input, plan->output, plan->errors};
    // A parent that was started without standard descriptors may have given us some of these numbers.
    for (int to = 0; to < 3; to++) {
        if (from[to] < 3 && (from[to] = fcntl(from[to], F_DUPFD_CLOEXEC, 3)) < 0) return -1;
    }
    for (int to = 0; to < 3; to++) {
        if (dup2(from[to], to) < 0) return -1;
    }
    return 0;
}

// Runs in the child, on the parent's memory: system calls only, no allocation, no lock.
static int be_born(void *context) {
    struct birth *birth = context;
    const struct cspawn_plan *plan = birth->plan;

    // Ignored signals (SIGPIPE, in a daemon) outlive exec; handlers must be gone before the mask is opened.
    // The kernel's struct sigaction is shorter than this, and SIG_DFL without flags is nothing but zeros.
    const unsigned long standard[8] = {0};
    for (int number = 1; number < _NSIG; number++) {
        syscall(SYS_rt_sigaction, number, standard, NULL, sizeof(kernel_sigset));
    }

    birth->step = cspawn_step_prepare;
    if (setpgid(0, 0) != 0) goto failed;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) goto failed;
    // The parent may have died before the line above: then no signal will come.
    if (getppid() != birth->parent) _exit(127);
    if (place_descriptors(plan) != 0) goto failed;
    close_all_from_3();

    birth->step = cspawn_step_change_directory;
    if (plan->working_directory != NULL && chdir(plan->working_directory) != 0) goto failed;

    birth->step = cspawn_step_execute;
    set_mask(0, NULL);
    execve(plan->path, (char *const *)plan->arguments, (char *const *)plan->environment);
failed:
    birth->error = errno;
    _exit(127);
}

struct cspawn_child cspawn_start(const struct cspawn_plan *plan) {
    _Alignas(16) char stack[32 * 1024];
    struct birth birth = {.plan = plan, .parent = getpid(), .step = cspawn_step_create};
    struct cspawn_child child = {.pid = -1, .pidfd = -1};

    kernel_sigset former;
    set_mask(~0ULL, &former);
    // glibc's clone(2), not clone3(2): container sandboxes refuse the latter.
    child.pid = clone(
        be_born, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &birth, &child.pidfd);
    child.error = child.pid < 0 ? errno : birth.error;
    child.step = birth.step;
    set_mask(former, NULL);

    if (child.pid > 0 && child.error != 0) {
        siginfo_t unused;
        while (waitid(P_PIDFD, (id_t)child.pidfd, &unused, WEXITED) != 0 && errno == EINTR) {}
        close(child.pidfd);
        child.pid = child.pidfd = -1;
    }
    return child;
}

int cspawn_start_unbound(const struct cspawn_plan *plan, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    posix_spawnattr_t attributes;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) goto no_attributes;

    const int from[3] = {plan->input, plan->output, plan->errors};
    for (int to = 0; to < 3 && error == 0; to++) error = posix_spawn_file_actions_adddup2(&actions, from[to], to);
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (error == 0 && plan->working_directory != NULL) {
        error = posix_spawn_file_actions_addchdir_np(&actions, plan->working_directory);
    }
    sigset_t signals;
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (error == 0) {
        error = posix_spawn(
            pid, plan->path, &actions, &attributes, (char *const *)plan->arguments, (char *const *)plan->environment);
    }
    posix_spawnattr_destroy(&attributes);
no_attributes:
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int cspawn_pipe(int *reading, int *writing, int doorbell) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | (doorbell ? O_NONBLOCK : 0)) != 0) return errno;
    // Of a pipe only the reading end is made non-blocking: a child's writes must wait, not fail.
    if (!doorbell) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

int cspawn_memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    // Kernels before 6.3 do not know the seal.
    if (fd < 0 && errno == EINVAL) fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void cspawn_keep_exit_statuses(void) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL);
}

const char *cspawn_signal_name(int signal) { return sigabbrev_np(signal); }

void cspawn_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
