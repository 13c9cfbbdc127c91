/// When a queue's loop last turned, and since when it has been at database calls: what the watchdog is fed with.
public struct Pulse: Sendable, Equatable {
    public private(set) var lastTurn: Instant?
    private var calls: [Int: Instant] = [:]
    public private(set) var renewingSince: Instant?

    public init() {}

    /// Since when the longest call has been under way.
    public var busySince: Instant? { calls.values.min() }
    /// How many pumps are at a database call.
    public var busy: Int { calls.count }

    mutating func turned(now: Instant) {
        lastTurn = now
    }

    mutating func began(pump: Int, now: Instant) {
        calls[pump] = now
    }

    mutating func ended(pump: Int) {
        calls[pump] = nil
    }

    mutating func renewalBegan(now: Instant) {
        renewingSince = now
    }

    mutating func renewalEnded() {
        renewingSince = nil
    }
}
