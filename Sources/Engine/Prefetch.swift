/// How many leases may wait for a worker: as many as the workers finish in 50 ms, at most 1,000.
///
/// So a queue of slow handlers hoards nothing, and one of quick handlers is not kept waiting for the next claim.
struct Prefetch: Sendable {
    static let horizon = 0.05
    static let limit = 1000
    private static let window: Duration = .milliseconds(5)

    private(set) var places = 0
    private var finished = 0
    private var since: Instant?

    mutating func finishedOne(now: Instant) {
        finished += 1
        guard let since else {
            self.since = now
            return
        }
        let elapsed = now - since
        guard elapsed >= Self.window else { return }
        let rate = Double(finished) / elapsed.inSeconds
        let wanted = min(Double(Self.limit), rate * Self.horizon)
        // Up at once, down by degrees: a pause of the database must not be taken for slow handlers.
        places = Int(max(wanted, Double(places) * 0.7))
        finished = 0
        self.since = now
    }
}
