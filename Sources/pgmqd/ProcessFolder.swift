import Glibc
import PGMQWorker

/// The folder /proc, in which libdispatch looks up its own threads. It traps (SIGILL) when it does not find them.
enum ProcessFolder {
    /// Also false where /proc shows the processes of another namespace.
    static var isMounted: Bool { access("/proc/\(getpid())/stat", F_OK) == 0 }

    /// A configuration that is wrong is named before the folder.
    static func failure(of command: Any) -> Failure {
        if let run = command as? Run {
            do throws(Failure) {
                _ = try Configuration.ofCommand(run.options.config)
            } catch {
                return error
            }
        }
        return Failure(
            message:
                "/proc is not mounted, or shows another PID namespace; mount it, because the Swift runtime needs it",
            code: 71
        )
    }
}
