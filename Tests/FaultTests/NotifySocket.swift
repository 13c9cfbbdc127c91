import Foundation
import Glibc
import Synchronization
import TestSupport

/// The service manager's end of `NOTIFY_SOCKET`: collects what a daemon tells.
final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32
    private let seen = Mutex<[String]>([])

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/pgmqd-notify-\(UUID().uuidString.prefix(8))"
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_UNIX, type, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw NeverHappened(description: "\(path) cannot be bound") }
    }

    deinit {
        close(descriptor)
        unlink(path)
    }

    /// A watchdog of two seconds makes the daemon report every second.
    var environment: [String: String] { ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000"] }

    /// All lines so far.
    func lines() -> [String] {
        seen.withLock { seen in
            var bytes = [UInt8](repeating: 0, count: 8192)
            while true {
                let count = recv(descriptor, &bytes, bytes.count, 0)
                guard count >= 0 else { return seen }
                seen += String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
            }
        }
    }

    /// The status lines, the latest last.
    var statuses: [String] { lines().filter { $0.hasPrefix("STATUS=") } }
}
