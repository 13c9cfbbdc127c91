#ifndef CDAEMONPROCESS_H
#define CDAEMONPROCESS_H

// What a process sets up before it does anything else. All calls may be repeated.

/// Ignores SIGPIPE, and puts /dev/null where one of the three standard streams is closed.
void daemonprocess_secure_streams(void);

/// Catches a signal in the whole process, and keeps it until `daemonprocess_take_signal` takes it.
/// Returns 0 or an errno; the signal's action is unchanged then.
int daemonprocess_keep_signal(int number);

/// Keeps the signals that a daemon handles: SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGTSTP and SIGCONT.
int daemonprocess_keep_signals(void);

/// Readable while signals are kept; -1 before the first is to be kept.
int daemonprocess_signal_descriptor(void);

/// Takes the oldest signal that is kept; 0 where there is none.
int daemonprocess_take_signal(void);

#endif
