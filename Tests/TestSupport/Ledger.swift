import Foundation

/// What the handlers of `LedgerDaemon` did, from the file they append to: not in the database under test.
public struct Ledger: Sendable {
    public struct Entry: Sendable {
        /// `start` or `end`.
        public let event: String
        public let queue: String
        public let id: Int64
        public let readCount: Int
        public let attempt: Int
        public let pid: Int32
        /// Nanoseconds of CLOCK_MONOTONIC, which all processes share.
        public let time: UInt64
        /// Of an end: `done`, `failed`, `cancelled`.
        public let verdict: String
    }

    public let path: String

    public init() {
        path = FileManager.default.temporaryDirectory.path + "/pgmqd-ledger-\(UUID().uuidString.prefix(8))"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
    }

    /// Lets the handlers of `gated` messages end.
    public func openGate() {
        _ = FileManager.default.createFile(atPath: path + ".gate", contents: nil)
    }

    public var environment: [String: String] { ["PGMQD_LEDGER": path] }

    public func entries() -> [Entry] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 8, let id = Int64(parts[2]), let readCount = Int(parts[3]),
                let attempt = Int(parts[4]), let pid = Int32(parts[5]), let time = UInt64(parts[6])
            else { return nil }
            return Entry(
                event: parts[0],
                queue: parts[1],
                id: id,
                readCount: readCount,
                attempt: attempt,
                pid: pid,
                time: time,
                verdict: parts[7]
            )
        }
    }

    public var starts: [Entry] { entries().filter { $0.event == "start" } }
    public var ends: [Entry] { entries().filter { $0.event == "end" } }

    /// How often each message was begun.
    public var runs: [Int64: Int] { starts.reduce(into: [:]) { $0[$1.id, default: 0] += 1 } }

    /// The messages whose handlers have begun and not ended.
    public var running: Set<Int64> {
        var balance: [Int64: Int] = [:]
        for entry in entries() where entry.event == "start" || entry.event == "end" {
            balance[entry.id, default: 0] += entry.event == "start" ? 1 : -1
        }
        return Set(balance.filter { $0.value > 0 }.keys)
    }

    public func remove() {
        for file in [path, path + ".gate"] { try? FileManager.default.removeItem(atPath: file) }
    }
}
