/// One thing to tell the service manager; several go in one datagram.
public enum ServiceState: Sendable, Equatable {
    /// Started, or done with reloading.
    case ready
    /// The line that `systemctl status` shows.
    case status(String)
    case stopping
    /// Reading the configuration again; ends with `ready`, whether the reload worked or not.
    case reloading
    /// More time than `TimeoutStartSec` or `TimeoutStopSec` leaves, counted from now. Must be renewed before it ends.
    case extendTimeout(Duration)
    case watchdog
    /// Asks for what a missed watchdog brings, without waiting for it: something inside is broken beyond repair.
    case watchdogTrigger
    /// The errno of a start that failed.
    case failure(errno: Int32)

    /// The assignments of the datagram, `NAME=value` each.
    ///
    /// - Parameter monotonic: microseconds of CLOCK_MONOTONIC, by which the manager pairs a reload with its `READY=1`.
    package func assignments(monotonic: UInt64) -> [String] {
        switch self {
        case .ready: ["READY=1"]
        case .status(let text): ["STATUS=\(Self.oneLine(text))"]
        case .stopping: ["STOPPING=1"]
        case .reloading: ["RELOADING=1", "MONOTONIC_USEC=\(monotonic)"]
        case .extendTimeout(let time): ["EXTEND_TIMEOUT_USEC=\(time.wholeMicroseconds)"]
        case .watchdog: ["WATCHDOG=1"]
        case .watchdogTrigger: ["WATCHDOG=trigger"]
        case .failure(let number): ["ERRNO=\(number)"]
        }
    }

    /// A newline would begin another assignment: an error text from outside could say `READY=1`.
    private static func oneLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { LogText.breaksLine($0) ? " " : $0 }))
    }
}
