import Dispatch
import Foundation
import Glibc
import Synchronization
import TestSupport

/// The service manager's end of `NOTIFY_SOCKET`: collects what a daemon tells.
final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32
    private let seen = Mutex<[String]>([])
    private let source: Mutex<any DispatchSourceRead>

    /// - Parameter listens: false for one whose queue fills up until ``listen()``, and is full already.
    init(listens: Bool = true) throws {
        path = FileManager.default.temporaryDirectory.path + "/pgmqd-notify-\(UUID().uuidString.prefix(8))"
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_UNIX, type, 0)
        // At once, and not when the test looks: the kernel's queue holds eleven, and a daemon waits for nobody.
        let queue = DispatchQueue(label: "notify")
        source = Mutex(DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue))
        source.withLock { source in
            source.setEventHandler { [weak self] in self?.read() }
            source.setCancelHandler { [descriptor] in close(descriptor) }
        }
        guard UnixAddress(path).with({ bind(descriptor, $0, $1) }) == 0 else {
            throw NeverHappened(description: "\(path) cannot be bound")
        }
        if listens { listen() } else { fill() }
    }

    deinit {
        listen()
        source.withLock { $0.cancel() }
        unlink(path)
    }

    /// A watchdog of two seconds makes the daemon report every second.
    var environment: [String: String] { ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "2000000"] }

    /// All lines so far.
    func lines() -> [String] {
        seen.withLock { $0 }
    }

    /// The status lines, the latest last.
    var statuses: [String] { lines().filter { $0.hasPrefix("STATUS=") } }

    func listen() {
        source.withLock { $0.activate() }
    }

    /// Until there is room for nothing more: neither in what a sender may have under way, nor in the queue.
    private func fill() {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        var sent = 0
        repeat {
            let sender = socket(AF_UNIX, type, 0)
            defer { close(sender) }
            sent = 0
            while UnixAddress(path).with({ sendto(sender, "X", 1, 0, $0, $1) }) == 1 { sent += 1 }
        } while sent > 0
    }

    private func read() {
        var bytes = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            guard count >= 0 else { return }
            let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
            seen.withLock { $0 += lines }
        }
    }
}
