import CSpawn
import Glibc

/// How a process ended.
enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(signal: Int32, coreDumped: Bool)
    /// Somebody else in this process has waited for the child, or SIGCHLD is ignored.
    case unknown

    /// Nil while the process runs.
    ///
    /// - Parameter reap: release the process id as well.
    init?(ofProcess pidfd: Descriptor, reap: Bool) {
        var info = siginfo_t()
        let options = WEXITED | WNOHANG | (reap ? 0 : WNOWAIT)
        while waitid(P_PIDFD, id_t(pidfd.raw), &info, options) != 0 {
            guard errno == EINTR else {
                self = .unknown
                return
            }
        }
        guard info._sifields._sigchld.si_pid != 0 else { return nil }
        let value = info._sifields._sigchld.si_status
        switch Int(info.si_code) {
        case Int(CLD_EXITED): self = .exited(value)
        case Int(CLD_DUMPED): self = .killed(signal: value, coreDumped: true)
        default: self = .killed(signal: value, coreDumped: false)
        }
    }

    var description: String {
        switch self {
        case .exited(let status):
            return "exit status \(status)"
        case .killed(let signal, let coreDumped):
            let name = cspawn_signal_name(signal).map { "SIG" + String(cString: $0) } ?? "signal \(signal)"
            return "killed by " + name + (coreDumped ? " (core dumped)" : "")
        case .unknown:
            return "exit status unknown"
        }
    }
}
