import Glibc

extension Ledger {
    /// One run of a handler, from what it wrote itself.
    public struct Run: Sendable {
        public let id: Int64
        public let readCount: Int
        public let attempt: Int
        public let pid: Int32
        /// Nanoseconds of CLOCK_MONOTONIC.
        public let start: UInt64
        /// nil where the process ended first, or the run goes on.
        public let end: UInt64?
        public let verdict: String?
    }

    /// In the order in which they began.
    public func history(queue: String? = nil) -> [Run] {
        struct Key: Hashable {
            let queue: String
            let id: Int64
            let readCount: Int
            let pid: Int32
        }
        let entries = entries().filter { queue == nil || $0.queue == queue }
        func key(_ entry: Entry) -> Key {
            Key(queue: entry.queue, id: entry.id, readCount: entry.readCount, pid: entry.pid)
        }
        let ends = Dictionary(entries.filter { $0.event == "end" }.map { (key($0), $0) }, uniquingKeysWith: { $1 })
        return entries.filter { $0.event == "start" }.sorted { $0.time < $1.time }.map { entry in
            let end = ends[key(entry)]
            return Run(
                id: entry.id,
                readCount: entry.readCount,
                attempt: entry.attempt,
                pid: entry.pid,
                start: entry.time,
                end: end?.time,
                verdict: end?.verdict
            )
        }
    }

    /// Messages that two handlers had at one time.
    ///
    /// - Parameter killed: processes that were killed, with the moment before it: their leases lived until then.
    public func overlaps(killed: [Int32: UInt64] = [:]) -> [(Run, Run)] {
        var found: [(Run, Run)] = []
        for runs in Dictionary(grouping: history(), by: \.id).values {
            for (index, run) in runs.enumerated() {
                let end = run.end ?? killed[run.pid] ?? .max
                found += runs[(index + 1)...].filter { $0.start < end }.map { (run, $0) }
            }
        }
        return found
    }

    /// Now, as the ledger counts.
    public static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
