/// What a queue's consumer has done since it began.
public struct Counters: Sendable, Equatable {
    public var claimed = 0
    public var done = 0
    public var retried = 0
    public var deadLettered = 0
    public var snoozed = 0
    public var released = 0
    /// Leases that ended before their outcome: not renewed in time, or refused by the fence.
    public var lost = 0
    public var crashed = 0

    public init() {}
}

/// One queue's consumer at a moment.
public struct Snapshot: Sendable, Equatable {
    public struct Run: Sendable, Equatable {
        public var worker: Int
        public var messageID: Int64
        public var attempt: Int
        public var running: Duration
    }

    public var queue: String
    public var workers: Int
    public var runs: [Run]
    public var waiting: Int
    public var unsettled: Int
    public var counters: Counters
    public var paused: String?
    public var isAsleep: Bool
    public var isQuiet: Bool
}
