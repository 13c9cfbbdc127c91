#ifndef CSPAWN_H
#define CSPAWN_H

#include <sys/types.h>

/// What a child is to be. The pointers need to live only as long as the call.
struct cspawn_plan {
    const char *path;
    const char *const *arguments;
    const char *const *environment;
    /// NULL: the parent's.
    const char *working_directory;
    int input;
    int output;
    int errors;
};

enum cspawn_step {
    cspawn_step_create,
    cspawn_step_prepare,
    cspawn_step_change_directory,
    cspawn_step_execute,
};

/// `error` is 0 and `pid` and `pidfd` are valid, or `error` is the errno of `step` and there is no child.
struct cspawn_child {
    pid_t pid;
    int pidfd;
    int error;
    enum cspawn_step step;
};

/// Starts a child in a process group of its own, with no descriptors but the three, no signal blocked or ignored.
///
/// Returns when the child runs its program, or did not manage to. The child is killed when the calling *thread* ends.
struct cspawn_child cspawn_start(const struct cspawn_plan *plan);

/// Starts a child as `cspawn_start` does, but one that outlives the calling thread. Each of the plan's descriptors is
/// above 2 or already has its number.
/// Returns 0 or an errno.
int cspawn_start_unbound(const struct cspawn_plan *plan, pid_t *pid);

/// Makes a pipe whose ends are closed on exec and whose reading end never blocks; both never block if `doorbell`.
/// Returns 0 or an errno.
int cspawn_pipe(int *reading, int *writing, int doorbell);

/// A file in memory, closed on exec; a negative errno where there can be none.
int cspawn_memory_file(const char *name);

/// Where SIGCHLD is ignored (that is inherited), makes it not so: the kernel would drop the children's exit statuses.
void cspawn_keep_exit_statuses(void);

/// "SEGV" for SIGSEGV; NULL for a number without a name.
const char *cspawn_signal_name(int signal);

/// Names the calling thread, in at most 15 bytes.
void cspawn_name_thread(const char *name);

#endif
