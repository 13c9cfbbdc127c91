/// When a queue's loop last turned, and since when it has been at a database call: what the watchdog is fed with.
public struct Pulse: Sendable, Equatable {
    public private(set) var lastTurn: Instant?
    private var jobs: [Instant] = []
    public private(set) var renewingSince: Instant?

    public init() {}

    /// Since when the longest call has been under way.
    public var busySince: Instant? { jobs.min() }
    /// How many pumps are at a database call.
    public var busy: Int { jobs.count }

    mutating func turned(now: Instant) {
        lastTurn = now
    }

    mutating func began(now: Instant) {
        jobs.append(now)
    }

    mutating func ended() {
        if !jobs.isEmpty { jobs.removeFirst() }
    }

    mutating func renewalBegan(now: Instant) {
        renewingSince = now
    }

    mutating func renewalEnded() {
        renewingSince = nil
    }
}
