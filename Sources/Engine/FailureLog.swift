/// How often failed runs are told of: a queue whose every message fails shall not fill the log.
struct FailureLog: Sendable {
    static let interval: Duration = .seconds(10)

    private var next: Instant?
    private var untold = 0

    /// - Returns: the run to tell of, and how many were not told of since the last; nil: none now.
    mutating func told(_ failed: [FailedRun], now: Instant) -> (run: FailedRun, untold: Int)? {
        guard let last = failed.last else { return nil }
        if let next, now < next {
            untold += failed.count
            return nil
        }
        next = now + Self.interval
        defer { untold = 0 }
        return (last, untold + failed.count - 1)
    }
}
