import CSystemd
import Glibc
import Logging

/// The service manager that started this process, if any: what it asked for, and the way to tell it things.
///
/// Outside systemd every call does nothing. No call waits, and none fails: a manager that cannot hear is no reason to
/// stop working.
public struct ServiceManager: Sendable {
    /// Time within which `WATCHDOG=1` is expected; nil where no watchdog is set for this process.
    public let watchdogInterval: Duration?
    /// Told at debug level what could not be sent.
    public var logger = Logger(label: "pgmqd.systemd")
    private let socket: NotifySocket?

    /// - Parameter notifySocket: a path, or `@` and an abstract name, as in `NOTIFY_SOCKET`.
    public init(notifySocket: String?, watchdogInterval: Duration? = nil) {
        self.socket = notifySocket.flatMap(NotifySocket.init(address:))
        self.watchdogInterval = watchdogInterval
    }

    /// Reads what the manager set, and takes it out of the environment so that no child inherits it.
    ///
    /// To be called once, before the process has other threads: `unsetenv` is not safe beside `getenv`.
    public static func fromEnvironment() -> ServiceManager {
        var microseconds: UInt64 = 0
        // Checks WATCHDOG_PID too; 1 unsets both variables.
        let watched = sd_watchdog_enabled(1, &microseconds) > 0
        // Sockets of an activation nobody asked for: no child shall have them either (sets close-on-exec).
        _ = sd_listen_fds(1)
        let address = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
        for name in ["NOTIFY_SOCKET", "FDSTORE"] { unsetenv(name) }
        return ServiceManager(
            notifySocket: address,
            watchdogInterval: watched ? .microseconds(Int64(clamping: microseconds)) : nil
        )
    }

    /// Whether somebody listens.
    public var isPresent: Bool { socket != nil }

    /// Sends all states in one datagram.
    ///
    /// - Returns: whether the manager has it; false also where there is none. What matters is worth sending again.
    @discardableResult
    public func notify(_ states: [ServiceState]) -> Bool {
        guard let socket, !states.isEmpty else { return false }
        let now = Self.monotonicMicroseconds()
        let text = states.flatMap { $0.assignments(monotonic: now) }.joined(separator: "\n")
        let failure = socket.send(text)
        if failure != 0 {
            logger.debug(
                "service manager unreachable",
                metadata: ["errno": "\(failure)", "states": "\(states.count)"]
            )
        }
        return failure == 0
    }

    @discardableResult
    public func ready(status: String? = nil) -> Bool {
        notify([.ready] + (status.map { [.status($0)] } ?? []))
    }

    @discardableResult
    public func status(_ text: String) -> Bool {
        notify([.status(text)])
    }

    @discardableResult
    public func stopping(status: String? = nil) -> Bool {
        notify([.stopping] + (status.map { [.status($0)] } ?? []))
    }

    /// To be sent first thing on SIGHUP, and followed by ``ready(status:)`` whether the reload worked or not.
    public func reloading() {
        notify([.reloading])
    }

    public func extendTimeout(_ time: Duration) {
        notify([.extendTimeout(time)])
    }

    /// - Returns: false when the ping did not go out and should be sent at the next turn.
    @discardableResult
    public func watchdog() -> Bool {
        notify([.watchdog])
    }

    private static func monotonicMicroseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }
}
