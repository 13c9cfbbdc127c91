import Glibc

/// A process that runs its program, leader of a group of its own number, not yet waited for.
struct StartedProcess {
    let pid: pid_t
    let pidfd: Descriptor
    /// What it writes to standard error.
    let errors: Descriptor
}
